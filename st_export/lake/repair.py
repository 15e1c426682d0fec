"""What `verify --repair` does with damage, so that the next run reads again what was lost and nothing is there twice.

For each unit with a damaged or missing file, in this order, each step safe to repeat:

1. `damages` tells what was lost: the unit, its window, and the position of the entity before the unit (from the manifest before it).
2. The caller sets the entity's position back by that and saves it (a feed to the token before, a list by its window, a whole read needs
   nothing). From now on a crash costs requests, not rows.
3. `quarantine` moves each damaged file to `_st_export/quarantine/<its path>`, as it is, for whoever wants to look. Nobody reads it there.
4. It replaces the unit's manifest by one without these files, under the same name, in one put; `repaired` in it says which and why.
   The files that were whole stay. A manifest that is itself damaged is moved away with all files of its unit.
5. It forgets what was derived: the marker of `compact` (the next one computes anew) and the entity's counts in `catalog.json`.

The next run then reads the window or the chain again; versions that the lake still has are dropped, those of the damaged file are
written as new files of a new unit. A version that the service has replaced since cannot be had again; the newer one comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from st_export.commit import paths
from st_export.commit.manifest import VERSION
from st_export.commit.store import Missing
from st_export.errors import CheckpointUnreadable, StoreError
from st_export.lake.describe import forget
from st_export.lake.index import manifest_ordinals, read_manifest
from st_export.lake.marker import read_marker, write_marker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from st_export.commit.store import Store
    from st_export.flow import Position, Window
    from st_export.lake.verify import Problem

QUARANTINE = f"{paths.STATE}/quarantine"


@dataclass(frozen=True, slots=True)
class Damage:
    """A unit that lost files: what to read again, and what to put away.

    `window` is what the unit was asked for, None where it has none; `before` the position that the entity had in
    this scope before the unit, None: from the beginning. `files` maps each damaged file to what is wrong with it.
    `manifest_lost` says that the manifest itself cannot be read.
    """

    entity: str
    tenant: int
    scope: str
    unit: str
    ordinal: int
    manifest: str
    files: dict[str, str]
    window: Window | None
    before: Position | None
    manifest_lost: bool = False


async def damages(store: Store, problems: Iterable[Problem]) -> list[Damage]:
    """Return the units behind the problems that `verify` found, oldest first; counts that differ from the service's are left out.

    Raises:
        StoreError: the lake cannot be read.

    """
    by_manifest: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.manifest is not None:
            by_manifest.setdefault(problem.manifest, []).append(problem)
    return [await _damage(store, manifest, found) for manifest, found in sorted(by_manifest.items())]


async def _damage(store: Store, manifest: str, found: list[Problem]) -> Damage:
    parts = paths.manifest_parts(manifest.rpartition("/")[2])
    if parts is None:
        raise StoreError(f"{manifest} is no name of a manifest", hint="move the file away")
    ordinal, unit = parts
    entity, tenant, scope = found[0].entity, found[0].tenant, paths.scope_of(parts[1])
    files = {problem.file: problem.problem for problem in found if problem.file is not None and problem.file != manifest}
    window, lost = None, False
    try:
        window = (await read_manifest(store, manifest)).window
    except CheckpointUnreadable:
        if await _is_newer(store, manifest):
            raise
        lost = True
        files = dict.fromkeys(await _files_of_unit(store, entity, tenant, unit), found[0].problem)
    before = await _position_before(store, entity, tenant, scope, ordinal)
    return Damage(entity, tenant, scope, unit, ordinal, manifest, files, window, before, manifest_lost=lost)


async def _is_newer(store: Store, manifest: str) -> bool:
    try:
        document = orjson.loads(await store.read(manifest))
    except orjson.JSONDecodeError:
        return False
    version = document.get("version") if isinstance(document, dict) else None
    return isinstance(version, int) and version > VERSION


async def _files_of_unit(store: Store, entity: str, tenant: int, unit: str) -> list[str]:
    return [entry.path async for entry in store.list(paths.data_folder(entity, tenant)) if paths.unit_of(entry.path) == unit]


async def _position_before(store: Store, entity: str, tenant: int, scope: str, ordinal: int) -> Position | None:
    """Return the position in the newest readable manifest of the scope before this one."""
    manifests = (await manifest_ordinals(store, entity)).get(tenant, {})
    for earlier, path in sorted(manifests.items(), reverse=True):
        parts = paths.manifest_parts(path.rpartition("/")[2])
        if earlier >= ordinal or parts is None or paths.scope_of(parts[1]) != scope:
            continue
        try:
            return (await read_manifest(store, path)).position
        except (StoreError, CheckpointUnreadable):
            # That one is damaged too: going back further only costs requests.
            continue
    return None


async def put_away(store: Store, damage: Damage) -> None:
    """Move a unit's damaged files, and a manifest that cannot be read, into quarantine (step 3); safe to repeat.

    Whoever reads again before `quarantine` calls this first: a damaged file must not be held against what comes. Until then the
    manifest still names the files, so that `verify` goes on to miss them should the reading fail.

    Raises:
        StoreError: the lake cannot be written.

    """
    for path in damage.files:
        await _move(store, path)
    if damage.manifest_lost:
        await _move(store, damage.manifest)


async def quarantine(store: Store, damage: Damage, *, repaired_at: str) -> None:
    """Put a unit's damaged files away and replace its manifest (steps 3 to 5), after the caller has set the position back.

    Args:
        store: the lake.
        damage: from `damages`.
        repaired_at: RFC 3339 time, for the manifest.

    Raises:
        StoreError: the lake cannot be written; repeating the call goes on.

    """
    await put_away(store, damage)
    if not damage.manifest_lost:
        await _replace_manifest(store, damage, repaired_at)
    marker = await read_marker(store, damage.entity, damage.tenant)
    if marker is not None:
        # Never fresh and never extended: the next compact computes every part from the log.
        await write_marker(store, damage.entity, damage.tenant, replace(marker, ordinal=0, manifests=-1))
    await forget(store, damage.entity)


async def _move(store: Store, path: str) -> None:
    """Move a file into quarantine: there first, then away from here."""
    try:
        data = await store.read(path)
    except Missing:
        return
    await store.write(f"{QUARANTINE}/{path}", data)
    await store.delete(path)


async def _replace_manifest(store: Store, damage: Damage, repaired_at: str) -> None:
    # As JSON, so that keys that this version does not know stay.
    document = orjson.loads(await store.read(damage.manifest))
    kept = [file for file in document["files"] if file["path"] not in damage.files]
    notes = [{"file": path, "problem": problem, "at": repaired_at} for path, problem in damage.files.items()]
    document |= {"files": kept, "rows": sum(file["rows"] for file in kept), "repaired": [*document.get("repaired", ()), *notes]}
    await store.write(damage.manifest, orjson.dumps(document, option=orjson.OPT_INDENT_2))

"""Where each entity of a tenant stands: position, rows, the newest record, the last run. Reads the lake only, and takes no lock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pyarrow as pa
import pyarrow.parquet as pq

from st_export.commit import paths
from st_export.commit.checkpoint import Checkpoints
from st_export.commit.concurrency import each
from st_export.commit.manifest import Manifests
from st_export.commit.positions import position_json
from st_export.errors import StoreError
from st_export.flow import utc_text
from st_export.run.lakefiles import LakeFiles
from st_export.run.scope import NIGHTLY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from st_export.catalog.entity import Entity
    from st_export.catalog.load import Catalog
    from st_export.clock import Clock
    from st_export.commit.manifest import Manifest
    from st_export.commit.store import Store
    from st_export.flow import DataFile

ENTITIES_AT_ONCE = 8

FOOTERS = 64
"""Files whose footers are asked for the newest record where the folders do not tell which: those of the last nightly commits."""


async def tenants_in(store: Store) -> tuple[int, ...]:
    """Return the tenants that have a checkpoint in the lake."""
    names = [entry.path.rpartition("/")[2].removesuffix(".json") async for entry in store.list(f"{paths.STATE}/checkpoint")]
    return tuple(sorted(int(name) for name in names if name.isdecimal()))


async def tenant_status(store: Store, tenant: int, catalog: Catalog, clock: Clock) -> dict[str, Any]:
    """Return what `status --json` says of a tenant.

    Raises:
        CheckpointUnreadable: the checkpoint or a manifest is damaged or newer.
        StoreError: the lake cannot be read.

    """
    checkpoints, manifests = Checkpoints(store, tenant, clock), Manifests(store, tenant)
    await checkpoints.load()
    await manifests.load()
    files = LakeFiles(store, tenant)
    found: dict[str, dict[str, Any]] = {}

    async def describe(name: str) -> None:
        entity = catalog.get(name)
        rows, kept = 0, _Newest(entity)
        async for manifest in manifests.read_all(name):
            rows += manifest.rows
            kept.add(manifest)
        note = checkpoints.note(name)
        newest = max((moment for moment in (await kept.moment(files), note.newest) if moment is not None), default=None)
        standings = checkpoints.standings(name)
        nightly = standings.get(NIGHTLY)
        backfills = {scope: position_json(one.position) for scope, one in standings.items() if scope != NIGHTLY}
        found[name] = {
            "name": name,
            "position": position_json(nightly.position) if nightly else None,
            "rows": rows,
            "newest": utc_text(newest) if newest else None,
            "last_run": run_time(note.last_run),
            "last_outcome": note.last_outcome,
            "last_error": note.last_error,
            "run_id": note.last_run,
            "backfills": backfills,
        }

    await each(sorted({*checkpoints.entities(), *manifests.entities()}), describe, at_once=ENTITIES_AT_ONCE)
    return {"id": tenant, "entities": [found[name] for name in sorted(found)]}


def run_time(run: str | None) -> str | None:
    """Return when a run began, RFC 3339: its id begins with that time; None for an id that does not."""
    if run is None:
        return None
    try:
        return utc_text(datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    except ValueError:
        return None


class _Newest:
    """Finds the newest record's time from Parquet statistics: of the files in the last partition where partitions are by that time."""

    def __init__(self, entity: Entity | None) -> None:
        self._column = (entity.modified or entity.created) if entity is not None else None
        self._by_day = entity is not None and entity.partition_by[:1] == (self._column,)
        self._last: str | None = None
        self._in_last: list[DataFile] = []
        self._recent: list[DataFile] = []
        self._others: list[DataFile] = []

    def add(self, manifest: Manifest) -> None:
        """Take a commit's files into account; commits come in their order."""
        for file in manifest.files:
            if file.partition is not None and (self._last is None or file.partition > self._last):
                self._last, self._in_last = file.partition, []
            if file.partition == self._last:
                self._in_last.append(file)
        recent = self._recent if manifest.scope == NIGHTLY else self._others
        recent.extend(manifest.files)
        del recent[:-FOOTERS]

    async def moment(self, files: LakeFiles) -> datetime | None:
        """Return the newest time, None where no file tells any."""
        if self._column is None:
            return None
        named = (*self._in_last[-FOOTERS:], *(() if self._by_day else (*self._recent, *self._others)))
        await files.know(named)
        return await anyio.to_thread.run_sync(_newest_of, files, sorted({file.path for file in named}), self._column)


def _newest_of(files: LakeFiles, wanted: Iterable[str], column: str) -> datetime | None:
    newest: datetime | None = None
    for path in wanted:
        for moment in _maxima(files, path, column):
            newest = moment if newest is None or moment > newest else newest
    return newest


def _maxima(files: LakeFiles, path: str, column: str) -> list[datetime]:
    """Return the maximum of a column in each row group; a file that is gone or damaged is `verify`'s to tell."""
    try:
        with files.open(path) as source:
            footer = pq.read_metadata(source)
    except (OSError, StoreError, pa.ArrowException):
        return []
    found: list[datetime] = []
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if chunk.path_in_schema == column and chunk.statistics is not None and chunk.statistics.has_min_max:
                value = chunk.statistics.max
                if isinstance(value, datetime):
                    found.append(value if value.tzinfo else value.replace(tzinfo=UTC))
    return found

"""Manifests: what each commit added, one small JSON file a unit, never changed afterwards. Writing one is the commit.

Their names tell the order and the unit, so that a start needs a listing, no contents. This module leaves out the steps around.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from st_export.commit import paths
from st_export.commit.concurrency import each
from st_export.commit.positions import integer_of, moment_of, object_of, position_from, position_json, text_of, window_from, window_json
from st_export.errors import CheckpointUnreadable
from st_export.flow import DataFile, Json, Position, Window, utc_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from st_export.commit.store import Store

VERSION = 1
READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Manifest:
    """A commit: the unit's files with rows, bytes and checksum, the schema as `(name, type)`, and the position after it."""

    tenant: int
    entity: str
    scope: str
    unit: str
    ordinal: int
    run: str
    committed_at: datetime
    files: tuple[DataFile, ...]
    columns: tuple[tuple[str, str], ...]
    position: Position
    window: Window | None = None
    rescued: int = 0
    rejected: int = 0

    @property
    def rows(self) -> int:
        """Return the rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def path(self) -> str:
        """Return where the manifest lies."""
        return paths.manifest(self.entity, self.tenant, self.ordinal, self.unit)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the manifests of an entity."""

    rows: int = 0
    files: int = 0
    bytes: int = 0


class Manifests:
    """The manifests of one tenant: names in memory after `load`, contents read when asked for."""

    def __init__(self, store: Store, tenant: int) -> None:
        self._store = store
        self._tenant = tenant
        self._paths: dict[str, dict[str, str]] = {}
        self._last: dict[str, int] = {}

    async def load(self) -> None:
        """List the names of all manifests of the tenant. Raises `StoreError`."""
        found: dict[str, dict[str, str]] = {}
        last: dict[str, int] = {}

        async def names(entities: Sequence[str]) -> None:
            async for entry in self._store.list(*[paths.manifests(entity, self._tenant) for entity in entities]):
                entity = entry.path.removeprefix(f"{paths.MANIFESTS}/").partition("/")[0]
                parts = paths.manifest_parts(entry.path.rpartition("/")[2])
                if parts is not None:
                    found.setdefault(entity, {})[parts[1]] = entry.path
                    last[entity] = max(last.get(entity, 0), parts[0])

        entities = await self._store.folders(paths.MANIFESTS)
        await each([entities[at::READS_AT_ONCE] for at in range(READS_AT_ONCE)], names, at_once=READS_AT_ONCE)
        self._paths, self._last = found, last

    def entities(self) -> tuple[str, ...]:
        """Return the names of the entities that have manifests, sorted."""
        return tuple(sorted(self._paths))

    def paths(self, entity: str) -> tuple[str, ...]:
        """Return the paths of an entity's manifests in the order of their commits."""
        return tuple(sorted(self._paths.get(entity, {}).values()))

    def units(self, entity: str) -> frozenset[str]:
        """Return the names of an entity's committed units."""
        return frozenset(self._paths.get(entity, {}))

    def path_of(self, entity: str, unit: str) -> str | None:
        """Return the path of a unit's manifest, None where the unit is not committed."""
        return self._paths.get(entity, {}).get(unit)

    def is_committed(self, entity: str, data_path: str) -> bool:
        """Return whether a data file belongs to a committed unit, by its name."""
        return paths.unit_of(data_path) in self._paths.get(entity, {})

    def last_ordinal(self, entity: str) -> int:
        """Return the highest ordinal of an entity, 0 for none."""
        return self._last.get(entity, 0)

    def ordered(self, entity: str) -> tuple[tuple[str, int, str], ...]:
        """Return `(path, ordinal, unit)` of an entity's manifests in the order of their commits."""
        found = ((path, paths.manifest_parts(path.rpartition("/")[2])) for path in self.paths(entity))
        return tuple((path, *parts) for path, parts in found if parts is not None)

    async def add(self, manifest: Manifest) -> str:
        """Write a manifest, the moment of commit, and return its path. Raises `AlreadyExists`, `OutcomeUnknown`, `StoreError`."""
        path = manifest.path
        await self._store.create(path, manifest_json(manifest))
        self.added(manifest)
        return path

    def added(self, manifest: Manifest) -> None:
        """Take note of a manifest that is known to lie in the store."""
        self._paths.setdefault(manifest.entity, {})[manifest.unit] = manifest.path
        self._last[manifest.entity] = max(self.last_ordinal(manifest.entity), manifest.ordinal)

    async def read(self, path: str) -> Manifest:
        """Return a manifest. Raises `CheckpointUnreadable` where it is damaged or newer, `Missing`, `StoreError`."""
        return manifest_from(path, await self._store.read(path))

    async def read_all(self, entity: str) -> AsyncIterator[Manifest]:
        """Yield all manifests of an entity in the order of their commits, some read at once."""
        waiting = self.paths(entity)
        while waiting:
            batch, waiting = waiting[:READS_AT_ONCE], waiting[READS_AT_ONCE:]
            found: dict[str, Manifest] = {}

            async def read(path: str, found: dict[str, Manifest] = found) -> None:
                found[path] = await self.read(path)

            await each(batch, read, at_once=READS_AT_ONCE)
            for path in batch:
                yield found[path]

    async def files(self, entity: str) -> dict[str, DataFile]:
        """Return every committed file of an entity by its path."""
        return {file.path: file async for manifest in self.read_all(entity) for file in manifest.files}

    async def totals(self, entity: str) -> Totals:
        """Return rows, files and bytes that the manifests of an entity sum up to."""
        rows = files = size = 0
        async for manifest in self.read_all(entity):
            rows, files, size = rows + manifest.rows, files + len(manifest.files), size + manifest.bytes
        return Totals(rows, files, size)


def manifest_json(manifest: Manifest) -> bytes:
    """Return a manifest as JSON bytes that a person can read."""
    document = {
        "version": VERSION,
        "tenant": manifest.tenant,
        "entity": manifest.entity,
        "scope": manifest.scope,
        "unit": manifest.unit,
        "ordinal": manifest.ordinal,
        "run_id": manifest.run,
        "committed_at": utc_text(manifest.committed_at),
        "window": None if manifest.window is None else window_json(manifest.window),
        "files": [_file_json(file) for file in manifest.files],
        "rows": manifest.rows,
        "columns": [list(column) for column in manifest.columns],
        "rescued": manifest.rescued,
        "rejected": manifest.rejected,
        "position": position_json(manifest.position),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def manifest_from(path: str, data: bytes) -> Manifest:
    """Return the manifest of JSON bytes. Raises `CheckpointUnreadable` where it is damaged or of a newer version."""
    try:
        document = object_of(orjson.loads(data))
        version = integer_of(document, "version")
        if version <= VERSION:
            return _manifest_from(document)
    except (ValueError, OverflowError) as error:
        raise CheckpointUnreadable(f"the manifest {path} is damaged ({error})", hint="restore it from a copy of the lake") from error
    raise CheckpointUnreadable(
        f"the manifest {path} was written by a newer st-export (version {version}, this one knows {VERSION})", hint="upgrade st-export"
    )


def _manifest_from(document: dict[str, Json]) -> Manifest:
    committed_at = moment_of(document, "committed_at")
    files, columns, window = document.get("files"), document.get("columns"), document.get("window")
    if committed_at is None or not isinstance(files, list) or not isinstance(columns, list):
        raise ValueError("committed_at, files or columns are missing")
    return Manifest(
        tenant=integer_of(document, "tenant"),
        entity=_required(document, "entity"),
        scope=_required(document, "scope"),
        unit=_required(document, "unit"),
        ordinal=integer_of(document, "ordinal"),
        run=_required(document, "run_id"),
        committed_at=committed_at,
        files=tuple(_file_from(file) for file in files),
        columns=tuple((str(name), str(type_text)) for name, type_text in columns),
        position=position_from(document.get("position")),
        window=None if window is None else window_from(window),
        rescued=integer_of(document, "rescued"),
        rejected=integer_of(document, "rejected"),
    )


def _file_json(file: DataFile) -> dict[str, Json]:
    return {"path": file.path, "partition": file.partition, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}


def _file_from(document: Json) -> DataFile:
    fields = object_of(document)
    return DataFile(
        path=_required(fields, "path"),
        partition=text_of(fields, "partition"),
        rows=integer_of(fields, "rows"),
        bytes=integer_of(fields, "bytes"),
        sha256=_required(fields, "sha256"),
    )


def _required(fields: dict[str, Json], name: str) -> str:
    value = text_of(fields, name)
    if value is None:
        raise ValueError(f"{name} is missing")
    return value

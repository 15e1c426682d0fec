"""What the manifests say of an entity: rows, files, days and the schemas its files were written with.

Manifests are many and never change, so the answer up to some commit is kept in `_st_export/catalog.json` (see `describe`) and only
later manifests are read. It leaves out what the files hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from st_export.commit import paths
from st_export.commit.concurrency import each
from st_export.commit.manifest import manifest_from
from st_export.commit.store import Missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from st_export.commit.manifest import Manifest
    from st_export.commit.store import Store

CATALOG = f"{paths.STATE}/catalog.json"
CATALOG_VERSION = 1
READS_AT_ONCE = 16
"""Manifests read side by side: enough to hide an object store's latency, few enough for its patience."""

BATCH = 256
"""Manifests held at once."""

Columns = tuple[tuple[str, str], ...]
"""A schema as a manifest tells it: names and the text of their Arrow types."""


@dataclass(slots=True)
class TenantFiles:
    """What one tenant's manifests of an entity add up to, up to the commit `ordinal` (0: none)."""

    ordinal: int = 0
    rows: int = 0
    files: int = 0
    bytes: int = 0
    partitions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class EntityIndex:
    """An entity's files over all tenants. `schemas` maps each distinct schema, oldest first, to a file that has it."""

    name: str
    tenants: dict[int, TenantFiles] = field(default_factory=dict)
    schemas: dict[Columns, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return the versions committed, all tenants together."""
        return sum(tenant.rows for tenant in self.tenants.values())

    @property
    def files(self) -> int:
        """Return the files committed, all tenants together."""
        return sum(tenant.files for tenant in self.tenants.values())

    @property
    def written(self) -> frozenset[str]:
        """Return the columns that at least one file has."""
        return frozenset(name for columns in self.schemas for name, _ in columns)

    def add(self, manifest: Manifest) -> None:
        """Take a manifest into account."""
        tenant = self.tenants.setdefault(manifest.tenant, TenantFiles())
        tenant.ordinal = max(tenant.ordinal, manifest.ordinal)
        if manifest.files:
            self.schemas.pop(manifest.columns, None)
            self.schemas[manifest.columns] = manifest.files[-1].path
        tenant.rows += manifest.rows
        tenant.files += len(manifest.files)
        tenant.bytes += manifest.bytes
        tenant.partitions.update(file.partition for file in manifest.files if file.partition is not None)

    def document(self) -> dict[str, Any]:
        """Return what `catalog.json` keeps of it."""
        return {
            "schemas": [{"file": path, "columns": [list(column) for column in columns]} for columns, path in self.schemas.items()],
            "tenants": {
                str(tenant): {
                    "ordinal": files.ordinal,
                    "rows": files.rows,
                    "files": files.files,
                    "bytes": files.bytes,
                    "days": ranges(files.partitions),
                }
                for tenant, files in sorted(self.tenants.items())
            },
        }


def index_from(name: str, document: Mapping[str, Any]) -> EntityIndex:
    """Return the index that `EntityIndex.document` made."""
    index = EntityIndex(name)
    for schema in document.get("schemas", ()):
        index.schemas[tuple((str(column), str(kind)) for column, kind in schema["columns"])] = str(schema["file"])
    for tenant, files in document.get("tenants", {}).items():
        index.tenants[int(tenant)] = TenantFiles(
            ordinal=int(files["ordinal"]),
            rows=int(files["rows"]),
            files=int(files["files"]),
            bytes=int(files["bytes"]),
            partitions=set(from_ranges(files["days"])),
        )
    return index


def ranges(partitions: Iterable[str]) -> list[list[str]]:
    """Return days as closed ranges of days without a gap, `[["2026-11-01", "2026-11-23"]]`; months each for itself."""
    found: list[list[str]] = []
    for value in sorted(partitions):
        if found and len(value) == 10 and _next_day(found[-1][1]) == value:
            found[-1][1] = value
        else:
            found.append([value, value])
    return found


def from_ranges(closed: Iterable[Iterable[str]]) -> Iterable[str]:
    """Return the days of ranges that `ranges` made."""
    for first, last in closed:
        day = first
        while day != last:
            yield day
            day = _next_day(day)
        yield last


def _next_day(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat() if len(day) == 10 and day < "9999-12-31" else ""


async def read_catalog(store: Store) -> dict[str, Any]:
    """Return the lake's `catalog.json`, empty where there is none or another version wrote it: it can always be made anew."""
    try:
        document = orjson.loads(await store.read(CATALOG))
    except (Missing, orjson.JSONDecodeError):
        return {}
    return document if isinstance(document, dict) and document.get("version") == CATALOG_VERSION else {}


async def manifest_ordinals(store: Store, entity: str) -> dict[int, dict[int, str]]:
    """Return the paths of an entity's manifests by tenant and ordinal, from their names alone."""
    found: dict[int, dict[int, str]] = {}
    async for entry in store.list(f"{paths.MANIFESTS}/{paths.checked_name(entity)}"):
        folder, _, name = entry.path.rpartition("/")
        parts, tenant = paths.manifest_parts(name), folder.rpartition("/")[2]
        if parts is not None and tenant.isdigit():
            found.setdefault(int(tenant), {})[parts[0]] = entry.path
    return found


async def read_manifest(store: Store, path: str) -> Manifest:
    """Return one manifest.

    Raises:
        CheckpointUnreadable: it is damaged, or a newer version wrote it.
        StoreError: it cannot be read.

    """
    return manifest_from(path, await store.read(path))


async def entity_index(store: Store, entity: str, catalog: Mapping[str, Any]) -> EntityIndex:
    """Return what all manifests of an entity say, reading only those that `catalog.json` does not cover.

    Args:
        store: the lake.
        entity: its name.
        catalog: from `read_catalog`.

    Raises:
        StoreError: a manifest cannot be read.

    """
    known = catalog.get("entities", {}).get(entity, {}).get("index", {})
    index, ordinals = index_from(entity, known), await manifest_ordinals(store, entity)
    if any(tenant not in ordinals or files.ordinal not in ordinals[tenant] for tenant, files in index.tenants.items() if files.ordinal):
        # Manifests were taken away by hand: what was counted before may be gone.
        index = EntityIndex(entity)
    later = [
        path
        for tenant, by_ordinal in sorted(ordinals.items())
        for ordinal, path in sorted(by_ordinal.items())
        if ordinal > (index.tenants[tenant].ordinal if tenant in index.tenants else 0)
    ]
    async for manifest in read_manifests(store, later):
        index.add(manifest)
    return index


async def read_manifests(store: Store, wanted: Sequence[str]) -> AsyncIterator[Manifest]:
    """Yield these manifests in the order asked for; some are read side by side, few are held.

    Raises:
        CheckpointUnreadable: one is damaged, or a newer version wrote it.
        StoreError: one cannot be read.

    """
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        found: dict[str, Manifest] = {}

        async def read(path: str, found: dict[str, Manifest] = found) -> None:
            found[path] = await read_manifest(store, path)

        await each(batch, read, at_once=READS_AT_ONCE)
        for path in batch:
            yield found[path]

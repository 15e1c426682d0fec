"""`_st_export/catalog.json`: what a person or a data catalog needs to find their way in the lake, and the readers' index of it.

```
{version, generated_at,
 entities: {"jpm.jobs": {view, log_view, folder, key, modified, partition, columns: [{name, type, nullable}], rows, files, bytes,
   days: [[first, last], …],             closed ranges without gaps; months each for itself
   index: {schemas: [{file, columns}], tenants: {"1001": {ordinal, rows, files, bytes, days}}}}}}
```
`rows` are versions. It is derived from the manifests and can be made anew at any time: a damaged one is only slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from st_export.catalog.schema import arrow_text
from st_export.commit import paths
from st_export.commit.concurrency import each
from st_export.errors import EntityFailed
from st_export.flow import EntityName, utc_text
from st_export.lake.index import CATALOG, CATALOG_VERSION, EntityIndex, entity_index, ranges, read_catalog
from st_export.lake.relations import unified_shape
from st_export.lake.shape import Shape, view_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from st_export.commit.store import Store

ENTITIES_AT_ONCE = 8


async def describe(store: Store, shapes: Iterable[Shape], *, now: datetime, entities: Collection[str] | None = None) -> dict[str, Any]:
    """Bring `catalog.json` up to the last commit and return it; nothing is written where nothing changed.

    Args:
        store: the lake.
        shapes: all entities that the catalog and the configuration know.
        now: for `generated_at`.
        entities: those that changed (a run knows them), default all that have manifests.

    Raises:
        CheckpointUnreadable: a manifest is damaged, or a newer version wrote it.
        StoreError: the lake cannot be read or written.

    """
    before = await read_catalog(store)
    known = {shape.name: shape for shape in shapes}
    wanted = await store.folders(paths.MANIFESTS) if entities is None else sorted(entities)
    described: dict[str, dict[str, Any]] = {}

    async def add(name: str) -> None:
        index = await entity_index(store, name, before)
        if index.tenants:
            described[name] = await _entity_document(store, name, index, known.get(EntityName(name)))

    await each(wanted, add, at_once=ENTITIES_AT_ONCE)
    every = {**before.get("entities", {}), **described} if entities is not None else described
    if every == before.get("entities"):
        return before
    document = {"version": CATALOG_VERSION, "generated_at": utc_text(now), "entities": dict(sorted(every.items()))}
    await store.write(CATALOG, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return document


async def forget(store: Store, entity: str) -> None:
    """Take an entity out of `catalog.json`, so that its manifests are read anew."""
    document = await read_catalog(store)
    if document.get("entities", {}).pop(entity, None) is not None:
        await store.write(CATALOG, orjson.dumps(document, option=orjson.OPT_INDENT_2))


async def _entity_document(store: Store, name: str, index: EntityIndex, shape: Shape | None) -> dict[str, Any]:
    module, view = view_name(name)
    return {
        "view": f"{module}.{view}",
        "log_view": f"{module}.{view}_log",
        "folder": f"{name}/",
        "key": list(shape.key) if shape else [],
        "modified": shape.modified if shape else None,
        "partition": shape.partition if shape else None,
        "columns": await _columns(store, index, shape),
        "rows": index.rows,
        "files": index.files,
        "bytes": sum(tenant.bytes for tenant in index.tenants.values()),
        "days": ranges({value for tenant in index.tenants.values() for value in tenant.partitions}),
        "index": index.document(),
    }


async def _columns(store: Store, index: EntityIndex, shape: Shape | None) -> list[dict[str, Any]]:
    """Return the unified columns; of an entity that the catalog has not, or that cannot be unified, those of its newest file."""
    if shape is not None:
        try:
            schema = (await unified_shape(store, shape, index)).schema
            return [{"name": field.name, "type": arrow_text(field.type), "nullable": field.nullable} for field in schema]
        except EntityFailed:
            # Readers refuse this entity with the reason; the description still tells what its newest files have.
            pass
    newest = list(index.schemas)[-1] if index.schemas else ()
    return [{"name": name, "type": kind, "nullable": True} for name, kind in newest]

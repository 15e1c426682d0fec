"""An entity as SQL over the lake as it is now: its unified schema, whether `current/` is fresh, and the two views' queries."""

# ruff: noqa: S608 - names are quoted and paths are literals

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from st_export.catalog.schema import arrow_text
from st_export.lake.evolution import unified
from st_export.lake.index import Columns, EntityIndex, entity_index, manifest_ordinals
from st_export.lake.marker import Marker, read_marker
from st_export.lake.origins import partition_column
from st_export.lake.ranges import arrow_schema, lake_url
from st_export.lake.views import DUCKDB, columns_of, current_glob_of, current_select, empty_select, glob_of, scan, typed_select

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from st_export.commit.store import Store
    from st_export.lake.shape import Shape


@dataclass(frozen=True, slots=True)
class Relation:
    """An entity ready to be read: `shape` has the unified schema; `markers` only where every tenant's parts are fresh."""

    shape: Shape
    index: EntityIndex
    url: str
    fresh: bool

    def log_query(self) -> str:
        """Return the query of every version."""
        if not self.index.files:
            return empty_select(self.shape)
        return typed_select(self.shape, scan(self.shape, [glob_of(self.shape, self.url)]), self.index.written)

    def current_query(self) -> str:
        """Return the query of the current rows: from `current/` where it is fresh, else computed from every version."""
        if not self.index.files:
            return empty_select(self.shape)
        if self.fresh:
            tenant = ("tenant_id",) * ("tenant_id" in self.shape.hive_columns)
            names = columns_of(self.shape)
            given = set(self.shape.hive_columns) - set(tenant)
            columns = ", ".join(partition_column(name) if name in given else DUCKDB.identifier(name) for name in names)
            parts = scan(self.shape, [current_glob_of(self.shape, self.url)], hive=tenant, row_numbers=bool(given))
            return f"SELECT {columns} FROM {parts}"
        return current_select(self.shape, f"({self.log_query()})")


def columns_text(schema: pa.Schema) -> Columns:
    """Return a schema as manifests tell it."""
    return tuple((field.name, arrow_text(field.type)) for field in schema)


async def unified_shape(store: Store, shape: Shape, index: EntityIndex) -> Shape:
    """Return the shape with one schema for all of the entity's files.

    Raises:
        EntityFailed: a column was retyped in a way that no type holds (see `evolution`).

    """
    expected = columns_text(shape.schema)
    others = [path for columns, path in index.schemas.items() if columns != expected]
    if not others:
        return shape
    return replace(shape, schema=unified([*[await arrow_schema(store, path) for path in others], shape.schema], shape.name))


async def relation(store: Store, shape: Shape, catalog: Mapping[str, Any], *, use_current: bool = True) -> Relation:
    """Return an entity ready to be read.

    Args:
        store: the lake.
        shape: the entity as the catalog has it now.
        catalog: from `index.read_catalog`.
        use_current: whether fresh files below `current/` may be read.

    Raises:
        EntityFailed: the files' schemas cannot be unified.
        StoreError: the lake cannot be read.

    """
    index = await entity_index(store, shape.name, catalog)
    whole = await unified_shape(store, shape, index)
    fresh = use_current and bool(index.files) and await is_fresh(store, whole)
    return Relation(shape=whole, index=index, url=lake_url(store), fresh=fresh)


async def is_fresh(store: Store, shape: Shape) -> bool:
    """Return whether `current/` holds every commit of the entity, of all tenants, in the schema of now."""
    columns = columns_text(shape.schema)
    for tenant, ordinals in (await manifest_ordinals(store, shape.name)).items():
        marker: Marker | None = await read_marker(store, shape.name, tenant)
        if marker is None or not marker.is_fresh(ordinals) or not marker.is_for(shape) or marker.columns != columns:
            return False
    return True

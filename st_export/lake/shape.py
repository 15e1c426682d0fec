"""What the lake's readers must know of an entity: its names, key, times, partition and columns. Facts only, no I/O.

A `Shape` is made from the catalog's entity and its Arrow schema, so that every reader (views, compact, describe) means the
same by "current row":

- keyed: of the rows of one key the newest by `modified` (nulls last), then by `_exported_at`; none if a tombstone's
  `_exported_at` is later than that of all rows of the key;
- without key: the rows of the last snapshot, the one with the greatest `_exported_at`, of each group (`_window_from`,
  `_window_to`, `_parent_id`, `_segment`, as far as the entity has them), tombstones left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from st_export.catalog.entity import Entity
    from st_export.flow import EntityName

Partition = Literal["day", "month", "none"]

SNAPSHOT_COLUMNS = ("_window_from", "_window_to", "_parent_id", "_segment")
"""Columns of ours that tell one snapshot from another."""

PARTITION_COLUMNS: dict[Partition, str | None] = {"day": "day", "month": "year_month", "none": None}
"""The hive column below `tenant_id=…` by `output.partition`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An entity as it lies in the lake.

    `key` empty: snapshots. `modified` is the path of the time that orders versions, None where the rows have none.
    `schema` is the Arrow schema of its files: the API's columns, then ours. `partition` is the folder level below the tenant.
    """

    name: EntityName
    key: tuple[str, ...]
    modified: str | None
    schema: pa.Schema
    partition: Partition = "day"

    @property
    def view(self) -> tuple[str, str]:
        """Return schema and name of the view of the current rows; the one of every version has `_log` behind its name."""
        return view_name(self.name)

    @property
    def group(self) -> tuple[str, ...]:
        """Return the columns whose rows are one row (keyed) or one snapshot: the tenant and the key, or what was asked for."""
        columns = self.key or tuple(name for name in SNAPSHOT_COLUMNS if name in self.schema.names)
        return ("_tenant_id", *columns)

    @property
    def partition_column(self) -> str | None:
        """Return the hive column that the folders give beside `tenant_id`: `day`, `year_month`, or None."""
        return PARTITION_COLUMNS[self.partition]

    @property
    def hive_columns(self) -> tuple[str, ...]:
        """Return the columns that the folders give and no column of the files hides (a report may have one called `Day`)."""
        taken = {name.casefold() for name in self.schema.names}
        return tuple(name for name in ("tenant_id", self.partition_column) if name is not None and name not in taken)

    @property
    def hides_folders(self) -> bool:
        """Return whether a column of the files has the name of one that the folders give: readers must then ignore the folders."""
        given = 1 + (self.partition_column is not None)
        return len(self.hive_columns) < given


def entity_shape(entity: Entity, schema: pa.Schema, partition: Partition = "day") -> Shape:
    """Return the shape of a catalog entity whose files have this schema.

    Args:
        entity: from the catalog, or made for a report of the configuration.
        schema: the Arrow schema of its files, columns of ours included (`catalog.schema.entity_schema`).
        partition: `output.partition`, or the entity's override.

    """
    names = set(schema.names)
    modified = entity.modified if entity.modified is not None and entity.modified.split(".")[0] in names else None
    return Shape(name=entity.name, key=entity.key, modified=modified, schema=schema, partition=partition)


def view_name(entity: str) -> tuple[str, str]:
    """Return `("crm", "customers_contacts")` for `crm.customers.contacts`: the module, then dots and hyphens as underscores."""
    module, _, rest = entity.partition(".")
    return module.replace("-", "_"), rest.replace(".", "_").replace("-", "_")


def by_view(shapes: Iterable[Shape]) -> dict[tuple[str, str], Shape]:
    """Return the shapes by the schema and name of their views of current rows."""
    return {shape.view: shape for shape in shapes}

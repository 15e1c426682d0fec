"""Columns that had values and have none in what a run has written: a field that the service stopped filling, or renamed.

Only footers are read: Parquet's statistics count the nulls of each column. For the report of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pyarrow.parquet as pq

from st_export.errors import StoreError
from st_export.lake.index import manifest_ordinals, read_manifest
from st_export.lake.ranges import LakeFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from st_export.commit.store import Store

LEAST_ROWS = 20
"""Fewer rows may well have nothing in a column."""

MAX_MANIFESTS = 20
"""Manifests looked at on each side, the newest: footers cost a request each."""


@dataclass(frozen=True, slots=True)
class EmptyColumn:
    """A column without a value in the rows of a run that had values in earlier files."""

    tenant: int
    entity: str
    column: str
    rows: int

    def document(self) -> dict[str, Any]:
        """Return it as the report takes it."""
        return {"tenant": self.tenant, "entity": self.entity, "column": self.column, "rows": self.rows}


async def empty_columns(store: Store, summary: Mapping[str, Any]) -> list[EmptyColumn]:
    """Return the columns that went all null in a run.

    Args:
        store: the lake.
        summary: the run's summary; its `manifests` name what it wrote.

    Raises:
        StoreError: the lake cannot be read. A manifest or file that is gone by now is left out.

    """
    found: list[EmptyColumn] = []
    for tenant in summary.get("tenants", ()):
        for entity in tenant.get("entities", ()):
            if entity["rows"] >= LEAST_ROWS and entity.get("manifests"):
                found += await _of_entity(store, int(tenant["id"]), str(entity["name"]), [str(path) for path in entity["manifests"]])
    return found


async def _of_entity(store: Store, tenant: int, entity: str, written: list[str]) -> list[EmptyColumn]:
    ordinals = (await manifest_ordinals(store, entity)).get(tenant, {})
    of_run = set(written)
    first = min((ordinal for ordinal, path in ordinals.items() if path in of_run), default=0)
    earlier = [path for ordinal, path in sorted(ordinals.items()) if ordinal < first][-MAX_MANIFESTS:]
    if not earlier:
        return []
    rows, filled = await _filled(store, written[-MAX_MANIFESTS:])
    before_rows, filled_before = await _filled(store, earlier)
    if rows < LEAST_ROWS or not before_rows:
        return []
    gone = sorted(name for name, has in filled_before.items() if has and filled.get(name) is False and not name.startswith("_"))
    return [EmptyColumn(tenant, entity, name, rows) for name in gone]


async def _filled(store: Store, manifests: Iterable[str]) -> tuple[int, dict[str, bool]]:
    """Return the rows of the manifests' files, and for each top-level column whether one of them has a value."""
    rows, filled = 0, dict[str, bool]()
    for manifest in manifests:
        try:
            for file in (await read_manifest(store, manifest)).files:
                counted, has_values = await _footer(store, file.path, file.bytes)
                rows += counted
                for name, has in has_values.items():
                    filled[name] = filled.get(name, False) or has
        except StoreError:
            # Put away by a repair since; what is there still tells.
            continue
    return rows, filled


async def _footer(store: Store, path: str, size: int) -> tuple[int, dict[str, bool]]:
    loop = anyio.lowlevel.current_token()

    def read_range(start: int, end: int) -> bytes:
        return anyio.from_thread.run(store.read_range, path, start, end, token=loop)

    def read() -> tuple[int, dict[str, bool]]:
        with pq.ParquetFile(LakeFile(size, read_range)) as file:
            return file.metadata.num_rows, _columns_with_values(file.metadata)

    return await anyio.to_thread.run_sync(read)


def _columns_with_values(metadata: Any) -> dict[str, bool]:
    """Return for each top-level column whether any of its leaves has a value; without statistics it is taken to have one."""
    has_values: dict[str, bool] = {}
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        for leaf in (group.column(index) for index in range(group.num_columns)):
            name = leaf.path_in_schema.split(".")[0]
            statistics = leaf.statistics
            empty = statistics is not None and statistics.has_null_count and statistics.null_count == leaf.num_values
            has_values[name] = has_values.get(name, False) or not empty
    return has_values

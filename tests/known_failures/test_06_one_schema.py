"""Case 6: nested columns that are empty or null in the first files and filled in later ones: one schema, read in one scan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest

from tests.lookalike import service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

RETURNS, TECHNICIANS = "inventory.returns", "settings.technicians"
DAYS: list[tuple[int, Any]] = [
    (17, [{"id": 1, "serialNumbers": []}]),
    (18, None),
    (19, [{"id": 2, "serialNumbers": [{"id": 5, "number": "SN-5"}]}]),
]


def day(number: int) -> datetime:
    return datetime(2026, 11, number, 12, tzinfo=UTC)


async def test_empty_null_and_filled_lists_are_told_apart_in_one_scan(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {RETURNS: 0}}) as running:
        for number, items in DAYS:
            running.changes.add(RETURNS, {"items": items, "batch": {} if number == 18 else None}, modified_on=day(number))
            await running.run(RETURNS)
    files = [str(tmp_path / name) for name in running.lake.files(RETURNS)]
    assert len(files) == 3
    schemas = {str(pa.parquet.read_schema(name)) for name in files}
    assert len(schemas) == 1
    tables = {
        "pyarrow": pa.dataset.dataset(files).to_table(columns=["modifiedOn", "items", "batch"]),
        "polars": pl.read_parquet(files, columns=["modifiedOn", "items", "batch"]).to_arrow(),
        "duckdb": duckdb.sql("select modifiedOn, items, batch from read_parquet($1)", params=[files]).to_arrow_table(),
    }
    for table in tables.values():
        rows = sorted(table.to_pylist(), key=lambda row: row["modifiedOn"])
        items = [row["items"] and [(each["id"], each["serialNumbers"]) for each in row["items"]] for row in rows]
        assert items == [[(1, [])], None, [(2, [{"id": 5, "number": "SN-5"}])]]
        assert [row["batch"] for row in rows] == [None, {"id": None, "number": None, "name": None}, None]


async def test_a_null_a_list_of_null_and_an_empty_list(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {TECHNICIANS: 0}}) as running:
        ids = [running.changes.add(TECHNICIANS, {"permissions": sent}) for sent in (None, [None], [])]
        await running.run(TECHNICIANS)
        held = {str(row.values["id"]): row.values["permissions"] for row in running.lake.rows(TECHNICIANS)}
        assert [held[each] for each in ids] == [None, [None], []]


async def test_an_object_where_a_list_is_declared_is_rescued(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {RETURNS: 0}}) as running:
        running.changes.add(RETURNS, {"externalData": {}})
        await running.run(RETURNS)
        (row,) = running.lake.rows(RETURNS)
        assert (row.values["externalData"], '"externalData":{}' in row.values["_rescued"]) == (None, True)

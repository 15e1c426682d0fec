"""Files of an older catalog beside newer ones: read in one scan by each engine, and retyped columns by the stated rule."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from st_export.errors import EntityFailed
from st_export.lake.compact import compact
from st_export.lake.evolution import unified
from st_export.lake.query import query
from tests.lake.lakes import JOBS, MOMENT, MONEY, Lake, job

if TYPE_CHECKING:
    from st_export.lake.shape import Shape

pytestmark = pytest.mark.anyio
ADDRESS = pa.struct([("street", pa.string())])
WIDER = pa.struct([("street", pa.string()), ("zip", pa.string())])


def with_columns(shape: Shape, **columns: pa.DataType) -> Shape:
    """Return the shape with columns added or retyped, ours last."""
    fields = {field.name: field for field in shape.schema}
    own = [fields.pop(name) for name in list(fields) if name.startswith("_")]
    fields |= {name: pa.field(name, kind) for name, kind in columns.items()}
    return replace(shape, schema=pa.schema([*fields.values(), *own]))


OLD = with_columns(JOBS, address=ADDRESS, items=pa.list_(ADDRESS))
NEW = with_columns(OLD, address=WIDER, items=pa.list_(WIDER), projectId=pa.int64())


@pytest.fixture
def grown(lake: Lake) -> Lake:
    """A lake whose catalog gained a column and a field of a struct between two runs."""
    lake.commit(OLD, [{**job(1, "2026-11-20", "a"), "address": {"street": "x"}, "items": [{"street": "x"}]}])
    new = {**job(2, "2026-11-21", "b"), "address": {"street": "y", "zip": "1"}, "items": [{"street": "y", "zip": "1"}], "projectId": 7}
    lake.commit(NEW, [new], partition="2026-11-23")
    return lake


EXPECTED: list[dict[str, Any]] = [
    {"id": 1, "address": {"street": "x", "zip": None}, "items": [{"street": "x", "zip": None}], "projectId": None},
    {"id": 2, "address": {"street": "y", "zip": "1"}, "items": [{"street": "y", "zip": "1"}], "projectId": 7},
]


async def rows(lake: Lake, shape: Shape, sql: str) -> list[dict[str, Any]]:
    sink = io.StringIO()
    await query(lake.store, [shape], sql, output="json", sink=sink)
    return list(orjson.loads(sink.getvalue()))


async def test_query_and_compact_read_old_and_new_files_in_one_scan(grown: Lake) -> None:
    sql = 'select id, address, items, "projectId" from jpm.jobs order by id'
    assert await rows(grown, NEW, sql) == EXPECTED
    await compact(grown.store, [NEW])
    assert await rows(grown, NEW, sql) == EXPECTED
    assert ds.dataset(grown.root / "current/jpm.jobs").schema.field("address").type == WIDER


async def test_a_column_that_no_file_has_yet_is_null(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    assert await rows(lake, NEW, 'select "projectId", address from jpm.jobs') == [{"projectId": None, "address": None}]


async def test_compact_rewrites_all_parts_when_the_catalog_grew(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    await compact(lake.store, [JOBS])
    assert (await compact(lake.store, [NEW]))[0].parts_written == 1
    assert "projectId" in ds.dataset(lake.root / "current/jpm.jobs").schema.names


def test_pyarrow_reads_them_with_the_newest_schema(grown: Lake) -> None:
    schema = pa.schema([field for field in NEW.schema if field.name in EXPECTED[0]])
    table = ds.dataset(grown.root / "jpm.jobs", schema=schema, format="parquet").to_table()
    assert table.sort_by("id").to_pylist() == EXPECTED


def test_polars_reads_them_when_told_that_columns_and_fields_may_be_missing(grown: Lake) -> None:
    newest_first = sorted((str(path) for path in (grown.root / "jpm.jobs").rglob("*.parquet")), reverse=True)
    options = pl.ScanCastOptions(missing_struct_fields="insert")
    frame = pl.scan_parquet(newest_first, missing_columns="insert", cast_options=options, hive_partitioning=False)
    assert frame.select(list(EXPECTED[0])).sort("id").collect().to_dicts() == EXPECTED


@pytest.mark.parametrize(
    ("old", "new", "value", "read"),
    [
        (pa.int64(), MONEY, 5, 5),
        (pa.decimal128(18, 2), MONEY, Decimal("1.25"), 1.25),
        (pa.int64(), pa.string(), 5, "5"),
        (MONEY, pa.string(), Decimal("1.25"), "1.250000000"),
        (pa.int32(), pa.int64(), 5, 5),
    ],
)
async def test_a_retyped_column_is_cast_up_where_nothing_is_lost(lake: Lake, old: Any, new: Any, value: Any, read: Any) -> None:
    lake.commit(with_columns(JOBS, size=old), [{**job(1, "2026-11-20", "a"), "size": value}])
    shape = with_columns(JOBS, size=new)
    lake.commit(shape, [job(2, "2026-11-20", "a")])
    assert await rows(lake, shape, "select size from jpm.jobs where id = 1") == [{"size": read}]
    assert [one.error for one in await compact(lake.store, [shape])] == [None]
    assert await rows(lake, shape, "select size from jpm.jobs where id = 1") == [{"size": read}]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pa.float64(), MONEY),
        (pa.int64(), pa.float64()),
        (pa.date32(), MOMENT),
        (pa.string(), pa.list_(pa.string())),
        (pa.decimal128(38, 9), pa.decimal128(38, 18)),
    ],
)
async def test_any_other_retyping_is_an_error_that_names_the_column(lake: Lake, old: Any, new: Any) -> None:
    lake.commit(with_columns(JOBS, size=old), [job(1, "2026-11-20", "a")])
    shape = with_columns(JOBS, size=new)
    with pytest.raises(EntityFailed, match="`size`"):
        await rows(lake, shape, "select id from jpm.jobs")
    [done] = await compact(lake.store, [shape])
    assert done.error is not None
    assert "`size`" in done.error


def test_a_nested_retyping_names_its_path() -> None:
    old = pa.schema([("items", pa.list_(pa.struct([("cost", pa.float64())])))])
    new = pa.schema([("items", pa.list_(pa.struct([("cost", MONEY)])))])
    with pytest.raises(EntityFailed, match=r"`items\[\].cost`"):
        unified([old, new], "inventory.returns")


def test_a_column_that_left_the_catalog_stays_before_ours() -> None:
    old = pa.schema([("id", pa.int64()), ("gone", pa.string()), ("_run_id", pa.string())])
    new = pa.schema([("id", pa.int64()), ("added", pa.string()), ("_run_id", pa.string())])
    assert unified([old, new], "jpm.jobs").names == ["id", "added", "gone", "_run_id"]

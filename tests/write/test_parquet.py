"""Files as every reader sees them: one schema, sorted, of the target size, with the checksum that was said."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from st_export.flow import DataFile, EntityName, TenantId
from st_export.write.parquet import FileFormat, ParquetFiles, Place

US = pa.timestamp("us", "UTC")
SERIAL = pa.struct([("id", pa.int64()), ("number", pa.string())])
ITEM = pa.struct([("id", pa.int64()), ("cost", pa.decimal128(38, 9)), ("serialNumbers", pa.list_(SERIAL))])
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("modifiedOn", US),
        ("order", pa.string()),
        ("startDate", pa.date32()),
        ("total", pa.decimal128(38, 9)),
        ("externalData", pa.struct([("key", pa.string())])),
        ("items", pa.list_(ITEM)),
        ("_rescued", pa.string()),
    ]
)
PLACE = Place(EntityName("inventory.returns"), TenantId(1001), "day", "run-0001-all")


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"id": number, "modifiedOn": datetime(2026, 11, 20, tzinfo=UTC), **values}


def files(spool: Path, **options: Any) -> ParquetFiles:
    return ParquetFiles(PLACE, SCHEMA, ("id", "modifiedOn"), FileFormat(**options), spool)


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def put(root: Path, written: tuple[DataFile, ...]) -> list[str]:
    for file in written:
        target = root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(str(file.local)).rename(target)
    return [str(root / file.path) for file in written]


def test_three_readers_read_all_files_in_one_scan(tmp_path: Path) -> None:
    writer = files(tmp_path)
    days = [
        row(1, items=[{"id": 1, "cost": Decimal("0.1"), "serialNumbers": []}], externalData={}, order="x"),
        row(2, items=None, total=Decimal("1234567.89"), startDate=date(2025, 8, 1)),
        row(3, items=[{"id": 2, "cost": None, "serialNumbers": [{"id": 5, "number": "SN-5"}]}], modifiedOn=datetime(1, 1, 1, tzinfo=UTC)),
        row(4, items=[]),
    ]
    for number, values in enumerate(days):
        writer.write(f"2026-11-{number + 1:02d}", table(values))
    paths = put(tmp_path, writer.finish())
    expected = table(*days).to_pylist()
    glob = str(tmp_path / "inventory.returns/*/*/*.parquet")
    names = ", ".join(f'"{name}"' for name in SCHEMA.names)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        by_duckdb = connection.sql(f"SELECT {names} FROM read_parquet('{glob}') ORDER BY id").to_arrow_table()
    assert (
        by_duckdb.select(["order", "total", "externalData", "items"]).to_pylist()
        == table(*days).select(["order", "total", "externalData", "items"]).to_pylist()
    )
    assert ds.dataset(paths, format="parquet").to_table().sort_by("id").to_pylist() == expected
    by_polars = pl.scan_parquet(glob, hive_partitioning=True).sort("id").collect()
    assert by_polars["items"].to_list() == [values["items"] for values in expected]
    assert by_polars["total"].to_list() == [values["total"] for values in expected]
    assert [pq.read_schema(path).equals(SCHEMA) for path in paths] == [True] * 4


def test_the_checksum_and_size_are_of_the_bytes(tmp_path: Path) -> None:
    writer = files(tmp_path)
    writer.write("2026-11-20", table(*(row(number) for number in range(100))))
    [file] = writer.finish()
    data = Path(str(file.local)).read_bytes()
    assert file == DataFile(
        "inventory.returns/tenant_id=1001/day=2026-11-20/run-0001-all-00.parquet",
        "2026-11-20",
        100,
        len(data),
        hashlib.sha256(data).hexdigest(),
        file.local,
    )


def test_rows_are_sorted_by_key_and_time(tmp_path: Path) -> None:
    writer = files(tmp_path)
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    writer.write("2026-11-20", table(row(3), row(1, modifiedOn=late), row(2), row(1, modifiedOn=early)))
    [file] = writer.finish()
    parquet = pq.ParquetFile(str(file.local))
    read = parquet.read(columns=["id", "modifiedOn"]).to_pylist()
    assert [(values["id"], values["modifiedOn"].month) for values in read] == [(1, 1), (1, 2), (2, 11), (3, 11)]
    group = parquet.metadata.row_group(0)
    assert [(column.column_index, column.descending) for column in group.sorting_columns] == [(0, False), (1, False)]
    assert (group.column(0).statistics.min, group.column(0).statistics.max) == (1, 3)


def heavy(start: int, count: int) -> pa.Table:
    random = np.random.default_rng(start)
    return table(*(row(start + number, order=random.bytes(60).hex()) for number in range(count)))


@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
def test_files_stay_near_the_target(tmp_path: Path, compression: str) -> None:
    target = 300_000
    writer = files(tmp_path, target_bytes=target, compression=compression)
    for start in range(0, 20_000, 2_500):
        writer.write("2026-11-20", heavy(start, 2_500))
    written = writer.finish()
    assert [file.path[-10:] for file in written] == [f"{part:02d}.parquet" for part in range(len(written))]
    assert max(file.bytes for file in written) < target * 1.2
    assert min(file.bytes for file in written[:-1]) > target * 0.75
    assert sum(file.rows for file in written) == 20_000


def test_one_large_slice_is_cut_too(tmp_path: Path) -> None:
    writer = files(tmp_path, target_bytes=200_000)
    writer.write("2026-11-20", heavy(0, 10_000))
    sizes = [file.bytes for file in writer.finish()]
    assert len(sizes) > 2
    assert max(sizes) < 240_000


def test_each_partition_counts_its_own_parts(tmp_path: Path) -> None:
    writer = files(tmp_path)
    for day in ("2026-11-20", "2026-11-21"):
        writer.write(day, table(row(1)))
        writer.write(day, table(row(2)))
    assert [(file.partition, file.rows, file.path[-10:]) for file in writer.finish()] == [
        ("2026-11-20", 2, "00.parquet"),
        ("2026-11-21", 2, "00.parquet"),
    ]


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    sums = set()
    for _ in range(2):
        writer = files(tmp_path)
        writer.write("2026-11-20", heavy(0, 1_000))
        sums.add(writer.finish()[0].sha256)
        writer.discard()
    assert len(sums) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_row_without_its_key_is_refused(tmp_path: Path) -> None:
    loose = pa.schema([field.with_nullable(nullable=True) for field in SCHEMA])
    with pytest.raises(ValueError, match="1 rows without `id`"):
        files(tmp_path).write("2026-11-20", pa.Table.from_pylist([{"id": None}], schema=loose))


def test_a_column_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    wrong = table(row(1)).set_column(2, "order", pa.array([[1]]))
    with pytest.raises(ValueError, match="do not fit the schema"):
        files(tmp_path).write("2026-11-20", wrong)


def test_a_unit_given_up_leaves_nothing(tmp_path: Path) -> None:
    writer = files(tmp_path)
    writer.write("2026-11-20", table(row(1)))
    writer.write("2026-11-21", table(row(1)))
    writer.discard()
    assert list(tmp_path.iterdir()) == []

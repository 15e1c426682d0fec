"""The rows of a unit come back as slices, however they were kept."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from st_export.flow import RunId, TenantId
from st_export.write.batches import Stamp, UnitRows
from st_export.write.budget import ByteBudget
from st_export.write.partition import Partitioning

if TYPE_CHECKING:
    from pathlib import Path

US = pa.timestamp("us", "UTC")
NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
GIVEN = pa.schema([pa.field("id", pa.int64(), nullable=False), ("modifiedOn", US), ("summary", pa.string()), ("_rescued", pa.string())])
SCHEMA = pa.schema(
    [*list(GIVEN)[:3], ("_tenant_id", pa.int64()), ("_exported_at", US), ("_run_id", pa.string()), ("_deleted", pa.bool_()), GIVEN.field(3)]
)
DAY_US = 86_400_000_000
DAYS = Partitioning("day", ("modifiedOn",), date(2026, 11, 25))


def unit(spool: Path, budget: ByteBudget | None = None, **sizes: int) -> UnitRows:
    return UnitRows(SCHEMA, ("id",), DAYS, Stamp(TenantId(1001), RunId("r1")), budget or ByteBudget(1 << 30), spool, **sizes)


def page(ids: list[int], days: list[int]) -> pa.RecordBatch:
    moments = pa.array([day * DAY_US for day in days], pa.int64()).cast(US)
    texts = pa.array([f"{number} " + "x" * 200 for number in ids])
    return pa.RecordBatch.from_arrays([pa.array(ids, pa.int64()), moments, texts, pa.nulls(len(ids), pa.string())], schema=GIVEN)


def test_our_columns_stand_where_the_schema_has_them(tmp_path: Path) -> None:
    rows = unit(tmp_path)
    rows.add(page([1], [3]), NOW)
    rows.add(page([2], [3]), NOW)
    [piece] = rows.slices()
    assert (piece.partition, piece.table.schema) == ("1970-01-04", SCHEMA)
    own = piece.table.select(["id", "_tenant_id", "_exported_at", "_run_id", "_deleted", "_rescued"]).to_pylist()
    base = {"_tenant_id": 1001, "_run_id": "r1", "_deleted": False, "_rescued": None}
    assert own == [{"id": 1, "_exported_at": NOW, **base}, {"id": 2, "_exported_at": NOW.replace(microsecond=1), **base}]


@pytest.mark.parametrize("part_bytes", [1, 5_000, 1 << 30])
def test_slices_are_the_rows_by_partition_and_range_of_keys(tmp_path: Path, part_bytes: int) -> None:
    budget = ByteBudget(1 << 30)
    rows = unit(tmp_path, budget, part_bytes=part_bytes, slice_bytes=20_000)
    expected = Counter[tuple[str, int]]()
    for start in range(0, 600, 50):
        ids = [(number * 7) % 600 for number in range(start, start + 50)]
        days = [0 if number % 3 else number % 10 for number in ids]
        expected.update((f"1970-01-{day + 1:02d}", number) for number, day in zip(ids, days, strict=True))
        rows.add(page(ids, days), NOW)
    pieces = list(rows.slices())
    found = Counter((str(piece.partition), number) for piece in pieces for number in piece.table["id"].to_pylist())
    assert found == expected
    assert rows.partitions() == tuple(sorted({partition for partition, _ in expected}))
    assert [piece.partition for piece in pieces] == sorted(str(piece.partition) for piece in pieces)
    first_day = [piece.table["id"].to_pylist() for piece in pieces if piece.partition == "1970-01-01"]
    assert all(max(one) < min(other) for one, other in itertools.pairwise(first_day))
    assert rows.has_spilled is (part_bytes < 1 << 30)
    assert [piece.table for piece in rows.slices()] == [piece.table for piece in pieces]
    rows.discard()
    assert (budget.used_bytes, list(tmp_path.iterdir())) == (0, [])


def test_a_short_budget_sends_rows_to_disk(tmp_path: Path) -> None:
    budget = ByteBudget(20_000)
    units = [unit(tmp_path, budget) for _ in range(5)]
    for start in range(0, 500, 20):
        for rows in units:
            rows.add(page(list(range(start, start + 20)), [0] * 20), NOW)
    one_page = page(list(range(20)), [0] * 20).nbytes
    assert budget.most_bytes < 20_000 + 2 * one_page
    assert [rows.has_spilled for rows in units] == [True] * 5
    assert [sum(table.num_rows for table in rows.tables()) for rows in units] == [500] * 5
    for rows in units:
        rows.discard()
    assert budget.used_bytes == 0


def test_a_slice_keeps_the_order_of_a_key(tmp_path: Path) -> None:
    rows = unit(tmp_path, part_bytes=1, slice_bytes=3_000)
    for number in range(40):
        rows.add(page([number % 4], [0]), NOW)
    moments: dict[int, list[datetime]] = {}
    for table in rows.tables():
        for row in table.select(["id", "_exported_at"]).to_pylist():
            moments.setdefault(row["id"], []).append(row["_exported_at"])
    assert {key: len(times) for key, times in moments.items()} == dict.fromkeys(range(4), 10)
    assert all(times == sorted(times) for times in moments.values())
    rows.discard()


def test_rows_without_a_key_are_cut_as_they_came(tmp_path: Path) -> None:
    rows = UnitRows(SCHEMA, (), DAYS, Stamp(TenantId(1), RunId("r")), ByteBudget(1 << 30), tmp_path, part_bytes=1, slice_bytes=5_000)
    for start in range(0, 100, 10):
        rows.add(page(list(range(start, start + 10)), [0] * 10), NOW)
    tables = [table["id"].to_pylist() for table in rows.tables()]
    assert len(tables) > 2
    assert [number for ids in tables for number in ids] == list(range(100))
    rows.discard()


def test_rows_of_another_schema_are_refused(tmp_path: Path) -> None:
    rows = unit(tmp_path)
    with pytest.raises(ValueError, match="missing: \\['summary'\\]"):
        rows.add(page([1], [1]).drop_columns(["summary"]), NOW)


def test_rows_after_the_reading_are_refused(tmp_path: Path) -> None:
    rows = unit(tmp_path, part_bytes=1)
    rows.add(page([1], [1]), NOW)
    assert len(list(rows.slices())) == 1
    with pytest.raises(ValueError, match="after the reading"):
        rows.add(page([2], [1]), NOW)
    rows.discard()


def test_nothing_gives_nothing(tmp_path: Path) -> None:
    rows = unit(tmp_path)
    rows.add(page([], []), NOW)
    assert (list(rows.slices()), rows.partitions(), rows.rows) == ([], (), 0)
    rows.discard()
    rows.discard()


def test_the_newest_partition_moves_to_the_next_unit(tmp_path: Path) -> None:
    budget = ByteBudget(1 << 30)
    rows, following = unit(tmp_path, budget), unit(tmp_path, budget)
    rows.add(page([1, 2, 3], [0, 0, 1]), NOW)
    rows.add(page([4, 5, 6], [1, 2, 2]), NOW)
    rows.add(page([7, 8], [2, 1]), NOW)  # a late one among the newest
    held = rows.bytes
    rows.cut_newest(following)
    assert {piece.partition: piece.table["id"].to_pylist() for piece in rows.slices()} == {"1970-01-01": [1, 2], "1970-01-02": [3, 4, 8]}
    assert {piece.partition: piece.table["id"].to_pylist() for piece in following.slices()} == {"1970-01-03": [5, 6, 7]}
    assert (rows.rows, following.rows, rows.newest, following.newest) == (5, 3, 1, 2)
    assert 0 < rows.bytes < held
    following.add(page([5], [2]), NOW)  # the same moment: later all the same
    [piece] = following.slices()
    moments = dict(zip(piece.table["id"].to_pylist(), piece.table["_exported_at"].to_pylist(), strict=True))
    assert moments[5] > max(moments[6], moments[7])
    rows.discard()
    following.discard()
    assert budget.used_bytes == 0


def test_what_has_moved_to_disk_stays_with_its_unit(tmp_path: Path) -> None:
    rows, following = unit(tmp_path, part_bytes=1), unit(tmp_path)
    rows.add(page([1, 2], [0, 1]), NOW)
    rows.cut_newest(following)
    assert (rows.rows, following.rows, rows.has_spilled) == (2, 0, True)
    rows.discard()


def test_rows_of_a_partition_come_in_the_order_of_their_files(tmp_path: Path) -> None:
    rows = unit(tmp_path)
    rows.add(page([9, 4, 7, 4], [1, 0, 0, 1]), NOW)
    rows.add(page([2, 4], [1, 1]), NOW)
    found = [(piece.partition, piece.table["id"].to_pylist()) for piece in rows.slices()]
    assert found == [("1970-01-01", [4, 7]), ("1970-01-02", [2, 4, 4, 9])]
    moments = next(itertools.islice(rows.slices(), 1, None)).table["_exported_at"].to_pylist()
    assert moments[1] < moments[2]  # equal keys and times: as they came
    rows.discard()


def test_bytes_count_once_where_room_runs_short_in_the_midst_of_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = ByteBudget(1 << 30)
    rows, following = unit(tmp_path, budget), unit(tmp_path, budget)
    for ids, days in (([1, 2, 3], [0, 0, 1]), ([4, 5, 6], [0, 1, 0]), ([7, 8], [0, 1])):
        rows.add(page(ids, days), NOW)
    others = 1 << 20
    budget.take(others)
    budget.limit_bytes = others
    move = rows._move_to_disk

    def given_back() -> None:
        nonlocal others
        move()
        budget.give(others)
        others = 0

    monkeypatch.setattr(rows, "_move_to_disk", given_back)
    rows.cut_newest(following)
    assert rows.has_spilled
    assert sorted(number for table in rows.tables() for number in table["id"].to_pylist()) == [1, 2, 4, 6, 7]
    assert sorted(number for table in following.tables() for number in table["id"].to_pylist()) == [3, 5, 8]
    rows.discard()
    following.discard()
    assert budget.used_bytes == 0

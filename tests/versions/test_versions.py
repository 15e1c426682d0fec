"""No version twice: the filter against a model of sets, and what it costs."""

from __future__ import annotations

import math
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from st_export.commit.versions import RowColumns, VersionFilter
from st_export.flow import RunId, TenantId
from st_export.write.batches import Stamp, UnitRows
from st_export.write.budget import ByteBudget
from st_export.write.partition import Partitioning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

US = pa.timestamp("us", "UTC")
NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
GIVEN = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        ("modifiedOn", US),
        ("createdOn", US),
        ("cost", pa.float64()),
        ("items", pa.list_(pa.struct([("n", pa.int64()), ("tags", pa.list_(pa.string()))]))),
        ("_rescued", pa.string()),
    ]
)
OWN = [("_tenant_id", pa.int64()), ("_exported_at", US), ("_run_id", pa.string()), ("_deleted", pa.bool_())]
SCHEMA = pa.schema([*list(GIVEN)[:-1], *OWN, GIVEN.field("_rescued")])
KEY = ("id", "code")
PLACES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "day": ("day", ("modifiedOn", "createdOn")),
    "month": ("month", ("modifiedOn", "createdOn")),
    "createdOn": ("day", ("createdOn", "modifiedOn")),
    "run day": ("day", ()),
    "none": ("none", ()),
}


class Exporter:
    """Units into a lake, as a run does it; a new one is a new process."""

    def __init__(self, lake: Any, place: str, run_day: int = 1, *, memory_entries: int = 4, spills: bool = False) -> None:
        kind, by = PLACES[place]
        self.lake, self.kind, self.spills = lake, kind, spills
        self.where = Partitioning(kind, by, date(2026, 11, run_day))
        columns = RowColumns("jpm.jobs", 1001, SCHEMA, KEY, "modifiedOn", by)
        self.versions = VersionFilter(columns, lake, lake.spool, memory_entries=memory_entries)

    def commit(self, pages: list[list[dict[str, Any]]], *, is_lost: bool = False) -> int:
        sizes = {"part_bytes": 1, "slice_bytes": 2_000} if self.spills else {}
        rows = UnitRows(SCHEMA, KEY, self.where, Stamp(TenantId(1001), RunId("r")), ByteBudget(1 << 30), self.lake.spool, **sizes)
        for page in pages:
            rows.add(pa.RecordBatch.from_pylist(page, schema=GIVEN), NOW)
        unit = self.versions.unit()
        fresh = [(piece.partition, unit.fresh(piece.partition, piece.table)) for piece in rows.slices()]
        rows.discard()
        if not is_lost:
            unit.committed(self.lake.put(fresh, SCHEMA, (*KEY, "modifiedOn"), self.kind))
        return sum(table.num_rows for _, table in fresh)


@pytest.fixture
def exporter() -> Iterator[Callable[..., Exporter]]:
    with ExitStack() as opened:

        def make(*args: Any, **options: Any) -> Exporter:
            made = Exporter(*args, **options)
            opened.callback(made.versions.close)
            return made

        yield make


def plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return value.isoformat() if isinstance(value, datetime) else value


def version(row: dict[str, Any]) -> str:
    return repr({name: plain(row[name]) for name in GIVEN.names})


moments = st.none() | st.sampled_from([datetime(2026, month, day, 12, tzinfo=UTC) for month in (10, 11) for day in (1, 2)])
rows_given = st.fixed_dictionaries(
    {
        "id": st.integers(1, 3),
        "code": st.sampled_from(["a", "b"]),
        "modifiedOn": moments,
        "createdOn": moments,
        "cost": st.none() | st.sampled_from([1.5, math.nan]),
        "items": st.none() | st.sampled_from([[], [{"n": 1, "tags": None}], [{"n": 1, "tags": []}], [None]]),
        "_rescued": st.none() | st.just("{}"),
    }
)
units = st.lists(st.tuples(st.lists(st.lists(rows_given, max_size=6), min_size=1, max_size=3), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(history=units, place=st.sampled_from(sorted(PLACES)), spills=st.booleans())
def test_the_lake_holds_each_version_once(
    lake_folder: Any, history: list[tuple[list[list[dict[str, Any]]], bool]], place: str, spills: bool
) -> None:
    with TemporaryDirectory() as folder, ExitStack() as opened:
        lake = lake_folder(Path(folder))
        run = Exporter(lake, place, spills=spills)
        opened.callback(run.versions.close)
        model: set[str] = set()
        for day, (pages, is_new_run) in enumerate(history, 1):
            if is_new_run:
                run = Exporter(lake, place, run_day=day, spills=spills)
                opened.callback(run.versions.close)
            new = {version(row) for page in pages for row in page} - model
            assert run.commit(pages) == len(new)
            model |= new
        assert sorted(version(row) for row in lake.rows()) == sorted(model)
        opened.close()
        assert list(lake.spool.iterdir()) == []


def job(number: int, **values: Any) -> dict[str, Any]:
    return {"id": number, "code": "a", "modifiedOn": datetime(2026, 11, 20, 2, tzinfo=UTC), "createdOn": None, "cost": None, **values}


def test_a_first_write_opens_no_file(lake: Any, exporter: Any) -> None:
    run = exporter(lake, "day")
    assert run.commit([[job(number) for number in range(100)]]) == 100
    assert run.commit([[job(number) for number in range(100, 200)]]) == 100
    assert lake.opened == []


def test_a_run_opens_only_files_of_its_days_and_times(lake: Any, exporter: Any) -> None:
    early, late = datetime(2026, 11, 20, 2, tzinfo=UTC), datetime(2026, 11, 20, 3, tzinfo=UTC)
    for moment in (early, late, datetime(2026, 11, 21, tzinfo=UTC)):
        exporter(lake, "day").commit([[job(1, modifiedOn=moment)]])
    lake.opened.clear()
    run = exporter(lake, "day")
    assert run.commit([[job(1, modifiedOn=late, cost=1.0)]]) == 1
    assert sorted({path.split("/")[2] for path in lake.opened}) == ["day=2026-11-20"]
    assert len(lake.opened) == 3  # two footers, and the one whose times meet once more for its row


def test_a_lost_unit_leaves_its_versions_new(lake: Any, exporter: Any) -> None:
    run = exporter(lake, "day")
    assert run.commit([[job(1), job(2)]], is_lost=True) == 2
    assert run.commit([[job(1), job(2), job(3)]]) == 3


def test_a_committed_unit_that_was_not_told_is_read(lake: Any, exporter: Any) -> None:
    run = exporter(lake, "none")
    exporter(lake, "none").commit([[job(1), job(2)]])
    assert run.commit([[job(1), job(2), job(3)]]) == 1


def test_one_time_for_twelve_thousand_jobs(lake: Any, exporter: Any) -> None:
    assert exporter(lake, "day").commit([[job(number) for number in range(12_000)]]) == 12_000
    second = [job(number) for number in range(11_000, 12_001)] + [job(20_000, modifiedOn=datetime(2026, 11, 20, 1, 40, tzinfo=UTC))]
    assert exporter(lake, "day").commit([second]) == 2
    assert len({row["id"] for row in lake.rows()}) == 12_002


def test_many_contents_of_one_key_and_time_are_all_kept(lake: Any, exporter: Any) -> None:
    contents = [job(1, cost=float(number)) for number in range(2_000)]
    assert exporter(lake, "day").commit([contents, contents]) == 2_000
    assert exporter(lake, "day").commit([contents]) == 0


def test_contents_of_one_key_and_time_are_ordered_as_they_came(lake: Any, exporter: Any) -> None:
    exporter(lake, "day").commit([[job(1, cost=2.0), job(1, cost=1.0)], [job(1, cost=3.0)]])
    ordered = sorted(lake.rows(), key=lambda row: row["_exported_at"])
    assert [row["cost"] for row in ordered] == [2.0, 1.0, 3.0]
    assert len({row["_exported_at"] for row in ordered}) == 3


def test_a_column_that_the_catalog_gained_is_null_in_older_files(lake: Any, exporter: Any) -> None:
    old = pa.schema([field for field in SCHEMA if field.name not in ("cost", "createdOn")])
    row = job(1) | {"items": None, "_tenant_id": 1001, "_exported_at": NOW, "_run_id": "r", "_deleted": False, "_rescued": None}
    table = pa.Table.from_pylist([{name: row[name] for name in old.names}], schema=old)
    lake.put([("2026-11-20", table)], old, KEY)
    assert exporter(lake, "day").commit([[job(1)]]) == 0
    assert exporter(lake, "day").commit([[job(1, cost=0.0)]]) == 1


def test_tombstones_are_no_versions(lake: Any, exporter: Any) -> None:
    empty = dict.fromkeys(SCHEMA.names)
    stone = empty | {"id": 1, "code": "a", "_deleted": True, "_exported_at": NOW}
    lake.put([("2026-11-01", pa.Table.from_pylist([stone], schema=SCHEMA))], SCHEMA, KEY)
    assert exporter(lake, "run day", run_day=1).commit([[job(1, modifiedOn=None)]]) == 1


def test_versions_on_disk_are_found(lake: Any, exporter: Any) -> None:
    run = exporter(lake, "none", memory_entries=100)
    for start in range(0, 1_000, 50):
        assert run.commit([[job(number) for number in range(start, start + 50)]]) == 50
    assert run.commit([[job(number) for number in range(1_010)]]) == 10
    run.versions.close()
    assert list(lake.spool.iterdir()) == []


@pytest.mark.anyio
async def test_units_wait_for_a_shared_partition_only(lake: Any, exporter: Any) -> None:
    versions = exporter(lake, "day").versions
    order: list[str] = []
    first_is_in, other_is_done = anyio.Event(), anyio.Event()

    async def unit(name: str, partitions: list[str]) -> None:
        async with versions.reserved(partitions):
            order.append(f"{name} in")
            if name == "first":
                first_is_in.set()
                await other_is_done.wait()
            order.append(f"{name} out")
        if name == "other":
            other_is_done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(unit, "first", ["2026-11-01", "2026-11-02"])
        await first_is_in.wait()
        group.start_soon(unit, "second", ["2026-11-02", "2026-11-03"])
        group.start_soon(unit, "other", ["2026-11-04"])
    assert order == ["first in", "other in", "other out", "first out", "second in", "second out"]

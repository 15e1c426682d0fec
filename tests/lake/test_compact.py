"""`compact`: one row a key in `current/`, only changed parts written, nothing lost when it is cut short."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from st_export.lake import compact as compacting
from st_export.lake.compact import Compacted, compact
from st_export.lake.index import manifest_ordinals
from st_export.lake.marker import read_marker
from st_export.lake.query import query
from st_export.lake.relations import is_fresh
from tests.lake.lakes import JOBS, MOMENT, REVENUE, ROLES, Lake, job, moment, shape, tombstone

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.lake.shape import Partition, Shape

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "VERSIONS_A_PART", 10)


async def current(lake: Lake, shape: Shape, columns: str) -> list[dict[str, Any]]:
    sink = io.StringIO()
    module, name = shape.view
    await query(lake.store, [shape], f"select {columns} from {module}.{name} order by all", output="json", sink=sink)
    return list(orjson.loads(sink.getvalue()))


def parts(lake: Lake, shape: Shape) -> dict[str, int]:
    folder = lake.root / "current" / shape.name / "tenant_id=1001"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def folder_rows(lake: Lake, shape: Shape) -> list[dict[str, Any]]:
    return list(ds.dataset(lake.root / "current" / shape.name, partitioning="hive").to_table().to_pylist())


async def test_the_parts_hold_each_key_once_and_query_reads_them(lake: Lake) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "old") for key in range(40)], at="2026-11-21T00:00:00")
    lake.commit(JOBS, [job(key, "2026-11-21", "new") for key in range(0, 40, 2)], at="2026-11-22T00:00:00")
    before = await current(lake, JOBS, "* exclude (total)")
    done = await compact(lake.store, [JOBS, ROLES])
    assert done == [Compacted("jpm.jobs", 1001, parts_written=8, parts=8, rows=40)]
    assert await is_fresh(lake.store, JOBS)
    assert await current(lake, JOBS, "* exclude (total)") == before
    assert sorted(row["id"] for row in folder_rows(lake, JOBS)) == list(range(40))
    schemas = {path: pq.read_schema(path) for path in (lake.root / "current").rglob("*.parquet")}
    assert all(schema.equals(JOBS.schema) for schema in schemas.values())


async def test_only_parts_with_changed_keys_are_written(lake: Lake) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "old") for key in range(80)])
    await compact(lake.store, [JOBS])
    before, log = parts(lake, JOBS), sorted((lake.root / "jpm.jobs").rglob("*"))
    lake.commit(JOBS, [job(7, "2026-11-22", "new")], at="2026-11-24T00:00:00")
    assert (await compact(lake.store, [JOBS]))[0].parts_written == 1
    after = parts(lake, JOBS)
    assert len(before) == len(after) == 8
    assert sum(after[name] != before[name] for name in after) == 1
    assert [row["end"] for row in folder_rows(lake, JOBS) if row["id"] == 7] == ["new"]
    assert set(log) <= set((lake.root / "jpm.jobs").rglob("*"))
    assert await compact(lake.store, [JOBS]) == [Compacted("jpm.jobs", 1001, 0, 8, 80)]


async def test_a_gone_key_leaves_its_part_and_returns_with_its_newest_version(lake: Lake) -> None:
    lake.commit(ROLES, [{"id": key, "name": "x"} for key in range(20)], at="2026-11-20T00:00:00")
    await compact(lake.store, [ROLES])
    lake.commit(ROLES, [tombstone(key) for key in range(20)], at="2026-11-21T00:00:00")
    await compact(lake.store, [ROLES])
    assert folder_rows(lake, ROLES) == []
    lake.commit(ROLES, [{"id": 3, "name": "back"}], at="2026-11-22T00:00:00")
    assert (await compact(lake.store, [ROLES]))[0].parts_written == 1
    assert [(row["id"], row["name"]) for row in folder_rows(lake, ROLES)] == [(3, "back")]


async def test_snapshots_are_compacted_by_window(lake: Lake) -> None:
    def line(day: int, name: str | None, **own: object) -> dict[str, Any]:
        return {"Name": name, "_window_from": moment(f"2026-11-{day:02d}"), "_window_to": None, **own}

    lake.commit(REVENUE, [line(day, name) for day in range(1, 21) for name in ("a", "a")], at="2026-11-22T00:00:00")
    await compact(lake.store, [REVENUE])
    lake.commit(REVENUE, [line(5, "b"), line(5, "b")], at="2026-11-23T00:00:00")
    lake.commit(REVENUE, [line(6, None, _deleted=True)], at="2026-11-24T00:00:00")
    await compact(lake.store, [REVENUE])
    found = sorted((row["_window_from"].day, row["Name"]) for row in folder_rows(lake, REVENUE))
    assert found == sorted([(day, "a") for day in range(1, 21) if day not in (5, 6)] * 2 + [(5, "b")] * 2)


class CutShort(Exception):
    """Stands for a kill between two puts."""


async def test_a_compact_that_died_is_repeated_and_loses_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "old") for key in range(40)])
    await compact(lake.store, [JOBS])
    lake.commit(JOBS, [job(key, "2026-11-22", "new") for key in range(60)], at="2026-11-24T00:00:00")
    real, puts = lake.store.put_file, list[str]()

    async def dies(path: str, local: Path) -> None:
        if len(puts) == 2:
            raise CutShort
        puts.append(path)
        await real(path, local)

    monkeypatch.setattr(lake.store, "put_file", dies)
    with pytest.raises(CutShort):
        await compact(lake.store, [JOBS])
    monkeypatch.undo()
    ids = [row["id"] for row in folder_rows(lake, JOBS)]
    assert len(ids) == len(set(ids)) >= 40
    assert not await is_fresh(lake.store, JOBS)
    assert len(await current(lake, JOBS, "id")) == 60
    await compact(lake.store, [JOBS])
    assert sorted((row["id"], row["end"]) for row in folder_rows(lake, JOBS)) == [(key, "new") for key in range(60)]


async def test_parts_and_the_computed_view_agree_over_random_histories(lake: Lake) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for night in range(12):
        batch: dict[int, dict[str, Any]] = {}
        for key in chance.sample(range(30), 6):
            modified = chance.choice([None, f"2026-11-{chance.randrange(1, 28):02d}"])
            batch[key] = tombstone(key) if chance.random() < 0.2 and night > 6 else job(key, modified, str(night))
        lake.commit(JOBS, list(batch.values()), at=f"2026-12-{night + 1:02d}T00:00:00", partition=f"2026-11-{night + 1:02d}")
        computed = await current(lake, JOBS, 'id, "end", day')
        await compact(lake.store, [JOBS])
        assert await is_fresh(lake.store, JOBS)
        assert await current(lake, JOBS, 'id, "end", day') == computed, f"seed {seed}, night {night}"


async def test_a_damaged_marker_is_made_anew_with_the_same_parts(lake: Lake) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "old") for key in range(40)])
    await compact(lake.store, [JOBS])
    (lake.root / "_st_export/current/jpm.jobs/1001.json").write_bytes(b"\0" * 20)
    lake.commit(JOBS, [job(key, "2026-11-20", "more") for key in range(100, 400)])
    assert await compact(lake.store, [JOBS]) == [Compacted("jpm.jobs", 1001, 4, 4, 340)]
    ordinals = (await manifest_ordinals(lake.store, "jpm.jobs"))[1001]
    marker = await read_marker(lake.store, "jpm.jobs", 1001)
    assert marker is not None
    assert marker.is_fresh(ordinals)


async def test_one_entity_that_cannot_be_read_does_not_hold_the_others(lake: Lake) -> None:
    path = lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    lake.commit(ROLES, [{"id": 1, "name": "x"}])
    (lake.root / path).write_bytes(b"no parquet")
    done = await compact(lake.store, [JOBS, ROLES])
    assert [(one.entity, one.rows, one.error is None) for one in done] == [("jpm.jobs", 0, False), ("settings.user-roles", 1, True)]


async def test_a_nested_time_orders_versions_and_months_are_a_column(lake: Lake) -> None:
    lead_call = pa.struct([("modifiedOn", MOMENT), ("end", pa.string())])
    calls = shape("telecom.calls-v3", ("id",), "leadCall.modifiedOn", [("id", pa.int64()), ("leadCall", lead_call)], "month")
    for day, end in (("2026-11-21", "new"), ("2026-11-20", "old")):
        lake.commit(calls, [{"id": 1, "leadCall": {"modifiedOn": moment(day), "end": end}}], partition="2026-11")
    expected = [{"id": 1, "end": "new", "year_month": "2026-11", "tenant_id": 1001}]
    columns = 'id, "leadCall"."end", year_month, tenant_id'
    assert await current(lake, calls, columns) == expected
    await compact(lake.store, [calls])
    assert await is_fresh(lake.store, calls)
    assert await current(lake, calls, columns) == expected


async def test_a_report_column_called_day_is_kept(lake: Lake) -> None:
    report = shape("report.days", (), None, [("Day", pa.string()), ("_window_from", MOMENT), ("_window_to", MOMENT)])
    lake.commit(report, [{"Day": "Monday", "_window_from": moment("2026-11-23"), "_window_to": moment("2026-11-24")}])
    assert await current(lake, report, '"Day", tenant_id') == [{"Day": "Monday", "tenant_id": 1001}]
    await compact(lake.store, [report])
    assert await current(lake, report, '"Day", tenant_id') == [{"Day": "Monday", "tenant_id": 1001}]


@pytest.mark.parametrize("partition", ["day", "month"])
async def test_days_are_right_and_in_no_file_over_nights_of_merging(lake: Lake, partition: Partition) -> None:
    jobs = shape("jpm.jobs", ("id",), "modifiedOn", [("id", pa.int64()), ("modifiedOn", MOMENT), ("end", pa.string())], partition)
    folder = {"day": "day", "month": "year_month"}[partition]
    for night in range(1, 6):
        for part in range(2):
            rows = [{"id": key, "modifiedOn": moment(f"2026-11-{night:02d}"), "end": "x"} for key in range(night * 7 + part, 60, 5 + night)]
            value = f"2026-{night:02d}-1{part}" if partition == "day" else f"2026-{night + part:02d}"
            lake.commit(jobs, rows, at=f"2026-11-{night:02d}T0{part}:00:00", partition=value)
        computed = await current(lake, jobs, f"*, {folder}")
        assert len({row[folder] for row in computed}) > night
        await compact(lake.store, [jobs])
        assert await is_fresh(lake.store, jobs)
        assert await current(lake, jobs, f"*, {folder}") == computed
        assert {tuple(pq.read_schema(path).names) for path in lake.root.rglob("*.parquet")} == {tuple(jobs.schema.names)}
    before = parts(lake, jobs)
    assert (await compact(lake.store, [jobs]))[0].parts_written == 0
    assert parts(lake, jobs) == before


async def test_parts_that_have_the_day_as_a_column_are_written_anew(lake: Lake) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "old") for key in range(40)])
    await compact(lake.store, [JOBS])
    expected = await current(lake, JOBS, 'id, "end", day')
    for path in (lake.root / "current").rglob("*.parquet"):  # as version 1 wrote them
        table = pq.read_table(path, partitioning=None)
        pq.write_table(table.append_column("day", pa.array([moment("2026-11-22").date()] * table.num_rows)), path)
    marker = lake.root / "_st_export/current/jpm.jobs/1001.json"
    marker.write_bytes(orjson.dumps(orjson.loads(marker.read_bytes()) | {"version": 1}))
    assert await current(lake, JOBS, 'id, "end", day') == expected
    assert await compact(lake.store, [JOBS]) == [Compacted("jpm.jobs", 1001, 4, 4, 40)]
    assert await current(lake, JOBS, 'id, "end", day') == expected
    assert all(pq.read_schema(path).names == JOBS.schema.names for path in (lake.root / "current").rglob("*.parquet"))

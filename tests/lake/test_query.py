"""SQL over small lakes: the contract's current rows, names, formats, and what SQL may not do."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pyarrow.parquet as pq
import pytest

from st_export.errors import ConfigError
from st_export.lake.query import query
from tests.lake.lakes import JOBS, REVENUE, ROLES, Lake, job, moment, tombstone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
SHAPES = (JOBS, ROLES, REVENUE)


async def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    sink = io.StringIO()
    await query(lake.store, SHAPES, sql, output="json", sink=sink)
    return list(orjson.loads(sink.getvalue()))


async def test_current_is_the_newest_by_modified_then_by_export(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a"), job(2, None, "a"), job(3, "2026-11-21", "a")], at="2026-11-22T01:00:00")
    lake.commit(JOBS, [job(1, "2026-11-19", "late"), job(2, "2026-01-01", "b"), job(3, "2026-11-21", "b")], at="2026-11-22T02:00:00")
    assert await rows(lake, 'select id, "end" from jpm.jobs order by id') == [
        {"id": 1, "end": "a"},
        {"id": 2, "end": "b"},
        {"id": 3, "end": "b"},
    ]
    assert await rows(lake, "select count(*) as n from jpm.jobs_log") == [{"n": 6}]


async def test_a_tombstone_found_after_all_rows_hides_the_key_until_it_returns(lake: Lake) -> None:
    lake.commit(ROLES, [{"id": key, "name": "x"} for key in (1, 2, 3)], at="2026-11-20T00:00:00")
    lake.commit(ROLES, [tombstone(1), tombstone(2)], at="2026-11-21T00:00:00")
    lake.commit(ROLES, [{"id": 2, "name": "back"}], at="2026-11-22T00:00:00")
    assert await rows(lake, "select id, name from settings.user_roles order by id") == [
        {"id": 2, "name": "back"},
        {"id": 3, "name": "x"},
    ]


async def test_without_a_key_the_last_snapshot_of_each_window_is_current(lake: Lake) -> None:
    def line(day: int, name: str | None, **own: object) -> dict[str, Any]:
        return {"Name": name, "_window_from": moment(f"2026-11-0{day}"), "_window_to": moment(f"2026-11-0{day + 1}"), **own}

    lake.commit(REVENUE, [line(1, "a"), line(1, "a"), line(2, "c")], at="2026-11-03T00:00:00")
    lake.commit(REVENUE, [line(1, "b")], at="2026-11-04T00:00:00")
    lake.commit(REVENUE, [line(2, None, _deleted=True)], at="2026-11-05T00:00:00")
    assert await rows(lake, 'select "Name" from report.revenue') == [{"Name": "b"}]


async def test_tenants_are_apart_and_folders_are_columns(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")], tenant=1001, partition="2026-11-20")
    lake.commit(JOBS, [job(1, "2026-11-19", "b")], tenant=1002, partition="2026-11-19")
    expected = [{"tenant_id": 1001, "day": "2026-11-20", "end": "a"}, {"tenant_id": 1002, "day": "2026-11-19", "end": "b"}]
    for view in ("jpm.jobs", "jpm.jobs_log"):
        assert await rows(lake, f'select tenant_id, day, "end" from {view} order by 1') == expected


async def test_an_entity_without_files_has_its_columns_and_no_rows(lake: Lake) -> None:
    assert await rows(lake, 'select "end", tenant_id, day from jpm.jobs') == []
    described = await rows(lake, "describe jpm.jobs")
    assert [(row["column_name"], row["column_type"]) for row in described][:4] == [
        ("id", "BIGINT"),
        ("modifiedOn", "TIMESTAMP WITH TIME ZONE"),
        ("end", "VARCHAR"),
        ("total", "DECIMAL(38,9)"),
    ]


async def test_listing_shows_all_views(lake: Lake) -> None:
    listed = await rows(lake, "select table_schema || '.' || table_name as name from information_schema.tables order by 1")
    assert [row["name"] for row in listed] == [
        "jpm.jobs",
        "jpm.jobs_log",
        "report.revenue",
        "report.revenue_log",
        "settings.user_roles",
        "settings.user_roles_log",
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{file}'",
        "with w as (copy (select 1) to '{file}') select 1",
        "explain analyze copy (select 1) to '{file}'",
        "explain (analyze) copy (select 1) to '{file}'",
        "explain analyze with w as (copy (select 1) to '{file}') select 1",
        "create table '{file}' (a int)",
        "attach '{file}'",
        "export database '{file}'",
        "set threads = 1",
        "select 1; copy (select 1) to '{file}'",
        "",
    ],
)
async def test_sql_that_writes_is_refused(lake: Lake, sql: str) -> None:
    file = lake.root / "written"
    with pytest.raises(ConfigError):
        await rows(lake, sql.format(file=file))
    assert not file.exists()


@pytest.mark.parametrize(
    ("sql", "message", "hint"),
    [
        ("select * from jpm.job", "does not exist", "did you mean jpm.jobs?"),
        ("select * from jobs", "does not exist", "did you mean jpm.jobs?"),
        ("select nothing from jpm.jobs", 'column "nothing" not found', None),
        ("selec 1", "syntax error", None),
    ],
)
async def test_a_mistake_is_the_users(lake: Lake, sql: str, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        await rows(lake, sql)
    assert message in caught.value.message
    assert hint is None or hint == caught.value.hint


async def test_formats(lake: Lake, tmp_path: Path) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20T10:00:00.5", "a,b", "1234567.89"), job(2, None, "", "-0.1")])
    sql = 'select id, "modifiedOn", "end", total, [total] as list from jpm.jobs order by id'
    texts = {}
    for output in ("table", "csv", "json"):
        sink = io.StringIO()
        assert await query(lake.store, SHAPES, sql, output=output, sink=sink) == 2
        texts[output] = sink.getvalue()
    assert texts["csv"] == ('id,modifiedOn,end,total,list\n1,2026-11-20T10:00:00.500000Z,"a,b",1234567.89,[1234567.89]\n2,,,-0.1,[-0.1]\n')
    assert texts["json"] == (
        '[\n{"id":1,"modifiedOn":"2026-11-20T10:00:00.500000Z","end":"a,b","total":1234567.89,"list":[1234567.89]},\n'
        '{"id":2,"modifiedOn":null,"end":"","total":-0.1,"list":[-0.1]}\n]\n'
    )
    assert texts["table"].splitlines()[2:] == [
        " 1  2026-11-20T10:00:00.500000Z  a,b  1234567.89  [1234567.89]",
        " 2                                          -0.1  [-0.1]",
        "(2 rows)",
    ]
    assert await query(lake.store, SHAPES, sql, output="parquet", file=tmp_path / "out.parquet") == 2
    assert pq.read_table(tmp_path / "out.parquet").column("id").to_pylist() == [1, 2]


async def test_a_result_is_not_written_into_the_lake(lake: Lake) -> None:
    with pytest.raises(ConfigError, match="inside the lake"):
        await query(lake.store, SHAPES, "select 1", output="parquet", file=lake.root / "jpm.jobs" / "x.parquet")


async def test_a_cancelled_query_stops(lake: Lake) -> None:
    with anyio.move_on_after(0.2) as scope:
        await rows(lake, "select count(*) from range(10000000000) as a, range(1000) as b where a.range % 7 = b.range % 5")
    assert scope.cancelled_caught


async def test_a_lake_that_may_only_be_read_can_be_queried(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    before = sorted(lake.root.rglob("*"))
    assert await rows(lake, "select id from jpm.jobs") == [{"id": 1}]
    assert sorted(lake.root.rglob("*")) == before

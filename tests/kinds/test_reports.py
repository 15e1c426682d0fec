"""Reports and capacity of the look-alike: by day and in one go, snapshots, pinned columns, the service's habits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import orjson
import pytest

from st_export.run.readers import reports
from st_export.simulate.options import Fault, Report
from st_export.simulate.simulation import Simulation
from tests.lookalike import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lookalike import Service

pytestmark = pytest.mark.anyio

FIELDS = (("Name", "String"), ("Date", "Date"), ("Revenue", "Number"), ("name", "String"))
ROWS = (("a", "2026-11-19T00:00:00-05:00", 12.5, "x"), ("b", None, "007", 3), ("c", "2026-11-19T13:45:00-05:00", True, None))
DAILY = {"name": "revenue", "category": "accounting", "id": 101, "parameters": {"From": "{day}", "To": "{day}", "DateType": 1}}
RANGE = {"name": "revenue", "category": "accounting", "id": 101, "parameters": {"From": "{from}", "To": "{to}"}}
REVENUE = "report.revenue"


def with_report(*rows: tuple[Any, ...], fields: tuple[tuple[str, str], ...] = FIELDS, **more: Any) -> dict[str, Any]:
    return {"now": NOW, "report_interval_seconds": 0, "reports": (Report("accounting", 101, "Revenue", fields, rows),), **more}


@pytest.fixture
def posting(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return `serving`, with the bodies of all POST requests kept in `posted`."""
    posted: list[bytes] = []
    answer = Simulation.answer

    async def keep(self: Simulation, method: str, *rest: Any) -> Any:
        if method == "POST":
            posted.append(rest[3])
        return await answer(self, method, *rest)

    monkeypatch.setattr(Simulation, "answer", keep)
    serving.posted = posted  # type: ignore[attr-defined]
    return serving


def rows(it: Service, entity: str = REVENUE) -> list[dict[str, Any]]:
    return [row.values for row in it.lake.rows(entity)]


def days_asked(posted: list[bytes]) -> list[str]:
    found = [{each["name"]: each["value"] for each in orjson.loads(body)["parameters"]} for body in posted]
    assert all(each["From"] == each["To"] for each in found)
    return [each["From"] for each in found]


async def test_columns_have_the_described_types_and_misfits_are_kept(serving: Callable[..., Any]) -> None:
    async with serving(with_report(*ROWS), reports=[DAILY], start="2026-11-20") as it:
        assert (await it.run(REVENUE)).bad() == {}
        first, second, third = sorted(rows(it), key=lambda row: row["Name"])
        assert (first["Date"], first["Revenue"], first["name_2"]) == (date(2026, 11, 19), Decimal("12.5"), "x")
        assert orjson.loads(first["_rescued"]) == {"Date": "2026-11-19T00:00:00-05:00"}  # the zone is more than the column holds
        assert (second["Date"], second["name_2"]) == (None, None)
        assert orjson.loads(second["_rescued"])["name_2"] == 3
        assert third["Date"] == date(2026, 11, 19)
        assert orjson.loads(third["_rescued"]) == {"Date": "2026-11-19T13:45:00-05:00", "Revenue": True}
        assert (first["_window_from"], first["_window_to"]) == (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))


async def test_pages_are_asked_in_the_query_and_parameters_in_the_body(
    posting: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "PAGE_ROWS", 2)
    async with posting(with_report(*ROWS, report_needs_description=True), reports=[DAILY], start="2026-11-20") as it:
        run = await it.run(REVENUE)
        assert run.bad() == {}
        data = run.asked("/reports/101/data")
        assert [(seen.query["page"], seen.query["pageSize"]) for seen in data] == [("1", "2"), ("2", "2")]
        assert [sorted(orjson.loads(body)) for body in posting.posted] == [["parameters"]] * 2
        assert [seen.method for seen in run.log if "/reports/101" in seen.path] == ["GET", "POST", "POST"]
        assert len(rows(it)) == 3


@pytest.mark.parametrize(("first", "last"), [("2026-10-31", "2026-11-03"), ("2026-03-07", "2026-03-10")])
async def test_each_day_of_the_tenant_is_asked_once_over_clock_changes(first: str, last: str, posting: Callable[..., Any]) -> None:
    async with posting(with_report(*ROWS), reports=[DAILY]) as it:
        access = it.look_alike.tenants[0]
        secrets = {"client_id": access.client_id, "client_secret": access.client_secret, "app_key": access.app_key}
        it.settings["tenants"] = [{"id": access.id, **secrets, "timezone": "America/New_York"}]
        run = await it.backfill(datetime.fromisoformat(f"{first}T00:00Z"), datetime.fromisoformat(f"{last}T00:00Z"), REVENUE)
        assert run.bad() == {}
        start = date.fromisoformat(first)
        assert sorted(days_asked(posting.posted)) == [(start + timedelta(days=number)).isoformat() for number in range(3)]
        windows = sorted({(row["_window_from"], row["_window_to"]) for row in rows(it)})
        assert all(one[1] == other[0] for one, other in pairwise(windows))
        assert {(end - begin) // timedelta(hours=1) for begin, end in windows} in ({24, 25}, {23, 24})


async def test_days_already_read_are_asked_again_as_far_as_the_report_looks_back(posting: Callable[..., Any]) -> None:
    async with posting(with_report(*ROWS), reports=[{**DAILY, "lookback_days": 2}], start="2026-11-15") as it:
        await it.run(REVENUE)
        assert sorted(days_asked(posting.posted)) == [f"2026-11-{day}" for day in range(15, 21)]
        posting.posted.clear()
        again = await it.run(REVENUE)
        assert sorted(days_asked(posting.posted)) == ["2026-11-18", "2026-11-19", "2026-11-20"]
        assert again.files == 0


async def test_a_report_over_a_range_is_one_request_and_one_snapshot(posting: Callable[..., Any]) -> None:
    async with posting(with_report(*ROWS), reports=[RANGE], start="2026-11-15") as it:
        run = await it.run(REVENUE)
        assert run.bad() == {}
        assert [orjson.loads(body)["parameters"] for body in posting.posted] == [
            [{"name": "From", "value": "2026-11-15"}, {"name": "To", "value": "2026-11-20"}]
        ]
        assert {(row["_window_from"].day, row["_window_to"].day) for row in rows(it)} == {(15, 21)}
        posting.posted.clear()
        await it.backfill(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC), REVENUE)
        assert orjson.loads(posting.posted[0])["parameters"][1] == {"name": "To", "value": "2026-11-02"}


async def test_an_answer_that_differs_is_a_new_snapshot_of_its_day(serving: Callable[..., Any]) -> None:
    async with serving(with_report(*ROWS), reports=[DAILY], start="2026-11-20") as it:
        await it.run(REVENUE)
        simulation = it.look_alike.simulation
        simulation.reporting.reports[0] = Report("accounting", 101, "Revenue", FIELDS, ROWS[:1])
        run = await it.run(REVENUE)
        assert run.rows == 1
        simulation.reporting.reports[0] = Report("accounting", 101, "Revenue", FIELDS, ())
        run = await it.run(REVENUE)
        last = [row for row in rows(it) if row["_run_id"] == run.summary["run_id"]]
        assert [(row["Name"], row["_deleted"], row["_window_from"].day) for row in last] == [(None, True, 20)]


async def test_a_column_set_changed_by_the_owner_is_a_wider_schema(serving: Callable[..., Any]) -> None:
    async with serving(with_report(*ROWS), reports=[DAILY], start="2026-11-20") as it:
        await it.run(REVENUE)
        changed = (("Name", "Number"), ("Margin", "Number"), ("Day", "Date"))
        it.look_alike.simulation.reporting.reports[0] = Report(
            "accounting", 101, "Revenue", changed, (("a", 7, "2026-11-20"), (5, 8, None))
        )
        run = await it.run(REVENUE)
        assert run.bad() == {}
        files = [str(it.folder / name) for name in it.lake.files(REVENUE)]
        sql = "select * from read_parquet($1, union_by_name = true) where _run_id = $2 order by Margin"
        with duckdb.connect() as connection:
            last = connection.sql(sql, params=[files, run.summary["run_id"]]).to_arrow_table().to_pylist()
        assert [(row["Name"], row["Margin"], row["Day"], row["Date"]) for row in last] == [
            ("a", 7, date(2026, 11, 20), None),
            (None, 8, None, None),
        ]
        assert orjson.loads(last[1]["_rescued"]) == {"Name": 5}


async def test_a_column_that_only_the_answer_has_is_text(serving: Callable[..., Any]) -> None:
    async with serving(with_report(*ROWS), reports=[DAILY], start="2026-11-20") as it:
        answer = {
            "fields": [{"name": "Name"}, {"name": "New"}],
            "data": [["a", "b"]],
            "page": 1,
            "pageSize": 5,
            "hasMore": False,
            "totalCount": 1,
        }
        it.look_alike.simulation.answer_with("*/reports/101/data", answer)
        await it.run(REVENUE)
        assert [(row["Name"], row["New"]) for row in rows(it)] == [("a", "b")]


async def test_a_backfill_that_was_cut_goes_on_with_the_days_left(posting: Callable[..., Any]) -> None:
    async with posting(with_report(*ROWS), reports=[DAILY]) as it:
        window = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 7, tzinfo=UTC))
        it.look_alike.simulation.faults.add(Fault("forbidden", path="*/reports/101/data", after=2))
        assert (await it.backfill(*window, REVENUE)).exit_code != 0
        it.look_alike.simulation.faults.set(())
        posting.posted.clear()
        assert (await it.backfill(*window, REVENUE)).exit_code == 0
        assert days_asked(posting.posted) == [f"2026-11-0{day}" for day in range(3, 7)]
        assert len({row["_window_from"] for row in rows(it)}) == 6


async def test_pages_of_different_answers_are_read_again(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PAGE_ROWS", 2)
    async with serving(with_report(*ROWS), reports=[DAILY], start="2026-11-20") as it:
        old = {"fields": [{"name": "Name"}], "data": [["z"]], "page": 2, "pageSize": 2, "hasMore": False, "totalCount": 9}
        it.look_alike.simulation.answer_with("*/reports/101/data", old, query="page=2")
        run = await it.run(REVENUE)
        assert run.statuses() == {REVENUE: "failed"}
        assert "changed between its pages" in run.bad()[REVENUE]
        assert rows(it) == []


async def test_two_tenants_share_the_columns_of_a_report(serving: Callable[..., Any]) -> None:
    options = with_report(*ROWS, tenants=(1001, 1002))
    async with serving(options, reports=[DAILY], start="2026-11-20") as it:
        assert (await it.run(REVENUE)).exit_code == 0
        assert {row["_tenant_id"] for row in rows(it)} == {1001, 1002}
        assert [path.name for path in (it.folder / "_st_export/reports").iterdir()] == ["report.revenue.json"]


async def test_one_report_waits_and_others_run_beside_it(serving: Callable[..., Any]) -> None:
    options = {"now": NOW, "report_interval_seconds": 0.3}
    second = {**DAILY, "name": "jobs", "category": "operations", "id": 202}
    limits = {"requests_per_second": 1000, "report_interval": 0.35}
    async with serving(options, reports=[DAILY, second], start="2026-11-18", limits=limits) as it:
        run = await it.run(REVENUE, "report.jobs")
        assert run.bad() == {}
        assert run.summary["totals"]["rate_limited"] == 0
        order = [seen.path.split("/")[-2] for seen in run.log if seen.method == "POST"]
        assert sorted(order) == ["101"] * 3 + ["202"] * 3
        assert sorted(order[:2]) == ["101", "202"]


async def test_capacity_is_asked_for_the_days_configured(serving: Callable[..., Any]) -> None:
    async with serving({"now": NOW}, capacity={"days_back": 1, "days_ahead": 2}) as it:
        run = await it.run("dispatch.capacity")
        assert run.bad() == {}
        found = rows(it, "dispatch.capacity")
        assert sorted({row["_window_from"].day for row in found}) == [19, 20, 21, 22]
        assert len(run.asked("/capacity")) == 4
        assert all(row["_window_from"] <= row["startUtc"] < row["_window_to"] for row in found)
        again = await it.run("dispatch.capacity")
        assert (len(again.asked("/capacity")), again.files) == (4, 0)

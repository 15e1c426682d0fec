"""What is asked day by day: ad performance, cost summaries, reports over clock changes, capacity."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from st_export.simulate.options import Report
from tests.lookalike import NOW, Service, service
from tests.truth import Row, entities, record_text, row_text, same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
START = "2026-11-16"
DAILY = {"name": "daily", "category": "accounting", "id": 101, "parameters": {"From": "{day}", "To": "{day}", "DateType": 1}}


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bodies_of(running: Service, ended_paths: str = "/data") -> list[dict[str, Any]]:
    return [body for path, body in running.bodies if path.endswith(ended_paths)]


async def test_each_day_is_a_snapshot_of_its_own(tmp_path: Path) -> None:
    names = ("marketing.campaign-cost-summary", "marketing.email-channel-cost")
    counted = {"marketingads.attributed-leads": 60, "marketingads.performance": 60}
    async with service(tmp_path, {"row_counts": counted}, start=START) as running:
        first = await running.run(*names, *counted)
        assert (first.exit_code, first.bad()) == (0, {})
        days = [f"2026-11-{number}" for number in range(16, 21)]
        for name in names:
            rows = running.lake.rows(name)
            assert sorted(row.file.split("/")[2] for row in rows) == [f"day={each}" for each in days]
            for row in rows:
                window = {"from": row.values["_window_from"], "to": row.values["_window_to"]}
                answer = await running.ask(entities()[name].path, **{key: f"{at:%Y-%m-%dT%H:%M:%SZ}" for key, at in window.items()})
                assert row_text(entities()[name], row) == record_text(entities()[name], answer)
        inside = lambda version: orjson.loads(version.record) is not None and version.modified_on >= START  # noqa: E731
        assert same(running.lake, running.look_alike, counted, only=inside) > 20
        assert {row.values["_segment"] for row in running.lake.rows("marketingads.performance")} == {"Campaign", "AdGroup", "Keyword"}
        second = await running.run(*names, *counted)
        assert (second.rows, len(second.log)) == (0, 6)


@pytest.mark.parametrize(
    ("zone", "start", "end", "hours"),
    [
        ("America/New_York", "2026-10-31", "2026-11-03", [24, 25, 24]),
        ("America/New_York", "2026-03-07", "2026-03-10", [24, 23, 24]),
        ("Asia/Tokyo", "2026-11-01", "2026-11-03", [24, 24]),
    ],
)
async def test_each_date_of_a_report_is_asked_once_over_clock_changes(
    tmp_path: Path, zone: str, start: str, end: str, hours: list[int]
) -> None:
    async with service(tmp_path, timezone=zone, reports=[DAILY]) as running:
        ended = await running.backfill(day(start), day(end), "report.daily")
        assert (ended.exit_code, ended.bad()) == (0, {})
        dates = [(day(start) + timedelta(days=number)).date().isoformat() for number in range(len(hours))]
        asked = [{each["name"]: each["value"] for each in body["parameters"]} for body in bodies_of(running)]
        assert sorted(asked, key=lambda each: str(each["From"])) == [{"From": each, "To": each, "DateType": 1} for each in dates]
        rows = running.lake.rows("report.daily")
        assert Counter(row.file.split("/")[2] for row in rows) == Counter({f"day={each}": 24 for each in dates})
        lengths = {row.file.split("/")[2]: row.values["_window_to"] - row.values["_window_from"] for row in rows}
        assert [lengths[f"day={each}"] / timedelta(hours=1) for each in dates] == hours
        assert (await running.backfill(day(start), day(end), "report.daily")).rows == 0


async def test_a_report_asks_pages_in_the_query_and_only_parameters_in_the_body(tmp_path: Path) -> None:
    report = {"name": "all", "category": "accounting", "id": 7, "parameters": {"From": "2026-11-01", "To": "2026-11-02"}}
    made = Report("accounting", 7, "All", (("Name", "String"), ("name", "Number")), rows=tuple((f"r{n}", "007") for n in range(3)))
    async with service(tmp_path, {"reports": (made,)}, reports=[report]) as running:
        ended = await running.run("report.all")
        assert ended.bad() == {}
        assert [set(body) for body in bodies_of(running)] == [{"parameters"}]
        assert [seen.query["page"] for seen in ended.asked("/data")] == ["1"]
        rows = running.lake.rows("report.all")
        assert [(row.values["Name"], row.values["name_2"], row.values["_rescued"]) for row in rows] == [
            (f"r{n}", None, '{"name_2":"007"}') for n in range(3)
        ]
        assert (await running.run("report.all")).rows == 0


async def test_a_report_that_lost_all_its_rows_is_told_by_a_tombstone(tmp_path: Path) -> None:
    made = Report("accounting", 101, "Daily", (("Name", "String"),), rows=(("a",), ("a",)))
    async with service(tmp_path, {"reports": (made,)}, reports=[DAILY]) as running:
        window = day("2026-11-01"), day("2026-11-02")
        written = [(await running.backfill(*window, "report.daily")).rows]
        for rows in ((("a",),), (), ()):
            running.look_alike.simulation.reporting.reports = [Report("accounting", 101, "Daily", (("Name", "String"),), rows=rows)]
            written.append((await running.backfill(*window, "report.daily")).rows)
        assert written == [2, 1, 1, 0]
        assert [row.is_tombstone for row in running.lake.rows("report.daily")].count(True) == 1


async def test_capacity_is_a_snapshot_of_each_day_asked(tmp_path: Path) -> None:
    async with service(tmp_path, capacity={"days_back": 1, "days_ahead": 2}, timezone="America/New_York") as running:
        ended = await running.run("dispatch.capacity")
        assert (ended.exit_code, ended.bad()) == (0, {})
        bodies = sorted(bodies_of(running, "/capacity"), key=lambda body: str(body["startsOnOrAfter"]))
        # It is still the 19th in New York.
        assert [body["startsOnOrAfter"] for body in bodies] == [f"2026-11-{number}T05:00:00Z" for number in (18, 19, 20, 21)]
        rows: list[Row] = running.lake.rows("dispatch.capacity")
        assert {row.file.split("/")[2] for row in rows} == {f"day=2026-11-{number}" for number in (18, 19, 20, 21)}
        assert len(rows) == 20
        assert (await running.run("dispatch.capacity")).rows == 0


async def test_a_pass_over_days_that_was_cut_short_is_finished_and_the_days_since_are_asked_too(tmp_path: Path) -> None:
    name = "marketing.email-channel-cost"
    async with service(tmp_path, start=START, entities={name: {"max_in_flight": 1}}) as running:
        path = entities()[name].path.replace("{tenant}", "1001")
        running.look_alike.simulation.answer_with(path, {"title": "no"}, status=400, query="from=2026-11-18")
        assert (await running.run(name)).rows == 2
        running.look_alike.simulation.clear_answers()
        running.look_alike.simulation.clock.advance(2 * 86_400)
        later = await running.run(name)
        assert (later.bad(), later.log[0].query["from"][:10]) == ({}, "2026-11-18")
        days = sorted(row.file.split("/")[2] for row in running.lake.rows(name))
        assert days == [f"day=2026-11-{number}" for number in range(16, (NOW + timedelta(days=2)).day + 1)]

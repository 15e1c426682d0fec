"""Feeds read from several dates side by side: complete, once, and given up where the parts cannot be shown to be the whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from st_export.plan import shards
from st_export.run import pace
from st_export.simulate.options import Fault
from tests.lookalike import NOW
from tests.truth import compare, same

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

SMALL = {"now": NOW, "years": 0.5, "rows": 600, "feed_page_rows": 10}
CLEANED = "files of commits that had not been finished were removed"
JOBS, NO_TOTAL = "jpm.jobs", "jpm.job-notes"


def texts(run: Any, level: str) -> list[str]:
    return [note.text for note in run.notes if note.level == level]


def dates(run: Any, part: str) -> list[str]:
    """Return the dates that a feed was asked from, in order."""
    starts = [seen.query.get("from", "first") for seen in run.asked(part)]
    return [start for start in starts if start == "first" or start[:2] == "20"]


@pytest.mark.parametrize("entity", [JOBS, NO_TOTAL])
async def test_a_first_run_that_is_split_brings_all_and_goes_on_from_the_token(entity: str, serving: Callable[..., Any]) -> None:
    async with serving(SMALL, feed_split=6) as it:
        run = await it.run(entity)
        assert run.bad() == {}
        assert texts(run, "warning") == []
        assert len(set(dates(run, "/export/" + entity.split(".")[1]))) >= 7
        assert any("distinct keys were read side by side" in text for text in texts(run, "info"))
        assert same(it.lake, it.look_alike, [entity], partition=lambda row: None) > 100
        it.changes.add(entity)
        again = await it.run(entity)
        assert (again.rows, dates(again, "/export/" + entity.split(".")[1])) == (1, [])


async def test_a_split_backfill_is_what_one_chain_brings(serving: Callable[..., Any]) -> None:
    start, end = NOW - timedelta(days=120), NOW - timedelta(days=30)
    async with serving(SMALL) as it:
        request = {"command": "backfill", "backfill_from": start, "backfill_to": end}
        run = await it.run(JOBS, request={**request, "split": 8})
        chained = await it.run(JOBS, request={**request, "backfill_to": end + timedelta(seconds=1)})
        assert (run.exit_code, texts(run, "warning"), chained.rows) == (0, [], 0)
        inside = [each for each in it.look_alike.truth(JOBS) if f"{start:%Y-%m-%dT%H}" <= each.modified_on < f"{end:%Y-%m-%dT%H}"]
        assert run.rows == len(inside)
        assert len(run.asked("/export/jobs")) < len(chained.asked("/export/jobs")) * 1.5


async def test_rows_out_of_order_are_doubt(serving: Callable[..., Any]) -> None:
    async with serving({**SMALL, "feed_disorder": 0.2, "years": 0.1}, feed_split=4) as it:
        run = await it.run(JOBS)
        assert run.exit_code == 0
        assert any("rows are out of order" in text and "one chain" in text for text in texts(run, "warning"))
        assert same(it.lake, it.look_alike, [JOBS], partition=lambda row: None)


async def test_fewer_keys_than_the_list_has_are_doubt(serving: Callable[..., Any]) -> None:
    async with serving(SMALL, feed_split=4) as it:
        answer = {"page": 1, "pageSize": 1, "hasMore": True, "totalCount": 100_000, "data": []}
        it.look_alike.simulation.answer_with("/jpm/v2/tenant/1001/jobs", answer)
        it.look_alike.simulation.answer_with("/jpm/v2/tenant/1001/jobs", {**answer, "totalCount": 0}, query="2100-01-01")
        run = await it.run(JOBS)
        assert any("the list has 100,000" in text for text in texts(run, "warning"))
        assert same(it.lake, it.look_alike, [JOBS], partition=lambda row: None)


async def test_a_list_that_ignores_its_filter_is_no_proof(serving: Callable[..., Any]) -> None:
    async with serving(SMALL, feed_split=4) as it:
        it.look_alike.simulation.faults.add(Fault("ignore-filters", path="/jpm/v2/tenant/1001/jobs"))
        run = await it.run(JOBS)
        assert texts(run, "warning") == []
        assert any("no list tells a total" in text for text in texts(run, "info"))


async def test_a_feed_that_ignores_its_date_is_doubt(serving: Callable[..., Any]) -> None:
    async with serving(SMALL, feed_split=4) as it:
        it.look_alike.simulation.faults.add(Fault("ignore-filters", path="*/export/jobs"))
        run = await it.run(JOBS)
        assert any("the feed was asked from" in text for text in texts(run, "warning"))
        assert same(it.lake, it.look_alike, [JOBS], partition=lambda row: None)


async def test_a_small_feed_is_one_chain(serving: Callable[..., Any]) -> None:
    async with serving({**SMALL, "feed_page_rows": 1000}, feed_split=4) as it:
        run = await it.run(JOBS, "jpm.job-history")
        assert dates(run, "/export/jobs") == ["first", "first"]
        assert same(it.lake, it.look_alike, [JOBS], partition=lambda row: None)


async def test_a_split_pass_that_was_cut_goes_on_with_what_is_left(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "UNIT_BYTES", 20_000)
    async with serving(SMALL, feed_split=4) as it:
        it.look_alike.simulation.faults.add(Fault("forbidden", path="*/export/jobs", after=25))
        broken = await it.run(JOBS)
        assert (broken.exit_code, broken.statuses()) == (4, {JOBS: "failed"})
        assert 0 < broken.rows < 600
        it.look_alike.simulation.faults.set(())
        resumed = await it.run(JOBS)
        # The shard that failed may have cut the commit of another short: what that has put is removed at this start, with a warning.
        doubts = [note.text for note in resumed.notes if note.level == "warning" and not note.text.endswith(CLEANED)]
        assert (resumed.exit_code, doubts) == (0, [])
        pages = len(it.look_alike.truth(JOBS)) // SMALL["feed_page_rows"]
        assert len(resumed.asked("/export/jobs")) < pages
        assert same(it.lake, it.look_alike, [JOBS], partition=lambda row: None)
        assert any("the list has" in text for text in texts(resumed, "info"))


async def test_what_changes_while_shards_are_read_is_found_in_the_tail(serving: Callable[..., Any]) -> None:
    async with serving({**SMALL, "churn_every": 3, "churn_records": 4}, feed_split=6) as it:
        await it.run(JOBS)
        it.look_alike.simulation.set_options(churn_every=0)
        run = await it.run(JOBS)
        assert run.exit_code == 0
        found = compare(it.lake, it.look_alike, JOBS, partition=lambda row: None)
        assert found.differences == []


async def test_a_token_that_is_refused_costs_a_shard_its_open_unit_only(serving: Callable[..., Any]) -> None:
    async with serving(SMALL, feed_split=4) as it:
        it.look_alike.simulation.faults.add(Fault("refuse-token", path="*/export/jobs", after=20, times=1))
        run = await it.run(JOBS)
        assert (run.exit_code, texts(run, "warning")) == (0, [])
        assert same(it.lake, it.look_alike, [JOBS], partition=lambda row: None)


def test_a_plan_covers_its_time_without_a_gap() -> None:
    first, started = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 11, 20, 3, 0, 0, 500, tzinfo=UTC)
    plan = shards.plan_shards(first, None, started, 16)
    assert plan is not None
    assert len(plan.shards) == 16
    assert plan.shards[0].start == first
    assert plan.shards[-1].end == plan.tail == datetime(2026, 11, 19, 3, 0, tzinfo=UTC)
    assert all(one.end == next_one.start for one, next_one in zip(plan.shards, plan.shards[1:], strict=False))
    assert shards.plan_shards(started - timedelta(days=1), None, started, 16) is None
    short = shards.plan_shards(plan.tail - timedelta(days=1), None, started, 16)
    assert short is not None
    assert [window.end for window in short.shards][-1] == plan.tail
    assert len(short.shards) == 2


@pytest.mark.parametrize(
    ("moments", "newest", "behind"), [([], 5, None), ([1, 1, 2], None, None), ([5, 4], 9, 4), ([1, 3, 2], 1, 1), ([7], 7, None)]
)
def test_disorder_is_told_by_the_first_row_that_is_behind(moments: list[int], newest: int | None, behind: int | None) -> None:
    assert shards.disorder(np.array(moments, dtype=np.int64), newest) == behind


def test_half_of_what_is_left_is_shared_if_it_is_long_enough() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    assert shards.share(day, day + timedelta(days=10)) == day + timedelta(days=5)
    assert shards.share(day, day + timedelta(hours=3)) is None
    assert shards.pages_left(day, day + timedelta(days=2), day + timedelta(days=10), 4) == 16
    assert shards.pages_left(day, None, day + timedelta(days=10), 0) == 0

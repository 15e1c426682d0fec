"""A service that does not do what it was asked, entity by entity: told in words, bounded in calls, and nobody else's trouble."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from st_export.events import EntityFinished, Event, Events
from st_export.exporter import ExportRequest, export
from st_export.simulate.options import Fault
from tests.faults.conftest import ENTITIES
from tests.lookalike import NOW
from tests.truth import same

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

pytestmark = pytest.mark.anyio

REST = tuple(name for name in ENTITIES if name != "taskmanagement.tasks")
TASKS = "/taskmanagement/v2/tenant/1001/tasks"
JOBS = "/jpm/v2/tenant/1001/export/jobs"


async def test_a_filter_that_is_ignored_fails_the_entity_soon(faulty: Faulty) -> None:
    async with faulty(Fault("ignore-filters", path=TASKS), row_counts={"taskmanagement.tasks": 200}, years=1) as service:
        day = NOW - timedelta(days=30)
        ended = await service.backfill(day, day + timedelta(days=1), *ENTITIES)
        assert (ended.exit_code, list(ended.bad())) == (4, ["taskmanagement.tasks"])
        assert "modifiedOnOrAfter" in ended.bad()["taskmanagement.tasks"]
        assert (len(ended.asked(TASKS)) <= 3, service.lake.files("taskmanagement.tasks")) == (True, [])


async def test_a_filter_that_is_ignored_later_fails_the_nightly_run(faulty: Faulty) -> None:
    async with faulty() as service:
        assert (await service.run(*ENTITIES)).exit_code == 0
        service.look_alike.simulation.faults.add(Fault("ignore-filters", path=TASKS))
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, list(ended.bad()), ended.rows) == (4, ["taskmanagement.tasks"], 0)
        assert "modifiedOnOrAfter" in ended.bad()["taskmanagement.tasks"]
        assert len(ended.asked(TASKS)) <= 3
        service.look_alike.simulation.faults.set(())
        assert (await service.run(*ENTITIES)).exit_code == 0
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_feed_that_ignores_its_date_fails_the_backfill(faulty: Faulty) -> None:
    async with faulty(Fault("ignore-filters", path=JOBS), years=1) as service:
        ended = await service.backfill(NOW - timedelta(days=5), None, "jpm.jobs", "crm.customers")
        assert (ended.exit_code, list(ended.bad()), len(ended.asked(JOBS)) <= 3) == (4, ["jpm.jobs"], True)
        assert "`from`" in ended.bad()["jpm.jobs"]


async def test_a_feed_that_gives_the_same_token_for_ever_fails_alone(faulty: Faulty) -> None:
    async with faulty(Fault("repeat-token", path=JOBS)) as service:
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, list(ended.bad()), len(ended.asked(JOBS)) <= 10) == (4, ["jpm.jobs"], True)
        assert "continueFrom" in ended.bad()["jpm.jobs"]
        service.look_alike.simulation.faults.set(())
        assert (await service.run(*ENTITIES)).exit_code == 0
        same(service.lake, service.look_alike, ENTITIES)


async def test_empty_pages_in_a_feed_are_not_its_end(faulty: Faulty) -> None:
    async with faulty(Fault("empty-page", rate=0.5)) as service:
        assert (await service.run("jpm.jobs", "crm.customers")).exit_code == 0
        same(service.lake, service.look_alike, ("jpm.jobs", "crm.customers"))


async def test_a_refused_feed_token_is_replaced_by_a_date(faulty: Faulty) -> None:
    async with faulty() as service:
        assert (await service.run("jpm.jobs")).exit_code == 0
        service.changes.churn(50)
        service.look_alike.simulation.refuse_feed_tokens()
        ended = await service.run("jpm.jobs")
        assert (ended.exit_code, ended.bad()) == (0, {})
        assert [note.level for note in ended.notes if "token" in note.text] == ["warning"]
        same(service.lake, service.look_alike, ["jpm.jobs"])
        assert (await service.run("jpm.jobs")).rows == 0


async def test_idle_nights_save_the_newest_token(faulty: Faulty) -> None:
    async with faulty(newest_token_only=True) as service:
        assert (await service.run("jpm.jobs")).exit_code == 0
        for _ in range(5):
            ended = await service.run("jpm.jobs")
            assert [seen.status for seen in ended.log] == [200]
            assert (ended.exit_code, ended.rows, ended.files) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["forbidden", "not-found", "conflict"])
async def test_a_refused_entity_leaves_the_others_and_their_positions(faulty: Faulty, kind: str) -> None:
    async with faulty(Fault(kind, path=TASKS)) as service:  # type: ignore[arg-type]  # one of the kinds
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, list(ended.bad())) == (4, ["taskmanagement.tasks"])
        again = await service.run(*ENTITIES)
        asked = [seen.query.get("from", "") for seen in again.asked("/export/jobs")]
        assert (again.exit_code, len(asked), again.rows, bool(asked[0])) == (4, 1, 0, True)
        same(service.lake, service.look_alike, REST)
        service.look_alike.simulation.faults.set(())
        assert (await service.run(*ENTITIES)).exit_code == 0
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_stalled_entity_never_holds_the_others(faulty: Faulty) -> None:
    order: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, EntityFinished):
            order.append(event.entity)

    async with faulty(Fault("stall", path=TASKS, times=2)) as service:
        config = service.config(limits={"timeout": 1.5})
        summary = await partial(export, config, ExportRequest(select=ENTITIES), Events(note))()
        assert (summary["exit_code"], set(order), order[-1]) == (0, set(ENTITIES), "taskmanagement.tasks")
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_backfill_over_what_run_has_brought_adds_nothing(faulty: Faulty) -> None:
    async with faulty(Fault("error-json", rate=0.05), Fault("reset-in-body", rate=0.05)) as service:
        assert (await service.run(*ENTITIES)).exit_code == 0
        ended = await service.backfill(datetime(2026, 1, 1, tzinfo=UTC), None, *ENTITIES)
        assert (ended.exit_code, ended.rows, ended.files) == (0, 0, 0)
        same(service.lake, service.look_alike, ENTITIES)

"""Outages: maintenance, stalls, pages too heavy for the service or a gateway, a wrong clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import Fault
from tests.faults.conftest import ENTITIES
from tests.truth import same

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

pytestmark = pytest.mark.anyio

LISTS = ("crm.contacts", "taskmanagement.tasks", "settings.user-roles", "forms.submissions")


@pytest.mark.parametrize("after", [0, 20])
async def test_a_maintenance_is_waited_out_and_probed(faulty: Faulty, after: int) -> None:
    """All calls, those for tokens too, are answered 503 HTML for some seconds."""
    async with faulty(Fault("maintenance", seconds=3, after=after)) as service:
        ended = await service.run(*ENTITIES)
        stats = service.look_alike.stats
        assert (ended.exit_code, ended.bad()) == (0, {})
        assert 0 < stats.faults["maintenance"] < 60, "a dead service is probed, not hammered"
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_call_that_is_never_answered_ends_in_time(faulty: Faulty) -> None:
    async with faulty(Fault("stall", rate=0.05)) as service:
        ended = await service.run(*ENTITIES, limits={"timeout": 0.7})
        assert (ended.exit_code, service.look_alike.stats.faults["stall"] > 0) == (0, True)
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_stall_in_mid_body_ends_in_time(faulty: Faulty) -> None:
    async with faulty(Fault("slow-body", seconds=60, rate=0.05)) as service:
        ended = await service.run(*ENTITIES, limits={"timeout": 0.7})
        assert (ended.exit_code, service.look_alike.stats.faults["slow-body"] > 0) == (0, True)
        same(service.lake, service.look_alike, ENTITIES)


async def test_pages_that_a_gateway_cuts_become_smaller(faulty: Faulty) -> None:
    async with faulty(Fault("gateway-cut", size=12_000)) as service:
        ended = await service.run(*LISTS, entities={"*": {"page_size": 500}})
        assert (ended.exit_code, ended.bad()) == (0, {})
        same(service.lake, service.look_alike, LISTS)
        sizes = [int(seen.query["pageSize"]) for seen in ended.asked("/crm/v2/tenant/1001/contacts") if seen.query["pageSize"] != "1"]
        assert (sizes[0], sizes[-1] < 500, len(sizes) < 40) == (500, True, True), sizes


async def test_pages_that_take_the_service_too_long_become_smaller(faulty: Faulty) -> None:
    async with faulty(latency_per_thousand_rows=20, row_counts={"crm.contacts": 120}) as service:
        ended = await service.run("crm.contacts", entities={"*": {"page_size": 80}}, limits={"timeout": 1})
        assert (ended.exit_code, ended.bad()) == (0, {})
        same(service.lake, service.look_alike, ["crm.contacts"])
        sizes = [int(seen.query["pageSize"]) for seen in ended.log if seen.query["pageSize"] != "1"]
        assert (sizes[0], sizes[-1] < 80) == (80, True), sizes


@pytest.mark.parametrize("skew", [-600.0, 600.0])
async def test_a_wrong_clock_loses_nothing(faulty: Faulty, skew: float) -> None:
    """The service's clock, and with it what it says of the time, is ten minutes off ours."""
    async with faulty(clock_skew_seconds=skew, now=None, rows=100) as service:
        for _ in range(3):
            service.changes.churn(30)
            assert (await service.run(*ENTITIES)).exit_code == 0
        same(service.lake, service.look_alike, ENTITIES)
        assert (await service.run(*ENTITIES)).rows == 0

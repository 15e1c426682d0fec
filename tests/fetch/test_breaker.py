"""A dead service is probed, not hammered."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from st_export.clock import Clock
from st_export.errors import ServiceUnavailable
from st_export.events import Events, TenantHeldBack
from st_export.fetch.breaker import Breaker, BreakerPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fetch.conftest import House, Service

pytestmark = pytest.mark.anyio
POLICY = BreakerPolicy(first_seconds=0.01, longest_seconds=0.04, patience_seconds=0.4, unreachable_seconds=0.1)


async def ask_all(house: House, callers: int) -> list[object]:
    results: list[object] = []

    async def ask() -> None:
        try:
            results.append(await house.get())
        except ServiceUnavailable as error:
            results.append(type(error))

    async with anyio.create_task_group() as group:
        for _ in range(callers):
            group.start_soon(ask)
    return results


async def test_maintenance_is_outlasted_by_probes(service: Service, wire: Callable[..., Any]) -> None:
    service.script.extend([service.html(503) for _ in range(40)])
    async with wire(service.url) as house:
        assert await ask_all(house, 20) == [service.good] * 20
    assert len(service.seen) == 60
    assert any("the service is probed" in event.reason for event in house.of(TenantHeldBack))


async def test_a_dead_service_is_given_up_after_few_calls(service: Service, wire: Callable[..., Any]) -> None:
    service.script = deque(service.html(503) for _ in range(10_000))
    async with wire(service.url, breaker=POLICY) as house:
        assert await ask_all(house, 100) == [ServiceUnavailable] * 100
        sent = len(service.seen)
        assert sent < 32 + 6 + 40
        assert await ask_all(house, 100) == [ServiceUnavailable] * 100
        assert len(service.seen) - sent <= 10
        service.script.clear()
        await anyio.sleep(0.05)
        assert await ask_all(house, 1) == [service.good]


async def test_an_unreachable_host_is_given_up_soon(service: Service, wire: Callable[..., Any]) -> None:
    async with wire("http://127.0.0.1:1", auth_url=f"{service.url}/connect/token", breaker=POLICY) as house:
        with pytest.raises(ServiceUnavailable, match="the host cannot be reached") as caught:
            await house.get()
    assert (caught.value.tenant, caught.value.entity) == (1001, "jpm.jobs")


async def test_one_success_lets_everybody_through() -> None:
    breaker = Breaker(1, events=Events(), clock=Clock(), policy=POLICY)
    for _ in range(6):
        breaker.failed("503", was_probe=False, was_reached=True)
    passed: list[bool] = []

    async def enter() -> None:
        passed.append(await breaker.enter())
        if passed == [True]:
            breaker.succeeded()

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(enter)
    assert passed == [True, False, False, False, False]


async def test_a_cancelled_probe_leaves_the_next_one_to_another() -> None:
    breaker = Breaker(1, events=Events(), clock=Clock(), policy=POLICY)
    for _ in range(6):
        breaker.failed("503", was_probe=False, was_reached=True)
    assert await breaker.enter()
    breaker.abandoned(was_probe=True)
    assert await breaker.enter()


async def test_scattered_failures_do_not_open_it() -> None:
    breaker = Breaker(1, events=Events(), clock=Clock(), policy=POLICY)
    for _ in range(50):
        for _ in range(5):
            breaker.failed("500", was_probe=False, was_reached=True)
        breaker.succeeded()
    assert not breaker.is_open

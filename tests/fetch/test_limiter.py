"""The pace, counted where requests arrive."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from st_export.clock import Clock
from st_export.events import Event, Events, TenantHeldBack, Waiting
from st_export.fetch.limiter import Limiter, Recalled, ReportGate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fetch.conftest import House

pytestmark = pytest.mark.anyio


@contextmanager
def serving(limit: int) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("arrivals_server.py")), str(limit)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def most_in_a_second(moments: list[float]) -> int:
    first, most = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


async def send_many(house: House, count: int, workers: int = 40) -> None:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await house.get()

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(work)


@pytest.mark.parametrize("rate", [60, 20])
async def test_no_rolling_second_at_the_service_exceeds_the_rate(rate: int, wire: Callable[..., Any]) -> None:
    with serving(rate) as url:
        async with wire(url, rate=rate) as house:
            await send_many(house, rate * 5 // 2)
        told = json.loads(await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(f"{url}/arrived").read()))
    assert len(told["arrivals"]) == rate * 5 // 2
    assert most_in_a_second(told["arrivals"]) == rate
    assert told["refused"] == []


async def departures(limiter: Limiter, count: int) -> list[float]:
    moments: list[float] = []

    async def call(number: int) -> None:
        async with limiter.slot(f"entity-{number % 3}") as departure:
            await departure.leave()
            assert departure.left_at is not None
            moments.append(departure.left_at)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(call, number)
    return moments


async def test_the_rate_is_used_to_97_percent() -> None:
    moments = await departures(Limiter(50, 200), 101)
    assert (len(moments) - 1) / (moments[-1] - moments[0]) >= 0.97 * 50


async def test_a_stalled_loop_is_made_good_within_the_limit() -> None:
    limiter = Limiter(40, 100)
    async with anyio.create_task_group() as group:
        moments: list[float] = []

        async def collect() -> None:
            moments.extend(await departures(limiter, 90))

        group.start_soon(collect)
        for _ in range(4):
            await anyio.sleep(0.2)
            end = Clock().monotonic_seconds() + 0.1
            while Clock().monotonic_seconds() < end:
                pass
    assert len(moments) == 90
    assert most_in_a_second(moments) == 40


async def test_what_catches_up_after_a_stall_does_not_leave_at_once() -> None:
    limiter = Limiter(40, 100)
    async with anyio.create_task_group() as group:
        moments: list[float] = []

        async def collect() -> None:
            moments.extend(await departures(limiter, 60))

        group.start_soon(collect)
        await anyio.sleep(0.4)
        end = Clock().monotonic_seconds() + 0.4
        while Clock().monotonic_seconds() < end:
            pass
    spaces = [later - earlier for earlier, later in pairwise(moments)]
    assert min(spaces) >= limiter._space_seconds * 0.99


async def test_a_rest_is_not_owed_to_what_comes_after_it() -> None:
    limiter = Limiter(20, 100)
    await departures(limiter, 6)
    await anyio.sleep(0.25)  # half of what the burst takes to fill
    moments = await departures(limiter, 6)
    assert moments[-1] - moments[0] >= 4 / 20


async def test_a_rate_below_one_lets_one_call_through_in_its_time() -> None:
    moments = await departures(Limiter(0.8, 5), 2)
    assert moments[1] - moments[0] >= 1.25


async def test_a_hold_recalls_who_waits_at_the_wire_and_ends() -> None:
    told: list[Event] = []
    limiter = Limiter(500, 5, tenant=7, events=Events(told.append))
    async with limiter.slot("a") as departure:
        limiter.hold(0.05, "asked to")
        limiter.hold(0.01, "shorter")
        with pytest.raises(Recalled):
            await departure.leave()
    async with limiter.slot("a") as departure:
        await departure.leave()
        assert limiter.held_seconds == 0
    assert [(event.tenant, event.seconds, event.reason) for event in told if isinstance(event, TenantHeldBack)] == [(7, 0.05, "asked to")]


async def test_many_holds_to_the_same_end_are_told_once() -> None:
    told: list[Event] = []
    limiter = Limiter(500, 5, tenant=7, events=Events(told.append))
    for _ in range(20):
        limiter.hold(30, "answered 429")
    assert [(event.tenant, event.seconds, event.reason) for event in told if isinstance(event, TenantHeldBack)] == [(7, 30, "answered 429")]


async def test_places_in_flight_are_bounded_in_all_and_for_an_entity() -> None:
    limiter = Limiter(5000, 6)
    under_way: dict[str, int] = {"a": 0, "b": 0}
    most: dict[str, int] = {"a": 0, "b": 0, "all": 0}

    async def call(entity: str, own: int | None) -> None:
        async with limiter.slot(entity, own) as departure:
            await departure.leave()
            under_way[entity] += 1
            most[entity] = max(most[entity], under_way[entity])
            most["all"] = max(most["all"], sum(under_way.values()))
            await anyio.sleep(0.01)
            under_way[entity] -= 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(call, "a", 2)
            group.start_soon(call, "b", None)
    assert most == {"a": 2, "b": 6, "all": 6}


async def test_a_cancelled_waiter_gives_its_place_back() -> None:
    limiter = Limiter(500, 1)
    async with limiter.slot("a"):
        with anyio.move_on_after(0.01):
            async with limiter.slot("b"):
                pytest.fail("there is one place only")
    async with limiter.slot("c") as departure:
        await departure.leave()
    assert limiter.departed == 1


async def test_requests_of_one_report_keep_their_interval_and_others_do_not_wait() -> None:
    told: list[Event] = []
    gate, clock = ReportGate(0.2, tenant=7, events=Events(told.append)), Clock()
    left: dict[str, list[float]] = {"one": [], "two": []}

    async def ask(report: str) -> None:
        async with gate.turn(report) as turn:
            turn.left()
            left[report].append(clock.monotonic_seconds())

    async with anyio.create_task_group() as group:
        for report in ("one", "one", "two"):
            group.start_soon(ask, report)
    assert left["one"][1] - left["one"][0] >= 0.2
    assert left["two"][0] < left["one"][1]
    assert [event for event in told if isinstance(event, Waiting)] == []

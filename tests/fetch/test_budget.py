"""Bytes of pages under way: who waits, in which order, and what is given back."""

from __future__ import annotations

import gzip
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.clock import Clock, ServiceClock
from st_export.decode.parse import Unreadable, read_envelope
from st_export.errors import PageUnreadable, ServiceUnavailable
from st_export.events import Events
from st_export.fetch.attempt import ClientOptions
from st_export.fetch.budget import PageBudget, Room
from st_export.fetch.source import Source
from st_export.flow import EntityName, Page, Request, TenantId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import web

pytestmark = pytest.mark.anyio

JOBS = Request(EntityName("jpm.jobs"), "/jpm/v2/tenant/1001/jobs")
ROWS = b'{"hasMore":false,"data":[' + b",".join(b'{"id":%d}' % number for number in range(100)) + b"]}"


async def _settled() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


async def test_who_comes_first_is_served_first_and_a_large_page_passes_alone() -> None:
    budget, served = PageBudget(100), []

    async def take(name: str, size: int) -> None:
        await budget.reserve(size)
        served.append(name)

    await budget.reserve(60)
    async with anyio.create_task_group() as tasks:
        for name, size in (("large", 400), ("small", 10), ("another", 20)):
            tasks.start_soon(take, name, size)
            await _settled()
        assert served == []  # the small ones do not overtake: the large one would wait for ever
        budget.settle(60, 0)
        await _settled()
        assert served == ["large"]
        budget.settle(400, 0)
    assert (served, budget.used_bytes) == (["large", "small", "another"], 30)


async def test_a_place_in_the_queue_that_is_given_up_holds_nobody_back() -> None:
    budget = PageBudget(100)
    await budget.reserve(60)
    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(0.01):
            await budget.reserve(90)
        tasks.start_soon(budget.reserve, 40)
    assert budget.used_bytes == 100


async def test_a_place_that_is_granted_while_it_is_given_up_is_given_back() -> None:
    budget = PageBudget(100)
    await budget.reserve(60)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(budget.reserve, 90)
        await _settled()
        tasks.cancel_scope.cancel()
        budget.settle(60, 0)
    assert budget.used_bytes == 0


@given(st.integers(1, 50), st.lists(st.integers(0, 80), min_size=1, max_size=40))
def test_never_more_than_the_limit_but_for_one_that_is_larger(limit: int, sizes: list[int]) -> None:
    async def scenario() -> None:
        budget, holders = PageBudget(limit), 0

        async def one(size: int) -> None:
            nonlocal holders
            await budget.reserve(size)
            holders += 1
            assert budget.used_bytes <= max(limit, *sizes)
            await anyio.lowlevel.checkpoint()
            budget.settle(size, 0)

        async with anyio.create_task_group() as tasks:
            for size in sizes:
                tasks.start_soon(one, size)
        assert (holders, budget.used_bytes) == (len(sizes), 0)

    anyio.run(scenario)


@pytest.mark.parametrize(("told", "held"), [((300, True), 300), ((300, False), 1000), ((3000, False), 3000), ((None, True), 1000)])
async def test_a_body_counts_as_told_or_guessed(told: tuple[int | None, bool], held: int) -> None:
    budget = PageBudget(10_000)
    room = Room(budget, 1000)
    await room.take(wire_bytes=told[0], is_plain=told[1])
    assert budget.used_bytes == held
    room.settle(70)
    assert budget.used_bytes == 70
    room.settle(0)
    assert budget.used_bytes == 0


@asynccontextmanager
async def _source(wire: Callable[..., Any], url: str, budget: PageBudget, **settings: Any) -> AsyncIterator[Source]:
    async with wire(url, **settings) as house:
        clock = Clock()
        yield Source(
            house.client,
            TenantId(1001),
            budget,
            read_envelope=read_envelope,
            unreadable=(Unreadable,),
            events=Events(),
            clock=clock,
            service_clock=ServiceClock(clock),
            in_flight=lambda _: None,
        )


async def test_requests_that_wait_for_their_answers_need_no_room(service: Any, wire: Callable[..., Any]) -> None:
    """Eight pages are asked for at once, though the budget holds one: the service answers none before it has seen all."""
    all_asked, pages = anyio.Event(), []

    async def answer(_: web.Request) -> web.StreamResponse:
        if len(service.seen) == 8:
            all_asked.set()
        await all_asked.wait()
        return service.raw(ROWS)

    service.script.extend([answer] * 8)
    budget = PageBudget(len(ROWS))
    async with _source(wire, service.url, budget) as source:

        async def ask() -> None:
            page = await source.page(JOBS)
            assert budget.used_bytes == len(ROWS)
            pages.append(page.body)
            source.release(page)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(ask)
    assert (pages, budget.used_bytes) == ([ROWS] * 8, 0)


async def test_time_that_a_body_waits_for_room_is_not_the_services(service: Any, wire: Callable[..., Any], fast: Any) -> None:
    budget = PageBudget(len(ROWS))
    options = ClientOptions(timeout_seconds=0.5, stall_seconds=0.5, policy=fast)
    service.script.extend([service.raw(ROWS) for _ in range(2)])
    async with _source(wire, service.url, budget, options=options) as source:
        first = await source.page(JOBS)
        second: list[Page] = []

        async def ask() -> None:
            second.append(await source.page(JOBS))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(1.2)
            source.release(first)
    assert (len(second), len(service.seen)) == (1, 2)  # asked once each


async def test_an_attempt_that_fails_gives_its_room_back(service: Any, wire: Callable[..., Any], fast: Any) -> None:
    budget = PageBudget(10 << 20)
    during: list[int] = []

    async def cut(_: web.Request) -> web.StreamResponse:
        during.append(budget.used_bytes)
        return service.raw(ROWS[:-20])

    service.script.extend([cut] * 100)
    async with _source(wire, service.url, budget, options=ClientOptions(timeout_seconds=5, policy=fast)) as source:
        with pytest.raises(PageUnreadable):
            await source.page(JOBS)
        assert (budget.used_bytes, set(during)) == (0, {0})
        service.script.clear()
        service.script.extend([(500, {})] * 100)
        with pytest.raises(ServiceUnavailable):
            await source.page(JOBS)
    assert budget.used_bytes == 0


async def test_a_packed_page_counts_as_the_largest_seen_until_it_is_read(service: Any, wire: Callable[..., Any]) -> None:
    """A count of one row between two pages does not make the second one small."""
    packed = gzip.compress(ROWS, mtime=0)
    one_row = b'{"hasMore":true,"totalCount":100,"data":[{"id":1}]}'
    service.script.extend(
        [service.raw(packed, Content_Encoding="gzip"), service.raw(one_row), service.raw(packed, Content_Encoding="gzip")]
    )
    budget = PageBudget(len(ROWS))
    async with _source(wire, service.url, budget) as source:
        source.release(await source.page(JOBS))
        assert await source.count(JOBS) == 100
        await budget.reserve(1)
        with anyio.move_on_after(0.3) as waited:
            await source.page(JOBS)
        assert waited.cancelled_caught
    assert budget.used_bytes == 1


async def test_a_page_is_asked_again_in_its_own_place(service: Any, wire: Callable[..., Any]) -> None:
    budget = PageBudget(len(ROWS))
    service.script.extend([service.raw(ROWS) for _ in range(2)])
    async with _source(wire, service.url, budget) as source:
        page = await source.page(JOBS)
        page.body = page.body[:-1] + b" "
        with anyio.fail_after(10):  # it would wait for itself
            await source.again(page)
        assert (page.body, budget.used_bytes) == (ROWS, len(ROWS))
        source.release(page)
        source.release(page)
    assert (page.body, budget.used_bytes) == (b"", 0)

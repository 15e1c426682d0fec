"""The pace of one (app key, tenant): no rolling second above the limit, and hardly a place in it unused.

Two rules work together. `aiolimiter` spreads the calls evenly and lets at most half a second's worth of them catch up
after a stall of the event loop; alone it would let its whole burst through on top of the rate. So a call may leave only when
the call that left N places before it (N: the calls of a second) left at least a second and a small margin ago: that is the
limit itself, in any window, whatever timers and loops do. And what catches up leaves at twice the pace, not all at once: a burst
would wait in the service's own queue, and what arrives late there stands closer to what comes after it. A call is stamped where it
meets the wire, with its connection already there (`Departure.leave`), since the time that a connection takes would otherwise bunch
the arrivals.

This module leaves out what is sent, and when to repeat it.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from aiolimiter import AsyncLimiter

from st_export.clock import Clock
from st_export.events import Events, TenantHeldBack, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MARGIN_SECONDS = 0.02
"""Kept above the second: room for the jitter between our stamp and the service's. It costs 2 % of the rate."""

CATCH_UP_SECONDS = 0.5
"""A stall up to this long is made good by leaving closer together, within the limit."""

CATCH_UP_PACE = 2
"""How many times as fast as the limit calls leave at most while they catch up."""

SHORTEST_SPACE_SECONDS = 0.002
"""A shorter space between two calls is not kept: the loop's timers are no finer."""

BOARDING_SECONDS = 0.5
"""How many calls may hold a connection and wait for their turn at the wire, as seconds of the rate."""

NOTABLE_WAIT_SECONDS = 3.0
"""Waits from here on are announced."""


class Recalled(Exception):
    """The tenant is held back, and this call had not left yet: it goes back to the queue. Not a failure, nothing was sent."""


class Departure:
    """A call that has a place and is about to leave."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._boarding = True
        self.left_at: float | None = None

    async def leave(self) -> None:
        """Wait for the turn at the wire and stamp the call; what follows must send it without waiting again.

        Raises:
            Recalled: the tenant is held back meanwhile; nothing may be sent.

        """
        self.left_at = await self._limiter._take_turn()  # noqa: SLF001 - the two halves of one thing
        self.disembark()

    def disembark(self) -> None:
        """Give the place at the wire to the next; does nothing the second time."""
        if self._boarding:
            self._boarding = False
            self._limiter._boarding.release()  # noqa: SLF001 - as above


class Limiter:
    """The one limiter of a tenant, shared by all workers of all its entities; waiters are served in the order they came.

    Args:
        requests_per_second: the most calls in any second; the whole number below counts (7.9: 7 calls in any second). Below 1:
            one call in `1 / requests_per_second` seconds.
        max_in_flight: calls under way at once, those that wait at the wire included.
        tenant: whose calls they are, for the events.
        events: where `TenantHeldBack` goes.
        clock: gives the monotonic seconds; the same clock as the event loop's.

    """

    def __init__(
        self,
        requests_per_second: float,
        max_in_flight: int,
        *,
        tenant: int = 0,
        events: Events | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not requests_per_second > 0 or max_in_flight < 1:
            raise ValueError("the rate must be positive and at least one call must be allowed in flight")
        self._tenant = tenant
        self._events = events or Events()
        self._clock = clock or Clock()
        calls = max(1, math.floor(requests_per_second))
        self._window_seconds = max(1.0, 1 / requests_per_second) + MARGIN_SECONDS
        self._burst = max(1, math.floor(calls * CATCH_UP_SECONDS))
        # A trifle faster than the window allows, so that the window alone decides the average.
        pace = calls / (self._window_seconds - MARGIN_SECONDS / 2)
        self._pace = AsyncLimiter(self._burst, self._burst / pace)
        self._departures: deque[float] = deque(maxlen=calls)
        space = self._window_seconds / (calls * CATCH_UP_PACE)
        self._space_seconds = space if space >= SHORTEST_SPACE_SECONDS and calls > 1 else 0.0
        self._turn = anyio.Lock()
        self._in_flight = anyio.Semaphore(max_in_flight)
        self._boarding = anyio.Semaphore(max(4, math.ceil(calls * BOARDING_SECONDS)))
        self._entities: dict[str, anyio.Semaphore] = {}
        self._held_until = 0.0
        self.departed = 0

    @asynccontextmanager
    async def slot(self, entity: str, entity_max_in_flight: int | None = None) -> AsyncIterator[Departure]:
        """Wait for a place, and hold it until the call is over; `await departure.leave()` waits for the pace.

        Args:
            entity: whose call it is.
            entity_max_in_flight: the most calls of this entity under way at once, None for no limit of its own.

        """
        if entity_max_in_flight is None:
            async with self._in_flight, self._board() as departure:
                yield departure
            return
        own = self._entities.setdefault(entity, anyio.Semaphore(entity_max_in_flight))
        async with own, self._in_flight, self._board() as departure:
            yield departure

    def hold(self, seconds: float, reason: str) -> None:
        """Let nothing leave for so many seconds; a hold that ends later stays. Source: fact sheet, a 429 slows the whole tenant."""
        until = self._clock.monotonic_seconds() + seconds
        if until <= self._held_until:
            return
        # Many calls are refused at once and ask for nearly the same end: one event is enough.
        is_news = until - self._held_until > 1.0
        self._held_until = until
        if is_news:
            self._events.emit(TenantHeldBack(at=self._clock.now(), tenant=self._tenant, seconds=seconds, reason=reason))

    @property
    def held_seconds(self) -> float:
        """How long the tenant is still held back, 0 if it is not."""
        return max(0.0, self._held_until - self._clock.monotonic_seconds())

    @asynccontextmanager
    async def _board(self) -> AsyncIterator[Departure]:
        while True:
            while (seconds := self.held_seconds) > 0:  # noqa: ASYNC110 - a hold may be prolonged while it is slept out
                await anyio.sleep(seconds)
            await self._boarding.acquire()
            departure = Departure(self)
            if not self.held_seconds:
                break
            departure.disembark()
        try:
            yield departure
        finally:
            departure.disembark()

    async def _take_turn(self) -> float:
        is_idle = not self._turn.locked()
        async with self._turn:
            self._recall_if_held()
            if is_idle:
                await self._give_up_rest()
            await self._pace.acquire()
            while (seconds := self._seconds_until_free()) > 0:  # noqa: ASYNC110 - a timer may ring early
                await anyio.sleep(seconds)
            self._recall_if_held()
            now = self._clock.monotonic_seconds()
            self._departures.append(now)
            self.departed += 1
            return now

    async def _give_up_rest(self) -> None:
        """Leave room for one call: while nobody waited no time was lost, so that nothing is owed.

        What would leave closer together because of a rest would do so again in each second that follows.
        """
        calls = 1 << (self._burst.bit_length() - 1)
        while calls:
            if self._pace.has_capacity(calls + 1):
                await self._pace.acquire(calls)
            calls >>= 1

    def _recall_if_held(self) -> None:
        if self.held_seconds:
            raise Recalled

    def _seconds_until_free(self) -> float:
        if not self._departures:
            return 0.0
        free_at = self._departures[-1] + self._space_seconds
        if len(self._departures) == self._departures.maxlen:
            free_at = max(free_at, self._departures[0] + self._window_seconds)
        return free_at - self._clock.monotonic_seconds()


class ReportTurn:
    """One request of a report: it holds the report until it is answered; `left` stamps it when it meets the wire."""

    def __init__(self, gate: ReportGate, report: str) -> None:
        self._gate = gate
        self._report = report

    def left(self) -> None:
        """Take now as the time of the report's last request."""
        self._gate.hold(self._report, self._gate.interval_seconds)

    def hold(self, seconds: float) -> None:
        """Let this report wait so long, because the service said so."""
        self._gate.hold(self._report, seconds)


class ReportGate:
    """The throttle of reports: between two requests of one report lies an interval; different reports do not wait for one another.

    Every page and every repeat is a request. Source: fact sheet, one run of the same report a minute and tenant.

    Args:
        interval_seconds: least time between two requests of one report.
        tenant: whose reports they are.
        events: where `Waiting` goes.
        clock: gives the monotonic seconds.

    """

    def __init__(self, interval_seconds: float, *, tenant: int = 0, events: Events | None = None, clock: Clock | None = None) -> None:
        self.interval_seconds = interval_seconds
        self._tenant = tenant
        self._events = events or Events()
        self._clock = clock or Clock()
        self._locks: dict[str, anyio.Lock] = {}
        self._free_at: dict[str, float] = {}

    @asynccontextmanager
    async def turn(self, report: str) -> AsyncIterator[ReportTurn]:
        """Wait until the report may be asked again, and keep others off it until the block ends."""
        async with self._locks.setdefault(report, anyio.Lock()):
            while (seconds := self._free_at.get(report, 0.0) - self._clock.monotonic_seconds()) > 0:
                if seconds >= NOTABLE_WAIT_SECONDS:
                    self._events.emit(
                        Waiting(
                            at=self._clock.now(),
                            tenant=self._tenant,
                            entity=report,
                            seconds=seconds,
                            reason="the service runs a report once in this time",
                        )
                    )
                await anyio.sleep(seconds)
            yield ReportTurn(self, report)

    def hold(self, report: str, seconds: float) -> None:
        """Let the report wait at least so many seconds from now."""
        until = self._clock.monotonic_seconds() + seconds
        self._free_at[report] = max(until, self._free_at.get(report, 0.0))

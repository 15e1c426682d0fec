"""A dead service is probed, not hammered: when call after call of a tenant fails, all wait while single calls test the water.

The first success lets everybody through. When the outage outlasts the patience, those that wait fail; the service is
still probed now and then for those that come later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from st_export.errors import ServiceUnavailable
from st_export.events import Events, TenantHeldBack

if TYPE_CHECKING:
    from st_export.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When to stop calling, and how to probe.

    Args:
        failures: calls that fail in a row before the tenant waits. Six in a row at 20 % of random faults: once in 15,000 calls.
        first_seconds: until the first probe; each further one waits twice as long.
        longest_seconds: longest time between two probes.
        patience_seconds: how long an outage may last. Source: fact sheet, maintenance takes minutes.
        unreachable_seconds: the same while the host has never been reached: more likely a wrong name than an outage.

    """

    failures: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    patience_seconds: float = 780.0
    unreachable_seconds: float = 30.0


class Breaker:
    """The breaker of one tenant."""

    def __init__(self, tenant: int, *, events: Events, clock: Clock, policy: BreakerPolicy | None = None) -> None:
        self._tenant = tenant
        self._events = events
        self._clock = clock
        self._policy = policy or BreakerPolicy()
        self._changed = anyio.Event()
        self._was_reached = False
        self._probing = False
        self._failures = 0
        self._failing_since = 0.0
        self._pause_seconds = 0.0
        self._next_probe = 0.0
        self._reason = ""
        self.is_open = False

    async def enter(self, entity: str | None = None) -> bool:
        """Wait until a call may go; return True if it goes as the probe.

        Raises:
            ServiceUnavailable: the outage has outlasted the patience.

        """
        while self.is_open:
            seconds = self._next_probe - self._clock.monotonic_seconds()
            if not self._probing and seconds <= 0:
                self._probing = True
                return True
            if self.is_spent:
                raise self.verdict(entity)
            with anyio.move_on_after(max(seconds, 0.0) if not self._probing else None):
                await self._changed.wait()
        return False

    def succeeded(self) -> None:
        """Take note that a call was answered: the service lives, and everybody may go."""
        self._was_reached = True
        self._failures = 0
        if self.is_open:
            self.is_open = self._probing = False
            self._announce_change()

    def failed(self, reason: str, *, was_probe: bool, was_reached: bool) -> None:
        """Take note of a failure that speaks against the service as a whole; `was_reached`: there was at least a connection."""
        now = self._clock.monotonic_seconds()
        self._was_reached = self._was_reached or was_reached
        self._reason = reason
        self._failures += 1
        if self._failures == 1:
            self._failing_since = now
        if was_probe:
            self._probing = False
            self._schedule(min(self._pause_seconds * 2, self._policy.longest_seconds))
        elif not self.is_open and self._failures >= self._policy.failures:
            self.is_open = True
            self._schedule(self._policy.first_seconds)

    def abandoned(self, *, was_probe: bool) -> None:
        """Take note that a call ended without telling anything (cancelled, recalled): the next may probe."""
        if was_probe and self._probing:
            self._probing = False
            self._announce_change()

    @property
    def is_spent(self) -> bool:
        """Whether the outage has outlasted the patience."""
        patience = self._policy.patience_seconds if self._was_reached else self._policy.unreachable_seconds
        return self.is_open and self._clock.monotonic_seconds() - self._failing_since >= patience

    def verdict(self, entity: str | None = None) -> ServiceUnavailable:
        """Return the error of a call that has waited in vain."""
        seconds = self._clock.monotonic_seconds() - self._failing_since
        return ServiceUnavailable(
            f"the service has not answered usefully for {seconds:.0f} seconds; last: {self._reason}",
            hint="check the network, the proxy and the service's status page; the same command goes on where it stopped",
            tenant=self._tenant,
            entity=entity,
        )

    def _schedule(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._next_probe = self._clock.monotonic_seconds() + pause_seconds
        self._events.emit(
            TenantHeldBack(
                at=self._clock.now(),
                tenant=self._tenant,
                seconds=pause_seconds,
                reason=f"{self._failures} calls in a row failed, last: {self._reason}; the service is probed",
            )
        )
        self._announce_change()

    def _announce_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

"""A call and its attempts, as the client keeps them: limits, deadlines, and what the wire has seen."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from st_export.fetch.body import PAGE_BYTES
from st_export.fetch.retry import CallFailed, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.clock import Clock
    from st_export.fetch.limiter import Departure, ReportGate, ReportTurn
    from st_export.fetch.retry import Tries
    from st_export.flow import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Limits of a call.

    Args:
        timeout_seconds: what one attempt may take in all, from the moment it meets the wire.
        stall_seconds: the longest silence inside a body.
        page_bytes: cap of a page, on the wire and inflated.
        file_bytes: cap of a binary.
        policy: when and how often an attempt is repeated.
        threads: bounds the threads that inflate and check large pages; None: anyio's own bound.

    """

    timeout_seconds: float = 120.0
    stall_seconds: float = 60.0
    page_bytes: int = PAGE_BYTES
    file_bytes: int = 8 << 30
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    threads: anyio.CapacityLimiter | None = None


@dataclass(slots=True)
class Attempt:
    """One attempt: what the wire has seen of it, and its deadline (the scope's)."""

    departure: Departure
    turn: ReportTurn | None
    clock: Clock
    options: ClientOptions
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    authorization: str = field(default="", repr=False)
    left_at: float | None = None
    status: int = 0
    wire_bytes: int = 0
    is_told: bool = False
    received: list[bytes] = field(default_factory=list, repr=False)
    _deadline: float = 0.0
    _waited_seconds: float = 0.0

    async def leave(self) -> None:
        """Wait for the turn at the wire; the time-out counts from there."""
        await self.departure.leave()
        self.left_at = self.clock.monotonic_seconds()
        self._deadline = self.scope.deadline = anyio.current_time() + self.options.timeout_seconds
        if self.turn is not None:
            self.turn.left()

    def progressed(self, size: int) -> None:
        """Take note of `size` bytes of the body: the next must come before the stall's end."""
        self.wire_bytes += size
        deadline = min(self._deadline, anyio.current_time() + self.options.stall_seconds)
        # Moving a deadline makes a timer: not for each of thousands of chunks.
        if abs(deadline - self.scope.deadline) > self.options.stall_seconds / 50:
            self.scope.deadline = deadline

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let time pass that is ours, not the service's."""
        begun = anyio.current_time()
        self.scope.deadline = float("inf")
        try:
            yield
        finally:
            now = anyio.current_time()
            self._waited_seconds += now - begun
            self._deadline += now - begun
            self.scope.deadline = min(self._deadline, now + self.options.stall_seconds)

    def streams(self) -> None:
        """Let the body take as long as it needs, as long as it does not stall."""
        self._deadline = float("inf")
        self.scope.deadline = anyio.current_time() + self.options.stall_seconds

    def received_all(self) -> None:
        """Stop the time-out: what follows is our own work."""
        self.scope.deadline = float("inf")

    def timed_out(self) -> CallFailed:
        """Return the failure of an attempt whose scope has run out."""
        if self.status:
            return CallFailed("timeout", f"the body came too slowly or stalled after {self.wire_bytes:,} bytes")
        return CallFailed("timeout", f"no answer within {self.options.timeout_seconds:g} seconds")

    def seconds(self) -> float:
        """Return how long it is on its way, what it waited for us left out."""
        return 0.0 if self.left_at is None else self.clock.monotonic_seconds() - self.left_at - self._waited_seconds


@dataclass(slots=True)
class Call:
    """A call over all its attempts; `attempt` is the latest."""

    request: Request
    tries: Tries
    max_in_flight: int | None = None
    gate: ReportGate | None = None
    attempt: Attempt | None = None

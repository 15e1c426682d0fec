"""Time, handed in: the wall clock in UTC, a monotonic clock, and the service's own clock.

The service's clock is what watermarks are made of: the machine's may be minutes off. It is learnt from the `Date` header
of answers. This module leaves out waiting, which belongs to anyio.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's clocks; tests hand in a subclass that they move by hand."""

    def now(self) -> datetime:
        """Return the machine's wall clock as an aware UTC time."""
        return datetime.now(UTC)

    def monotonic_seconds(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()


class ServiceClock:
    """The service's clock, as the machine's clock plus the offset learnt from answers; zero offset until the first one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = timedelta(0)
        self.is_known = False
        """Whether any answer has told the time."""

    def learn(self, service_time: datetime) -> None:
        """Take the time that an answer bears (its `Date` header, whole seconds) as the service's now."""
        self._offset = service_time - self._clock.now()
        self.is_known = True

    def now(self) -> datetime:
        """Return the service's time, aware UTC, rounded down to whole seconds: never later than the service itself means."""
        return (self._clock.now() + self._offset).replace(microsecond=0)

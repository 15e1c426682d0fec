"""The look-alike's clock: real time, or a running clock that began at a given moment, and moves when it is told to."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import formatdate

TICKS_A_SECOND = 10_000_000
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?$", re.IGNORECASE)


class SimulatedClock:
    """Tells the time in ticks of 100 ns since 1970 (UTC); runs at the machine's pace unless frozen."""

    def __init__(self, start: datetime | None = None) -> None:
        self._origin = time.monotonic()
        self._start = (start or datetime.now(UTC)).timestamp()
        self._frozen: float | None = None
        self.skew_seconds = 0.0
        """What the `Date` header is off by."""

    def seconds(self) -> float:
        """Return the time in seconds since 1970."""
        if self._frozen is not None:
            return self._frozen
        return self._start + time.monotonic() - self._origin

    def ticks(self) -> int:
        """Return the time in ticks."""
        return int(self.seconds() * TICKS_A_SECOND)

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._start += seconds
        if self._frozen is not None:
            self._frozen += seconds

    def freeze(self, *, frozen: bool = True) -> None:
        """Stop the clock where it is, or let it run on from there."""
        now = self.seconds()
        if frozen:
            self._frozen = now
        elif self._frozen is not None:
            self._frozen = None
            self._start, self._origin = now, time.monotonic()

    def date_header(self) -> str:
        """Return the `Date` header, skew included."""
        return formatdate(self.seconds() + self.skew_seconds, usegmt=True)


def ticks_of(moment: datetime) -> int:
    """Return an aware time in ticks, exact to the microsecond."""
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * TICKS_A_SECOND + delta.microseconds * 10


def parse_ticks(text: str) -> int | None:
    """Return the ticks of a date or RFC 3339 time (no zone: UTC), or None where it is neither."""
    found = _TIME.match(text.strip())
    if found is None:
        return None
    date, clock, fraction, zone = found.groups()
    clock = (clock or "00:00:00") if clock is None or len(clock) == 8 else f"{clock}:00"
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in (None, 'Z', 'z') else zone}")
    except ValueError:
        return None
    return ticks_of(moment) + int((fraction or "0").ljust(7, "0")[:7])

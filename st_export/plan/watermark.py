"""From where the next read goes on, and how far a finished one has moved the mark. Times of the service's clock."""

from __future__ import annotations

from datetime import datetime, timedelta

SETTLING = timedelta(hours=2)
"""How late a record may become visible behind its own `modifiedOn`: feeds lag 15 minutes by design and more under load; each
night asks these two hours again, and the repeats are dropped."""

TOKEN_OVERLAP = timedelta(days=1)
"""How far a feed goes back behind its watermark when the service no longer takes its token."""

TAIL_OVERLAP = timedelta(minutes=15)
"""How far the tail behind closed windows starts before the run's start. Closed windows must lie in the past by the clock that stamps
the records; what we know is the `Date` of answers, which a gateway writes, and which may be minutes off."""


def mark_after(started: datetime) -> datetime:
    """Return the watermark of a read that began at `started` and was read to its end."""
    return started - SETTLING


def restart_date(watermark: datetime | None, start: datetime | None) -> datetime | None:
    """Return the date to ask a feed from when its token is refused; None is from the very first record."""
    if watermark is None:
        return start
    date = watermark - TOKEN_OVERLAP
    return max(date, start) if start else date


def tail_start(started: datetime) -> datetime:
    """Return where the open tail begins that catches what left a closed window while it was read."""
    return started - TAIL_OVERLAP

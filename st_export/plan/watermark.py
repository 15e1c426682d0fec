"""From where the next read goes on, and how far a finished one has moved the mark. Times of the service's clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.flow import Position

SETTLING = timedelta(hours=2)
"""How late a record may become visible behind its own `modifiedOn`: feeds lag 15 minutes by design and more under load; each
night asks these two hours again, and the repeats are dropped."""

LONGEST_QUIET = timedelta(days=30)
"""How far the mark stays behind a run's start at most. Where nothing changes, it stays two hours behind the newest record, as the clock
of `Date` headers need not be the one that stamps records; after a month of quiet it goes on with the run's start."""

TOKEN_OVERLAP = timedelta(days=1)
"""How far a feed goes back behind its watermark when the service no longer takes its token."""

TAIL_OVERLAP = timedelta(minutes=15)
"""How far the tail behind closed windows starts before the run's start. Closed windows must lie in the past by the clock that stamps
the records; what we know is the `Date` of answers, which a gateway writes, and which may be minutes off."""


def mark_after(started: datetime) -> datetime:
    """Return the watermark of a read that began at `started` and was read to its end."""
    return started - SETTLING


def settled(mark: datetime, newest: datetime | None, before: datetime | None) -> datetime:
    """Return the watermark of a finished read, held back to what was seen.

    Args:
        mark: by the run's start (`mark_after`).
        newest: the latest modification that was seen, None where no row came.
        before: the watermark before.

    """
    seen = newest - SETTLING if newest is not None and newest.year > 1 else before
    return mark if seen is None else min(mark, max(seen, mark - LONGEST_QUIET))


def with_newest(old: Position, new: Position, newest: datetime | None) -> Position:
    """Return the position that a commit moves to, with the latest modification of its rows taken into account.

    Within a pass it is kept; the end of a pass holds the watermark back to it.
    """
    earlier = old.current.newest if old.current is not None and old.epoch == new.epoch else None
    known = max((one for one in (newest, earlier) if one is not None), default=None)
    if new.current is not None:
        return replace(new, current=replace(new.current, newest=known))
    return new if new.watermark is None else replace(new, watermark=settled(new.watermark, known, old.watermark))


def restart_date(watermark: datetime | None, start: datetime | None) -> datetime | None:
    """Return the date to ask a feed from when its token is refused; None is from the very first record."""
    if watermark is None:
        return start
    date = watermark - TOKEN_OVERLAP
    return max(date, start) if start else date


def tail_start(started: datetime) -> datetime:
    """Return where the open tail begins that catches what left a closed window while it was read."""
    return started - TAIL_OVERLAP

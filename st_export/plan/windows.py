"""Arithmetic of half-open windows `[start, end)` of UTC time: cutting, joining, taking away. No I/O, no clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from st_export.flow import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAY = timedelta(days=1)
FIRST_YEAR = 2000
RECENT = timedelta(days=4 * 365)
"""A window from the year 1 is cut so long before its end: cutting two thousand years evenly finds nothing, and no account is so old."""

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""Before every record, the unset value of the service's platform (year 1) included."""


def midnight(day: date) -> datetime:
    """Return the first moment of a UTC day."""
    return datetime.combine(day, time(0), tzinfo=UTC)


def covers(windows: Iterable[Window], moment: datetime) -> bool:
    """Whether any of the windows holds the moment."""
    return any(window.start <= moment and (window.end is None or moment < window.end) for window in windows)


def cut(window: Window, moments: Sequence[datetime]) -> tuple[Window, ...]:
    """Cut a window at moments that lie strictly inside it, in ascending order.

    Raises:
        ValueError: a moment is not strictly inside, or does not lie behind the one before.

    """
    pieces: list[Window] = []
    start = window.start
    for moment in moments:
        if not start < moment or (window.end is not None and not moment < window.end):
            raise ValueError(f"{moment} does not lie inside {window}")
        pieces.append(Window(start, moment))
        start = moment
    return (*pieces, Window(start, window.end))


def cuts(window: Window, pieces: int, oldest: datetime | None = None) -> list[datetime]:
    """Return where to cut a closed window into about so many pieces of one length; none where it is too short.

    The cuts lie at midnight where the window holds one, else at whole seconds. A window from the year 1 is cut behind `oldest`, a guess
    at the oldest record; where there is none, into the recent years and one piece that is all before them.

    Raises:
        ValueError: the window is open, or one piece is asked for.

    """
    if window.end is None or pieces < 2:
        raise ValueError("only a closed window is cut, and into two at least")
    start, found = window.start, set[datetime]()
    if start.year < FIRST_YEAR < (window.end - RECENT).year:
        known = oldest is not None and oldest.year >= FIRST_YEAR and oldest < window.end
        start = oldest if oldest is not None and known else window.end - RECENT
        found |= set() if known else {_near(window, start) or start}
    step = (window.end - start) / pieces
    found.update(moment for number in range(1, pieces) if (moment := _near(window, start + number * step)) is not None)
    return sorted(found)


def _near(window: Window, moment: datetime) -> datetime | None:
    """Return a moment near another one that cuts a closed window well: at midnight where it holds one, else at a whole second."""
    at_midnight = midnight(moment.date())
    for cut_at in (at_midnight, at_midnight + DAY if at_midnight.date() < date.max else at_midnight, moment.replace(microsecond=0)):
        if window.end is not None and window.start < cut_at < window.end:
            return cut_at
    return None


def without(windows: Sequence[Window], done: Window) -> tuple[Window, ...]:
    """Take a window away from disjoint windows; what is left is disjoint and in the same order."""
    left: list[Window] = []
    for window in windows:
        if _apart(window, done):
            left.append(window)
            continue
        if window.start < done.start:
            left.append(Window(window.start, done.start))
        if done.end is not None and (window.end is None or done.end < window.end):
            left.append(Window(done.end, window.end))
    return tuple(left)


def days(window: Window) -> list[date]:
    """Return the UTC days that a closed window touches, in order.

    Raises:
        ValueError: the window is open.

    """
    if window.end is None:
        raise ValueError("an open window has no last day")
    first, last = window.start.date(), (window.end - timedelta(microseconds=1)).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _apart(one: Window, other: Window) -> bool:
    return (one.end is not None and one.end <= other.start) or (other.end is not None and other.end <= one.start)

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
"""A window from the year 1 is cut so long before its end: halving two thousand years costs a request a step, and no account is so old."""

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""Before every record, the unset value of the service's platform (year 1) included."""


def midnight(day: date) -> datetime:
    """Return the first moment of a UTC day."""
    return datetime.combine(day, time(0), tzinfo=UTC)


def covers(windows: Iterable[Window], moment: datetime) -> bool:
    """Whether any of the windows holds the moment."""
    return any(window.start <= moment and (window.end is None or moment < window.end) for window in windows)


def cut(window: Window, at: datetime) -> tuple[Window, Window]:
    """Cut a window in two at a moment strictly inside it.

    Raises:
        ValueError: the moment is not strictly inside.

    """
    if not window.start < at or (window.end is not None and not at < window.end):
        raise ValueError(f"{at} does not lie inside {window}")
    return Window(window.start, at), Window(at, window.end)


def middle(window: Window) -> datetime | None:
    """Return where to cut a closed window in two: at midnight where it holds one, else at a whole second, None if it is too short."""
    if window.end is None:
        raise ValueError("an open window has no middle")
    half = window.start + (window.end - window.start) / 2
    if window.start.year < FIRST_YEAR < (window.end - RECENT).year:
        half = window.end - RECENT
    at_midnight = midnight(half.date())
    for moment in (at_midnight, at_midnight + DAY if at_midnight.date() < date.max else at_midnight, half.replace(microsecond=0)):
        if window.start < moment < window.end:
            return moment
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

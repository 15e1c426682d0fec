"""Which days are asked of what is asked day by day, and what a day is: UTC's, or the tenant's own with its 23 and 25 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from st_export.flow import Window

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FIRST_DAYS = 30
"""How many days a first run goes back where the configuration has no `start`: days cannot be enumerated from the beginning."""


def day_window(day: date, zone: ZoneInfo | None = None) -> Window:
    """Return the moments of a day in a zone (UTC without one): 24 hours, or 23 or 25 where the clocks change."""
    place = zone or UTC
    start = datetime.combine(day, time(0), tzinfo=place).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(0), tzinfo=place).astimezone(UTC)
    return Window(start, end)


def day_of(moment: datetime, zone: ZoneInfo | None = None) -> date:
    """Return the day in a zone that a moment lies in."""
    return moment.astimezone(zone or UTC).date()


def days_between(first: date, last: date) -> list[date]:
    """Return the days from `first` to `last`, both included; none if `last` is before `first`."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def nightly_days(
    *,
    watermark: datetime | None,
    start: datetime | None,
    now: datetime,
    lookback_days: int,
    first_days: int = FIRST_DAYS,
    zone: ZoneInfo | None = None,
) -> list[date]:
    """Return the days that a nightly run asks: from the day of the watermark, less the days looked back, to today.

    Without a watermark from `start`, without that the last `first_days` days.
    """
    today = day_of(now, zone)
    if watermark is not None:
        first = day_of(watermark, zone) - timedelta(days=lookback_days)
    elif start is not None:
        first = day_of(start, zone)
    else:
        first = today - timedelta(days=first_days)
    return days_between(first, today)


def backfill_days(start: datetime, end: datetime) -> list[date]:
    """Return the days of a backfill's `[start, end)` by the dates as they are written; each is then a day of the tenant's zone."""
    return days_between(start.astimezone(UTC).date(), (end - timedelta(microseconds=1)).astimezone(UTC).date())

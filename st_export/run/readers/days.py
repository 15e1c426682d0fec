"""Reading what is asked day by day: ad performance, attributed leads, cost summaries, capacity, reports with `{day}`.

Each day is a snapshot of its own. A day changes while it lasts, so the day of the watermark is asked again; one that came out
equal is not written again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from st_export.fetch.lists import ListCall, PageSize, list_path
from st_export.flow import Json, Pass, Position, Window, utc_text
from st_export.plan.days import backfill_days, day_of, day_window, days_between, nightly_days
from st_export.plan.watermark import mark_after
from st_export.plan.windows import without
from st_export.run.groups import task_group
from st_export.run.readers.counted import read_all
from st_export.run.unit import new_unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from st_export.catalog.entity import Entity
    from st_export.run.parts import Parts
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit

    Fill = Callable[["DaySlot"], Awaitable[OpenUnit]]
    """Reads what is asked for a slot into a unit, not yet committed."""


class DaySlot:
    """One day, and one segment of it where the entity has segments: what is asked, and the unit that takes it."""

    def __init__(self, work: DayPass, day: date, segment: str | None) -> None:
        self.day, self.segment = day, segment
        self.window = day_window(day, work.zone)
        self.constants: dict[str, Json] = {"_window_from": self.window.start, "_window_to": self.window.end}
        if segment is not None:
            self.constants["_segment"] = segment
        self._work = work

    def open_unit(self) -> OpenUnit:
        """Return a new unit for the slot."""
        label = f"d{self.day.isoformat()}{'-' + self.segment if self.segment else ''}"
        work = self._work
        return new_unit(
            work.parts,
            work.entity,
            work.scope,
            work.position.epoch,
            label,
            window=self.window,
            reading="snapshot",
            asked_day=self.day,
            constants=self.constants,
        )


def range_query(entity: Entity, slot: DaySlot) -> tuple[tuple[str, str], ...]:
    """Return the query parameters that ask for a slot's day and segment."""
    values = (
        (entity.range_from, utc_text(slot.window.start)),
        (entity.range_to, utc_text(slot.window.end) if slot.window.end else None),
        (entity.segment_parameter, slot.segment),
    )
    return tuple((name, value) for name, value in values if name and value)


async def read_days(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Ask every UTC day that is due of a catalog entity.

    Raises:
        EntityFailed, EntityRefused, ServiceUnavailable, TenantRefused: as the client and the counted reading say.

    """

    async def fill(slot: DaySlot) -> OpenUnit:
        call = ListCall(entity, list_path(entity, parts.tenant), query=range_query(entity, slot), constants=slot.constants)
        return await read_all(parts, call, PageSize(parts.page_size(entity)), None, slot.open_unit)

    await read_slots(parts, entity, scope, fill)


async def read_slots(
    parts: Parts,
    entity: Entity,
    scope: Scope,
    fill: Fill,
    *,
    zone: ZoneInfo | None = None,
    lookback_days: int = 0,
    first_days: int | None = None,
    around: tuple[int, int] | None = None,
) -> None:
    """Ask every day that is due, days side by side, and commit each for itself.

    Args:
        parts: the tenant's parts.
        entity: what is read.
        scope: nightly or a backfill.
        fill: reads one slot.
        zone: whose days; UTC without one.
        lookback_days: days before the watermark that are asked again.
        first_days: how far a first run without `start` goes back; None for the general figure.
        around: days before and after today that are asked, whatever was asked before.

    """
    position = parts.position(entity, scope)
    cut_short = position.current
    if position.current is None:
        started = await parts.source.service_time()
        due = _due(
            parts,
            scope=scope,
            position=position,
            started=started,
            zone=zone,
            lookback_days=lookback_days,
            first_days=first_days,
            around=around,
        )
        windows = (Window(day_window(due[0], zone).start, day_window(due[-1], zone).end),) if due else ()
        position = replace(position, epoch=position.epoch + 1, done=False, current=Pass(started, windows=windows))
    await DayPass(parts, entity, scope, position, zone, fill).run()
    if cut_short is None or scope.is_backfill or parts.stop.requested:
        return
    if day_of(await parts.source.service_time(), zone) > day_of(cut_short.started, zone):  # days have begun since that pass did
        await read_slots(parts, entity, scope, fill, zone=zone, lookback_days=lookback_days, first_days=first_days, around=around)


def _due(
    parts: Parts,
    *,
    scope: Scope,
    position: Position,
    started: datetime,
    zone: ZoneInfo | None,
    lookback_days: int,
    first_days: int | None,
    around: tuple[int, int] | None,
) -> list[date]:
    asked = scope.window(started)
    if asked is not None:
        return backfill_days(asked.start, asked.end or started)
    if around is not None:
        today = day_of(started, zone)
        return days_between(today - timedelta(days=around[0]), today + timedelta(days=around[1]))
    more = {} if first_days is None else {"first_days": first_days}
    start, back = parts.config.start, lookback_days
    return nightly_days(watermark=position.watermark, start=start, now=started, lookback_days=back, zone=zone, **more)


class DayPass:
    """One pass over days: which are left, and the commit of each."""

    def __init__(self, parts: Parts, entity: Entity, scope: Scope, position: Position, zone: ZoneInfo | None, fill: Fill) -> None:
        assert position.current is not None  # noqa: S101 -- read_slots began the pass
        self.parts, self.entity, self.scope, self.position, self.zone = parts, entity, scope, position, zone
        self._fill = fill
        self._started = position.current.started
        self._left = [
            day
            for window in position.current.windows
            if window.end is not None
            for day in days_between(day_of(window.start, zone), day_of(window.end - timedelta(microseconds=1), zone))
        ]

    async def run(self) -> None:
        """Read the days that are left; when all are done the pass is."""
        async with task_group() as group:
            for day in self._left:
                group.start_soon(self._read_day, day)
        if not self.parts.stop.requested:
            end = Position(epoch=self.position.epoch, watermark=mark_after(self._started), done=self.scope.is_backfill)
            await self.parts.move(self.entity, self.scope, lambda _: end)

    async def _read_day(self, day: date) -> None:
        async with self.parts.window_slot(self.entity):
            segments = self.entity.segments or (None,)
            for segment in segments:
                if self.parts.stop.requested:
                    return
                slot = DaySlot(self, day, segment)
                unit = await self._fill(slot)
                await unit.commit(self._move(slot.window if segment == segments[-1] else None))

    def _move(self, done: Window | None) -> Callable[[Position], Position]:
        """Return how the commit of a slot moves the position; None where the day goes on."""

        def move(old: Position) -> Position:
            base = old if old.epoch == self.position.epoch and old.current is not None else self.position
            if done is None or base.current is None:
                return base
            return replace(base, current=replace(base.current, windows=without(base.current.windows, done)))

        return move

"""Reading a list that filters by modification: one page when little is new, closed windows side by side when there is more.

A pass begins with page 1 of all that is asked, and its total. Where that is all, one answer of one moment, the pass is complete. Else
the time before the pass's start is read in closed windows (or, the first time, the whole list in one walk), committed one by one,
and an open tail catches what left them. Why each walk is sound is argued in `plan.paging`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from st_export.errors import EntityFailed
from st_export.fetch.lists import ListCall, PageSize, has_more, honour_clamp, list_path, page_at, walk_backward, walk_forward
from st_export.fetch.pages import PageNumber
from st_export.flow import Pass, Position, Window
from st_export.plan.paging import fits_one_walk, walk_for
from st_export.plan.watermark import mark_after, tail_start
from st_export.plan.windows import BEGINNING, cut, middle, without
from st_export.run.groups import task_group
from st_export.run.readers.counted import fill, read_all
from st_export.run.readers.rows import list_check, within
from st_export.run.unit import new_unit

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from st_export.catalog.entity import Entity, Paging
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.readers.rows import RowCheck
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit


async def read_list(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Bring a list from its watermark, or through a backfill's window, to the end.

    Raises:
        EntityFailed: the service ignored a filter, or a page stays unreadable.
        EntityRefused, ServiceUnavailable, TenantRefused: as the client says.

    """
    position = parts.position(entity, scope)
    if position.current is None:
        started = await parts.source.service_time()
        position = replace(position, epoch=position.epoch + 1, token=None, done=False, current=Pass(started, scope.end))
    parts.asks(entity, scope, position)
    reader = _ListPass(parts, entity, scope, position)
    if not reader.windows and await reader.begin():
        return
    await reader.read_windows()


class _ListPass:
    """One pass over a list: its start, its windows still to be read, and the page size found good."""

    def __init__(self, parts: Parts, entity: Entity, scope: Scope, position: Position) -> None:
        assert entity.paging is not None and position.current is not None  # noqa: S101, PT018 -- read_list saw to both
        self.parts, self.entity, self.scope, self.position = parts, entity, scope, position
        self.paging: Paging = entity.paging
        self.started: datetime = position.current.started
        self.windows = position.current.windows
        self.asked = scope.window(self.started)
        self.size = PageSize(parts.page_size(entity))

    # -- the beginning of a pass

    async def begin(self) -> bool:
        """Ask page 1 of all; True where that was all and the pass is complete, False where windows are left to read."""
        lower = self._lower()
        window = self._first_window(lower)
        call = self._call(window)
        first = await page_at(self.parts.source, call, self.size, 0)
        honour_clamp(first, self.size)
        total = first.envelope.total_count
        self.parts.expect(self.entity, total)
        # Where the service tells no total, nothing can be cut: all is read until two readings agree.
        is_one_set = total is None or not has_more(first, self.size)
        if is_one_set and window is not None and window.end is not None:
            self._set_windows((Window(tail_start(self.started)),))
            await self._read_set(call, first, self.position)
            return False
        if is_one_set or not self._can_cut():
            await self._read_set(call, first, self._finished())
            return True
        await self._look_at(call, first)
        if window is None and await self._belongs_together(total):
            self._set_windows((Window(tail_start(self.started)),))
            await self._read_set(call, None, self.position)
            return False
        self._plan(lower or BEGINNING)
        return False

    async def _look_at(self, call: ListCall, first: Page) -> None:
        """Hold page 1 against what was asked before anything else is asked by the same filter, and free it."""
        unit = self._open("first", call.window, self._check(call, call.window))
        try:
            if call.window is not None:
                await unit.take(first)
        finally:
            unit.discard()
            await self.parts.source.release(first)

    def _first_window(self, lower: datetime | None) -> Window | None:
        """Return what page 1 asks for: a backfill's closed window where it can be cut, else all from the lower bound on."""
        end = min(self.asked.end or self.started, tail_start(self.started)) if self.asked is not None else None
        if self.asked is not None and end is not None and self._can_cut() and self.asked.start < end:
            return Window(self.asked.start, end)
        if lower is not None:
            return Window(lower)
        return Window(BEGINNING) if self.paging.needs_window else None

    def _lower(self) -> datetime | None:
        if self.scope.is_backfill:
            return self.scope.start
        return self.position.watermark or self.parts.history_start(self.entity)

    def _can_cut(self) -> bool:
        return self.paging.modified_before is not None and self.paging.has_total

    def _plan(self, lower: datetime) -> None:
        tail = tail_start(self.started)
        end = min(self.asked.end or tail, tail) if self.asked is not None else tail
        windows = (Window(lower, end),) if lower < end else ()
        self._set_windows((*windows, Window(max(lower, tail))))

    def _set_windows(self, windows: tuple[Window, ...]) -> None:
        assert self.position.current is not None  # noqa: S101 -- a pass is under way
        self.windows = windows
        self.position = replace(self.position, current=replace(self.position.current, windows=windows))

    async def _belongs_together(self, total: int | None) -> bool:
        """Whether the whole list is read without a filter: it is short and sorted, or has records that no window would show."""
        if fits_one_walk(total, self.size.rows, is_sorted=self.paging.sort is not None):
            return True
        dated = await self._count(Window(BEGINNING))
        if total is None or dated >= total:
            return False
        self.parts.note("info", f"{total - dated:,} records bear no modification time; the list is read in one walk", self.entity)
        return True

    # -- walks

    async def _read_set(self, call: ListCall, first: Page | None, after: Position) -> None:
        """Read a set that is not cut and commit it, with the position after it."""
        window = call.window
        label, check = window.label() if window else "all", self._check(call, window)
        unit = await read_all(self.parts, call, self.size, first, lambda: self._open(label, window, check))
        await unit.commit(lambda _: after)

    async def _read_tail(self) -> None:
        """Read what was changed since the pass began, and end the pass."""
        window = Window(tail_start(self.started))
        call = self._call(window)
        first = await page_at(self.parts.source, call, self.size, 0)
        honour_clamp(first, self.size)
        total = first.envelope.total_count
        if not has_more(first, self.size) or walk_for(self.entity, window) == "counted" or total is None:
            await self._read_set(call, first, self._finished())
            return
        unit = self._open(window.label(), window, self._check(call, window))

        async def both_ways(emit: Emit) -> None:
            await walk_forward(self.parts.source, call, self.size, emit, first=first)
            await walk_backward(self.parts.source, call, self.size, total, emit)

        await fill(self.parts, unit, both_ways)
        end = self._finished()
        await unit.commit(lambda _: end)

    def _open(self, label: str, window: Window | None, check: RowCheck | None) -> OpenUnit:
        return new_unit(self.parts, self.entity, self.scope, self.position.epoch, label, window=window, check=check)

    def _finished(self) -> Position:
        return Position(epoch=self.position.epoch, watermark=mark_after(self.started), done=self.scope.is_backfill)

    def _call(self, window: Window | None) -> ListCall:
        return ListCall(self.entity, list_path(self.entity, self.parts.tenant), window)

    def _check(self, call: ListCall, window: Window | None) -> RowCheck | None:
        honoured = list_check(self.entity, window, self.started, call.filter_name(), by_creation=False)
        asked = self.asked
        if asked is None:
            return honoured

        def check(batch: pa.RecordBatch) -> pa.RecordBatch:
            batch = honoured(batch) if honoured else batch
            return batch.filter(within(self.entity, batch, asked, self.started))

        return check

    async def _count(self, window: Window) -> int:
        total = await self.parts.source.count(self._call(window).request(PageNumber(1, 1), include_total=True))
        if total is None:
            raise EntityFailed("the list tells no total although it offers one", tenant=self.parts.tenant, entity=self.entity.name)
        return total

    # -- closed windows, side by side

    async def read_windows(self) -> None:
        """Read what is left of the closed windows side by side, then the tail, which ends the pass."""
        closed = [window for window in self.windows if window.end is not None]
        async with task_group() as group:
            for window in closed:
                group.start_soon(self._read_closed, window, None)
        if not self.parts.stop.requested:
            await self._read_tail()

    async def _read_closed(self, window: Window, total: int | None) -> None:
        """Read a closed window, or cut it in two and read the halves."""
        if self.parts.stop.requested:
            return
        if total is None:
            total = await self._count(window)
        half = middle(window)
        if half is None or fits_one_walk(total, self.size.rows, window, is_sorted=self.paging.sort is not None):
            async with self.parts.window_slot(self.entity):
                if not self.parts.stop.requested:
                    with self.size.of_walk() as size:
                        await self._read_leaf(window, total, size)
            return
        left, right = cut(window, half)
        left_total = await self._count(left)
        async with task_group() as group:
            group.start_soon(self._read_closed, left, left_total)
            # What is reckoned may be too low where a record came late; none at all is asked, not reckoned.
            group.start_soon(self._read_closed, right, total - left_total if total > left_total else None)

    async def _read_leaf(self, window: Window, total: int, size: PageSize) -> None:
        call = self._call(window)
        check = self._check(call, window)
        if not total:
            unit = self._open(window.label(), window, check)
        elif self.paging.sort is None:
            unit = await read_all(self.parts, call, size, None, lambda: self._open(window.label(), window, check))
        else:
            unit = self._open(window.label(), window, check)
            await fill(self.parts, unit, lambda emit: walk_backward(self.parts.source, call, size, total, emit))
        await unit.commit(lambda old: self._without(old, window))

    def _without(self, old: Position, window: Window) -> Position:
        """Return the position with a window done; the first commit of a pass brings the pass itself."""
        base = old if old.epoch == self.position.epoch and old.current is not None else self.position
        assert base.current is not None  # noqa: S101 -- self.position always has it here
        return replace(base, current=replace(base.current, windows=without(base.current.windows, window)))

"""Reading a list that filters by modification: one open window when little is new, closed windows side by side when there is much.

A pass begins with page 1 of all that is asked, and its total. What fits a few pages is read on, forward. Else the time before the
pass's start is cut into closed windows, read backward and committed one by one, and an open tail catches what left them.
Why each walk is sound is argued in `plan.paging`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from st_export.errors import EntityFailed
from st_export.fetch.lists import ListCall, PageSize, honour_clamp, list_path, page_at, walk_backward, walk_forward
from st_export.fetch.pages import PageNumber
from st_export.flow import Pass, Position, Window
from st_export.plan.paging import fits_one_walk, walk_for
from st_export.plan.watermark import mark_after, tail_start
from st_export.plan.windows import BEGINNING, cut, middle, without
from st_export.run.counted import read_counted
from st_export.run.groups import task_group
from st_export.run.pump import pump
from st_export.run.rows import list_check, within

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from st_export.catalog.entity import Entity, Paging
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.rows import RowCheck
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
        position = replace(position, epoch=position.epoch + 1, token=None, done=False, current=Pass(parts.source.service_now(), scope.end))
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
        """Ask page 1 of all; read on where that is little (True: the pass is complete), else plan the windows (False)."""
        lower = self._lower()
        window = self._first_window(lower)
        call = self._call(window)
        first = await page_at(self.parts.source, call, self.size, 0)
        honour_clamp(first, self.size)
        total, has_more = first.envelope.total_count, first.envelope.has_more is True
        self.parts.expect(self.entity, total)
        if window is not None and window.end is not None and not has_more:
            self._set_windows((Window(tail_start(self.started)),))
            await self._read_open(call, window, first, last=False)
            return False
        if not has_more or not self._can_cut() or (self.asked is None and fits_one_walk(total, self.size.rows)):
            await self._read_open(call, window, first, last=True)
            return True
        await self.parts.source.release(first)
        if window is None and await self._has_undated(total):
            await self._read_open(call, None, None, last=True)
            return True
        self._plan(lower or BEGINNING)
        return False

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
        return self.paging.sort is not None and self.paging.modified_before is not None and self.paging.has_total

    def _plan(self, lower: datetime) -> None:
        tail = tail_start(self.started)
        end = min(self.asked.end or tail, tail) if self.asked is not None else tail
        windows = (Window(lower, end),) if lower < end else ()
        self._set_windows((*windows, Window(max(lower, tail))))

    def _set_windows(self, windows: tuple[Window, ...]) -> None:
        assert self.position.current is not None  # noqa: S101 -- a pass is under way
        self.windows = windows
        self.position = replace(self.position, current=replace(self.position.current, windows=windows))

    async def _has_undated(self, total: int | None) -> bool:
        """Whether records without `modifiedOn` exist, which no window would show."""
        dated = await self._count(Window(BEGINNING))
        if total is None or dated is None or dated >= total:
            return False
        self.parts.note("info", f"{total - dated:,} records bear no modification time; the list is read in one walk", self.entity)
        return True

    # -- walks

    async def _read_open(self, call: ListCall, window: Window | None, first: Page | None, *, last: bool) -> None:
        """Read a window forward (or counted, without a sort) and commit it; `last` ends the pass."""
        label = window.label() if window else "all"
        check = self._check(call, window)
        if walk_for(self.entity, window) == "counted":
            unit = await read_counted(self.parts, call, self.size, first, lambda: self._open(label, window, check))
        else:
            unit = self._open(label, window, check)

            async def walk(emit: Emit) -> None:
                await walk_forward(self.parts.source, call, self.size, emit, first=first)

            async def take(page: Page) -> bool:
                await unit.take(page)
                return True

            try:
                await pump(self.parts.source, walk, take)
            except BaseException:
                unit.discard()
                raise
        position = self._finished() if last else self.position
        await unit.commit(lambda _: position)

    def _open(self, label: str, window: Window | None, check: RowCheck | None) -> OpenUnit:
        return self.parts.open_unit(self.entity, self.scope, self.position.epoch, label, window=window, check=check)

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

    async def _count(self, window: Window) -> int | None:
        return await self.parts.source.count(self._call(window).request(PageNumber(1, 1), include_total=True))

    # -- closed windows, side by side

    async def read_windows(self) -> None:
        """Read what is left of the closed windows side by side, then the tail, which ends the pass."""
        closed = [window for window in self.windows if window.end is not None]
        async with task_group() as group:
            for window in closed:
                group.start_soon(self._read_closed, window, None)
        if self.parts.stop.requested:
            return
        tail = Window(tail_start(self.started))
        await self._read_open(self._call(tail), tail, None, last=True)

    async def _read_closed(self, window: Window, total: int | None) -> None:
        """Read a closed window, or cut it in two and read the halves."""
        if self.parts.stop.requested:
            return
        if total is None:
            total = await self._count(window)
            if total is None:
                raise EntityFailed("the list tells no total although it offers one", tenant=self.parts.tenant, entity=self.entity.name)
        half = middle(window)
        if half is None or fits_one_walk(total, self.size.rows, window):
            async with self.parts.window_slot(self.entity):
                if not self.parts.stop.requested:
                    await self._read_leaf(window, total)
            return
        left, right = cut(window, half)
        left_total = await self._count(left) or 0
        async with task_group() as group:
            group.start_soon(self._read_closed, left, left_total)
            group.start_soon(self._read_closed, right, max(total - left_total, 0))

    async def _read_leaf(self, window: Window, total: int) -> None:
        call = self._call(window)
        unit = self._open(window.label(), window, self._check(call, window))
        if total:

            async def walk(emit: Emit) -> None:
                await walk_backward(self.parts.source, call, self.size, total, emit)

            async def take(page: Page) -> bool:
                await unit.take(page)
                return True

            try:
                await pump(self.parts.source, walk, take)
            except BaseException:
                unit.discard()
                raise
        await unit.commit(lambda old: self._without(old, window))

    def _without(self, old: Position, window: Window) -> Position:
        """Return the position with a window done; the first commit of a pass brings the pass itself."""
        base = old if old.epoch == self.position.epoch and old.current is not None else self.position
        assert base.current is not None  # noqa: S101 -- self.position always has it here
        return replace(base, current=replace(base.current, windows=without(base.current.windows, window)))

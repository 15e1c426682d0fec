"""Reading a list that filters by modification: one page when little is new, closed windows side by side when there is more.

A pass begins with page 1 of all that is asked, and its total. Where that is all, one answer of one moment, the pass is complete. Else
the time before the pass's start is read in closed windows (or, the first time, the whole list in one walk), committed one by one,
and an open tail, read when the last of them has been walked, catches what left them. A window of a list that is asked once a variant is
one unit with the rows of all variants. Why each walk is sound is argued in `plan.paging`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from st_export.errors import EntityFailed
from st_export.fetch.lists import ListCall, PageSize, has_more, honour_clamp, list_path, page_at, walk_backward, walk_forward
from st_export.fetch.pages import PageNumber
from st_export.flow import Pass, Position, Window
from st_export.plan.paging import fits_one_walk, walk_for
from st_export.plan.watermark import mark_after, tail_start
from st_export.plan.windows import BEGINNING, without
from st_export.run.groups import side_by_side, task_group
from st_export.run.readers.closed import ClosedWindows
from st_export.run.readers.counted import fill, read_all
from st_export.run.readers.rows import first_time, list_check, within
from st_export.run.unit import new_unit
from st_export.run.variants import calls_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pyarrow as pa

    from st_export.catalog.entity import Entity, Paging
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.readers.closed import Counted
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
        self.is_sorted = self.paging.sort is not None and not entity.variants
        self.closed = ClosedWindows(parts, entity, self.size, is_sorted=self.is_sorted, count=self._count, read=self._read_leaf)
        self.counted: list[Counted] = []
        """The closed windows, once they have been counted."""
        self.most: int | None = None
        """Rows of page 1's set, at most in one call."""
        self.oldest: datetime | None = None
        """When the first row of page 1 was created: a guess at the oldest record."""

    # -- the beginning of a pass

    async def begin(self) -> bool:
        """Ask page 1 of all; True where that was all and the pass is complete, False where windows are left to read."""
        lower = self._lower()
        window = self._first_window(lower)
        call = self._call(window)
        first, total, is_all = await self._first(call)
        self.parts.expect(self.entity, total)
        # Where the service tells no total, nothing can be cut: all is read until two readings agree.
        is_one_set = total is None or is_all
        if is_one_set and window is not None and window.end is not None:
            self._set_windows((Window(tail_start(self.started)),))
            await self._read_set(call, first, self.position)
            return False
        if is_one_set or not self._can_cut():
            await self._read_set(call, first, self._finished())
            return True
        if first is not None:
            await self._look_at(call, first)
        self._plan(lower or BEGINNING)
        if window is not None:
            self.counted = [(one, self.most) for one in self.windows if one.end is not None]
        elif await self._belongs_together(total):
            self._set_windows((Window(tail_start(self.started)),))
            await self._read_set(call, None, self.position)
        return False

    async def _first(self, call: ListCall) -> tuple[Page | None, int | None, bool]:
        """Return page 1, the total, and whether the page is all; of several variants no page, as each of theirs has been looked at."""

        async def one(each: ListCall) -> tuple[Page | None, int | None, bool]:
            first = await page_at(self.parts.source, each, self.size, 0)
            honour_clamp(first, self.size)
            total, is_all = first.envelope.total_count, not has_more(first, self.size)
            moments = (self.oldest, None if is_all else first_time(first, self.entity))
            self.oldest = min((moment for moment in moments if moment is not None), default=None)
            if not self.entity.variants:
                return first, total, is_all
            await self._look_at(each, first)
            return None, total, is_all

        firsts = await side_by_side([partial(one, each) for each in calls_of(call)])
        totals = [total for _, total, _ in firsts if total is not None]
        self.most = max(totals, default=None)
        return firsts[0][0], sum(totals) if len(totals) == len(firsts) else None, all(is_all for _, _, is_all in firsts)

    async def _look_at(self, call: ListCall, first: Page) -> None:
        """Hold page 1 against what was asked before anything else is asked by the same filter, and free it."""
        unit = self._open("first", call.window, self._check(call, call.window))
        try:
            if call.window is not None:
                await unit.take(first)
        finally:
            unit.discard()
            self.parts.source.release(first)

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
        if fits_one_walk(total, self.size.rows, is_sorted=self.is_sorted):
            return True

        most, dated = self.most or 0, 0

        async def ask() -> None:
            nonlocal dated
            dated = sum(await self._totals(Window(BEGINNING)))

        async def cut_up() -> None:
            for whole in [one for one in self.windows if one.end is not None]:
                self.counted += await self.closed.cut(whole, most, self.oldest) or [(whole, most)]

        await side_by_side([ask, cut_up])
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

    async def _tail(self) -> OpenUnit:
        """Return a unit with what was changed since the pass began."""
        window = Window(tail_start(self.started))
        call = self._call(window)

        def open_unit() -> OpenUnit:
            return self._open(window.label(), window, self._check(call, window))

        if self.entity.variants:
            return await read_all(self.parts, call, self.size, None, open_unit)
        first, total, is_all = await self._first(call)
        if is_all or walk_for(self.entity, window) == "counted" or total is None:
            return await read_all(self.parts, call, self.size, first, open_unit)
        unit = open_unit()

        async def both_ways(emit: Emit) -> None:
            await walk_forward(self.parts.source, call, self.size, emit, first=first)
            await walk_backward(self.parts.source, call, self.size, total, emit)

        await fill(self.parts, unit, both_ways)
        return unit

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
        """Return how many rows a window has at most in one call: of several variants, each is paged by itself."""
        return max(await self._totals(window))

    async def _totals(self, window: Window) -> list[int]:
        async def one(call: ListCall) -> int:
            total = await self.parts.source.count(call.request(PageNumber(1, 1), include_total=True))
            if total is None:
                raise EntityFailed("the list tells no total although it offers one", tenant=self.parts.tenant, entity=self.entity.name)
            return total

        return await side_by_side([partial(one, call) for call in calls_of(self._call(window))])

    # -- closed windows, side by side

    async def read_windows(self) -> None:
        """Read what is left of the closed windows side by side, and the tail behind them, which ends the pass."""
        tail: OpenUnit | None = None
        try:
            async with task_group() as group:
                self.closed.start(group, self.counted or [(window, None) for window in self.windows if window.end is not None])
                await self.closed.walked.wait()
                if not self.parts.stop.requested:
                    tail = await self._tail()
            if tail is not None:
                end = self._finished()
                await tail.commit(lambda _: end)
        finally:
            if tail is not None:
                tail.discard()

    async def _read_leaf(self, window: Window, total: int, walked: Callable[[], None]) -> None:
        with self.size.of_walk() as size:
            unit = await self._walk_leaf(window, total, size)
        walked()
        await unit.commit(lambda old: self._without(old, window))

    async def _walk_leaf(self, window: Window, total: int, size: PageSize) -> OpenUnit:
        call = self._call(window)
        check = self._check(call, window)
        if not self.is_sorted and total:
            return await read_all(self.parts, call, size, None, lambda: self._open(window.label(), window, check))
        unit = self._open(window.label(), window, check)
        if total:
            await fill(self.parts, unit, lambda emit: walk_backward(self.parts.source, call, size, total, emit))
        return unit

    def _without(self, old: Position, window: Window) -> Position:
        """Return the position with a window done; the first commit of a pass brings the pass itself."""
        base = old if old.epoch == self.position.epoch and old.current is not None else self.position
        assert base.current is not None  # noqa: S101 -- self.position always has it here
        return replace(base, current=replace(base.current, windows=without(base.current.windows, window)))

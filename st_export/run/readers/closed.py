"""The closed windows of a pass over a list: cut until each is one walk, and walked, a few side by side.

Where to cut is guessed from the time that a window covers and the rows that it should have; how many rows each piece has is counted, all
pieces at once, and small neighbours are joined again. What is cut is walked before more is cut: no more work is open than it takes to
keep the places busy.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import anyio

from st_export.plan.paging import fits_one_walk, joined, pieces_of
from st_export.plan.windows import cut, cuts
from st_export.run.groups import side_by_side
from st_export.run.parts import WINDOWS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from anyio.abc import TaskGroup

    from st_export.catalog.entity import Entity
    from st_export.fetch.lists import PageSize
    from st_export.flow import Window
    from st_export.run.parts import Parts

    Counted = tuple[Window, int | None]
    """A window with its count of rows where that is known."""


class ClosedWindows:
    """Reads closed windows with a few workers, in a task group of the caller's.

    Args:
        parts: the tenant's.
        entity: the list.
        size: the page size found good.
        is_sorted: whether the list comes in the order of its ids.
        count: asks how many rows a window has.
        read: walks a window of about so many rows, calls what it is given when the walk is over, and commits the rows.

    """

    def __init__(
        self,
        parts: Parts,
        entity: Entity,
        size: PageSize,
        *,
        is_sorted: bool,
        count: Callable[[Window], Awaitable[int]],
        read: Callable[[Window, int, Callable[[], None]], Awaitable[None]],
    ) -> None:
        self._parts, self._entity, self._size, self._is_sorted = parts, entity, size, is_sorted
        self._count, self._read = count, read
        self._todo: deque[Counted] = deque()
        self._unwalked = 0
        self._workers = 0
        self._most = parts.config.options_for(entity.name).max_in_flight or WINDOWS_AT_ONCE
        self.walked = anyio.Event()
        """All windows have been walked, or no more will be, because the run is to stop."""

    def start(self, group: TaskGroup, windows: Sequence[Counted]) -> None:
        """Begin with these windows, each with its count of rows where that is known."""
        self._add(group, windows)
        if not windows:
            self.walked.set()

    def _add(self, group: TaskGroup, windows: Sequence[Counted]) -> None:
        # The longest last in the queue would be waited for alone; what is not counted yet may be long.
        self._todo.extendleft(sorted(windows, key=lambda one: math.inf if one[1] is None else one[1]))
        self._unwalked += len(windows)
        for _ in range(min(len(windows), self._most - self._workers)):
            self._workers += 1
            group.start_soon(self._work, group)

    async def _work(self, group: TaskGroup) -> None:
        while self._todo and not self._parts.stop.requested:
            window, total = self._todo.popleft()
            await self._take(group, window, await self._count(window) if total is None else total)
        self._workers -= 1
        if not self._workers:
            self.walked.set()

    async def _take(self, group: TaskGroup, window: Window, total: int) -> None:
        pieces = [] if self._fits(total, window) else await self.cut(window, total)
        if pieces:
            self._add(group, pieces)
            self._unwalked -= 1
            return
        async with self._parts.window_slot(self._entity):
            if not self._parts.stop.requested:
                await self._read(window, total, self._walked_one)

    def _walked_one(self) -> None:
        self._unwalked -= 1
        if not self._unwalked:
            self.walked.set()

    def _fits(self, total: int, window: Window) -> bool:
        return fits_one_walk(total, self._size.rows, window, is_sorted=self._is_sorted)

    async def cut(self, window: Window, total: int, oldest: datetime | None = None) -> list[Counted]:
        """Cut a window of about `total` rows into pieces with their counts; none where it is too short.

        `oldest` is a guess at the oldest record; only the first cut of a list is told one, so that a wrong guess is not made again.
        """
        moments = cuts(window, pieces_of(total, self._size.rows, is_sorted=self._is_sorted), oldest)
        if not moments:
            return []
        pieces = cut(window, moments)
        # What is reckoned may be too low where a record came late; none at all is asked, not reckoned.
        asked = pieces[:-1] if self._is_sorted else pieces
        totals = await side_by_side([partial(self._count, piece) for piece in asked])
        rest = total - sum(totals)
        if self._is_sorted:
            totals.append(rest if rest > 0 else await self._count(pieces[-1]))
        return joined([*zip(pieces, totals, strict=True)], self._fits)

"""Reading a feed from several dates side by side: why that is sound is argued in `plan.shards`.

The position's pass holds the windows that are still to be read and, behind `split:` in `after`, the distinct keys that the committed
parts have shown. Each commit takes the part that it brought out of the windows, so that a kill costs what was open.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pyarrow as pa

from st_export.commit.sameness import row_hashes
from st_export.errors import EntityRefused, RequestRejected
from st_export.fetch.feeds import feed_request, walk_feed
from st_export.flow import Pass, Position, Request, Window, digest_label, utc_text
from st_export.plan.shards import WORTH_PAGES, Doubt, disorder, is_past, pages_left, plan_shards, share
from st_export.plan.windows import BEGINNING, without
from st_export.run.groups import task_group
from st_export.run.pump import pump
from st_export.run.readers.rows import times, within
from st_export.run.unit import new_unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.catalog.entity import Entity
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit

CHAIN = "chain"
"""In `after`: the feed was split in vain and is read in one chain."""

COUNTED = "split:"

SHARDS_WITHOUT_A_WISH = 8
"""Readers of a pass that was split by an earlier run, when this one says nothing of it."""

RESTARTS = 3
"""How often in one run a shard goes back to its date because its token is refused."""

NEVER = datetime(2100, 1, 1, tzinfo=UTC)
"""No record was modified then: a list that shows one has not honoured the filter."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


async def read_in_shards(parts: Parts, entity: Entity, scope: Scope, position: Position) -> Position:
    """Read what a feed's pass has to read side by side, if anything; return the position from which one chain goes on.

    Raises:
        EntityFailed, EntityRefused, ServiceUnavailable, TenantRefused: as the client says.

    """
    current = position.current
    if current is None or position.token is not None or current.after == CHAIN:
        return position
    if not current.windows:
        planned = await _planned(parts, entity, scope, position)
        if planned is None:
            return position
        position = planned
    split = _Split(parts, entity, scope, position)
    try:
        return await split.run()
    except Doubt as doubt:
        parts.note("warning", f"split reading is given up and the feed read in one chain from the start, as {doubt}", entity)
    started = await parts.source.service_time()
    await parts.move(entity, scope, lambda old: _chain(old, position, started))
    return parts.position(entity, scope)


def _chain(old: Position, planned: Position, started: datetime) -> Position:
    return Position(epoch=max(old.epoch, planned.epoch) + 1, current=Pass(started, after=CHAIN))


async def _planned(parts: Parts, entity: Entity, scope: Scope, position: Position) -> Position | None:
    """Return the position with the windows of a split pass, None where the feed is to be read in one chain."""
    current = position.current
    column = entity.modified or entity.created
    if scope.split is None or position.watermark is not None or current is None or column is None or not entity.key:
        return None
    start = scope.start or parts.history_start(entity)
    page = await parts.source.page(feed_request(entity, parts.tenant, start, recent_changes=parts.config.recent_changes))
    try:
        oldest = await parts.shared.run_decode(_oldest, parts, entity, page, column)
    finally:
        parts.source.release(page)
    if not page.envelope.has_more or oldest is None:
        return None
    first = max(oldest, start) if start is not None else oldest
    plan = plan_shards(first, scope.end, current.started, scope.split)
    if plan is None:
        return None
    head = Window(start or BEGINNING, plan.shards[0].end)
    parts.note("info", f"the feed is read from {len(plan.shards)} dates side by side", entity)
    windows = (head, *plan.shards[1:], Window(plan.tail))
    return replace(position, current=replace(current, windows=windows, after=f"{COUNTED}0"))


def _oldest(parts: Parts, entity: Entity, page: Page, column: str) -> datetime | None:
    """Return the time of the oldest row of a page; None where a row has none. Blocking."""
    oldest: datetime | None = None
    for decoded in parts.shelf(entity).decoder.decode(page):
        moments = times(decoded.batch, column)
        if moments is None or moments.null_count:
            return None
        found = pa.compute.min(moments).as_py()
        oldest = found if oldest is None or (found is not None and found < oldest) else oldest
    return oldest


def _counted(position: Position) -> int:
    after = position.current.after if position.current is not None else None
    return int(after.removeprefix(COUNTED)) if after is not None and after.startswith(COUNTED) else 0


class _Split:
    """One pass that is split: the windows that wait, and the shards that are being read."""

    def __init__(self, parts: Parts, entity: Entity, scope: Scope, position: Position) -> None:
        assert position.current is not None  # noqa: S101 -- read_in_shards saw to it
        self.parts, self.entity, self.scope, self.position = parts, entity, scope, position
        self.column = entity.modified or entity.created or ""
        self.started = position.current.started
        self.waiting = deque(window for window in position.current.windows if window.end is not None)
        self.live: set[_Shard] = set()
        self.restarts = 0
        self._changed = anyio.Event()

    async def run(self) -> Position:
        """Read all windows; return the position before the tail (where a stop came before the end, the present one)."""
        assert self.position.current is not None  # noqa: S101 -- read_in_shards saw to it
        tail = self.position.current.windows[-1].start
        if self.waiting:
            async with task_group() as group:
                for _ in range(self.scope.split or SHARDS_WITHOUT_A_WISH):
                    group.start_soon(self._work)
            if self.parts.stop.requested:
                return self._present()
        await self._prove(min(self.scope.end or tail, tail))
        return self._present()

    def _present(self) -> Position:
        """Return the position of the pass: as it was planned, where nothing has been committed yet."""
        now = self.parts.position(self.entity, self.scope)
        return now if now.epoch == self.position.epoch and now.current is not None else self.position

    async def _work(self) -> None:
        while not self.parts.stop.requested:
            shard = self._next()
            if shard is not None:
                await self._read(shard)
            elif self.live:
                await self._changed.wait()
            else:
                return

    async def _read(self, shard: _Shard) -> None:
        self.live.add(shard)
        try:
            await shard.read()
        except (RequestRejected, EntityRefused) as refusal:
            if not shard.asks_by_token or refusal.status not in (400, 404):
                raise
            self.restarts += 1
            if self.restarts > RESTARTS:
                raise Doubt("its tokens are refused again and again") from refusal
            self.waiting.append(Window(shard.start, shard.end))
        finally:
            self.live.discard(shard)
            self.tell()

    def tell(self) -> None:
        """Let idle readers look again whether there is something to do."""
        self._changed.set()
        self._changed = anyio.Event()

    def _next(self) -> _Shard | None:
        """Return the next shard: one that waits, else the second half of the longest that is being read."""
        if self.waiting:
            window = self.waiting.popleft()
            assert window.end is not None  # noqa: S101 -- only closed ones wait
            return _Shard(self, window.start, window.end)
        longest = max(self.live, key=_Shard.pages_left, default=None)
        if longest is None or longest.pages_left() < WORTH_PAGES or longest.newest is None:
            return None
        middle = share(longest.newest, longest.end)
        if middle is None:
            return None
        end, longest.end = longest.end, middle
        return _Shard(self, middle, end)

    # -- the position

    def done(self, part: Window, keys: int) -> Callable[[Position], Position]:
        """Return how the commit of a part moves the position: the part is no longer to be read, its keys are counted."""

        def move(old: Position) -> Position:
            base = old if old.epoch == self.position.epoch and old.current is not None else self.position
            assert base.current is not None  # noqa: S101 -- self.position has it
            windows = without(base.current.windows, part)
            return replace(base, current=replace(base.current, windows=windows, after=f"{COUNTED}{_counted(base) + keys}"))

        return move

    # -- the proof

    async def _prove(self, end: datetime) -> None:
        """Hold the distinct keys of all shards against the total of the entity's list, where it has one.

        Raises:
            Doubt: the list has more.

        """
        start = self.scope.start or self.parts.history_start(self.entity)
        seen, total = _counted(self._present()), await self._total(start, end)
        if total is None:
            self.parts.note(
                "info", f"{seen:,} distinct keys were read side by side; no list tells a total to hold them against", self.entity
            )
            return
        if seen < total:
            raise Doubt(f"{seen:,} distinct keys were read side by side, and the list has {total:,}")
        self.parts.note("info", f"{seen:,} distinct keys were read side by side, the list has {total:,}", self.entity)

    async def _total(self, start: datetime | None, end: datetime) -> int | None:
        """Return the total of the entity's list for a time; None where there is no list, or it does not honour the filter."""
        word = "modified" if self.entity.modified else "created"
        for path in self.entity.sources:
            if path.count("{") > 1 or "export" in path:
                continue
            bounds = {f"{word}OnOrAfter": utc_text(start)} if start is not None else {}
            asked = ({f"{word}OnOrAfter": utc_text(NEVER)}, {**bounds, f"{word}Before": utc_text(end)})
            totals: dict[int, int | None] = {}

            async def ask(number: int, path: str = path, asked: Any = asked, totals: dict[int, int | None] = totals) -> None:
                totals[number] = await self._ask(path, asked[number])

            try:
                async with task_group() as group:
                    group.start_soon(ask, 0)
                    group.start_soon(ask, 1)
            except (RequestRejected, EntityRefused) as refusal:
                self.parts.note("info", f"the list cannot be asked for its total: {refusal.message}", self.entity)
                continue
            if totals[0] == 0:  # else it has not honoured the filter
                return totals[1]
        return None

    async def _ask(self, path: str, bounds: dict[str, str]) -> int | None:
        query = {"page": "1", "pageSize": "1", "includeTotal": "true", "active": "Any", "activeState": "All", **bounds}
        return await self.parts.source.count(
            Request(self.entity.name, path.replace("{tenant}", str(self.parts.tenant)), tuple(query.items()))
        )


class _Shard:
    """One date start: what is read of `[start, end)` so far. `start` moves with each commit, `end` when a part is given away."""

    def __init__(self, split: _Split, start: datetime, end: datetime) -> None:
        self.split = split
        self.start, self.end = start, end
        self.newest: datetime | None = None
        self.asks_by_token = False
        self._asked = None if start == BEGINNING else start.replace(microsecond=0)
        self._began: datetime | None = None
        self._pages = 0
        self._is_done = False
        self._unit: OpenUnit | None = None
        self._moments: list[np.ndarray] = []
        self._hashes: list[np.ndarray] = []

    def pages_left(self) -> float:
        """Return how many pages are probably to come."""
        if self._is_done:
            return 0.0
        return pages_left(self._began, self.newest, self.end, self._pages) if self._began is not None else 0.0

    async def read(self) -> None:
        """Read until well past the end.

        Raises:
            Doubt: rows are out of order, or bear no time.

        """
        parts, entity = self.split.parts, self.split.entity

        async def walk(emit: Emit) -> None:
            async def emit_first(page: Page) -> None:
                self.asks_by_token = True  # from the second page on
                await emit(page)

            await walk_feed(parts.source, entity, self._asked, emit_first, recent_changes=parts.config.recent_changes)

        try:
            await pump(parts.source, walk, self._take)
        finally:
            if self._unit is not None:
                self._unit.discard()

    async def _take(self, page: Page) -> bool:
        """Add a page to the open unit; commit where a unit is due, the shard ends or the run is to."""
        parts = self.split.parts
        if self._unit is None:
            self._unit = self._open()
        await self._unit.take(page)
        self._pages += 1
        self._is_done = is_done = not page.envelope.has_more or is_past(self.newest, self.end)
        if is_done:
            await self._commit(self.end)
        elif parts.stop.requested or parts.pace.due(self._unit):
            reached = min(self.newest or self.start, self.end)
            if reached > self.start:
                await self._commit(reached)
        self.split.tell()
        return not is_done and not parts.stop.requested

    def _open(self) -> OpenUnit:
        split = self.split
        label, window = digest_label(utc_text(self.start), "s"), Window(self.start, self.end)
        return new_unit(split.parts, split.entity, split.scope, split.position.epoch, label, window=window, check=self._look)

    async def _commit(self, reached: datetime) -> None:
        if self._unit is None:
            return
        unit, self._unit = self._unit, None
        if reached <= self.start:  # past its end it has no rows of its own, and a unit of that name is the next shard's
            unit.discard()
            return
        part = Window(self.start, reached)
        keys = self._keys_before(reached)
        self.start = reached
        await unit.commit(self.split.done(part, keys))

    def _keys_before(self, reached: datetime) -> int:
        """Return the number of distinct keys of the rows before a time, and forget these rows."""
        if not self._moments:
            return 0
        moments, hashes = np.concatenate(self._moments), np.concatenate(self._hashes)
        is_before = moments < (reached - _EPOCH) // _TICK
        self._moments, self._hashes = [moments[~is_before]], [hashes[~is_before]]
        return len(np.unique(hashes[is_before]))

    def _look(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Check the order of rows and return those that are the shard's own; called in a worker thread."""
        column = times(batch, self.split.column)
        if column is None or column.null_count:
            raise Doubt(f"rows have no `{self.split.column}`")
        moments = column.cast(pa.int64()).to_numpy()
        if not len(moments):
            return batch
        newest = None if self.newest is None else (self.newest - _EPOCH) // _TICK
        behind = disorder(moments, newest)
        if behind is not None:
            raise Doubt(f"rows are out of order, by {timedelta(microseconds=behind)}")
        first, last = _EPOCH + _TICK * int(moments.min()), _EPOCH + _TICK * int(moments.max())
        if self._asked is not None and first < self._asked:
            raise Doubt(f"the feed was asked from {utc_text(self._asked)} and gave a row of {utc_text(first)}")
        self._began = first if self._began is None else self._began
        self.newest = last
        start, end = (-(1 << 62) if self.start == BEGINNING else (self.start - _EPOCH) // _TICK), (self.end - _EPOCH) // _TICK
        own = (moments >= start) & (moments < end)
        self._moments.append(moments[own])
        self._hashes.append(row_hashes([batch.column(name) for name in self.split.entity.key], batch.num_rows)[own])
        kept = batch.filter(pa.array(own))
        window = self.split.scope.window(self.split.started)
        return kept if window is None else kept.filter(within(self.split.entity, kept, window, self.split.started))

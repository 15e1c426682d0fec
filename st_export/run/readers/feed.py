"""Reading a feed: from its token, or a date, to its end, committed stretch by stretch.

The token moves with the commit of the pages before it, also when they brought no row. A token that the service no longer takes
is replaced by a date with an overlap; the repeats are dropped like all others. Where a unit leaves its newest day to the next one, the
token stays before the first page that has rows of that day.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from st_export.errors import EntityFailed, EntityRefused, RequestRejected, ServiceUnavailable
from st_export.fetch.feeds import walk_feed
from st_export.flow import Pass, Position, Window, digest_label
from st_export.plan.watermark import mark_after, restart_date
from st_export.run.behind import CommitsBehind
from st_export.run.groups import task_group
from st_export.run.pump import pump
from st_export.run.readers.feedsplit import read_in_shards
from st_export.run.readers.rows import feed_check
from st_export.run.unit import PageStart, new_unit

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit

RESTARTS = 2
"""How often in one run a feed goes back to a date because a token was refused twice."""


async def read_feed(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Bring a feed to its end.

    Raises:
        EntityFailed: the feed is stuck, its tokens are refused again and again, or a page stays unreadable.
        EntityRefused, ServiceUnavailable, TenantRefused: as the client says.

    """
    refused: str | None = None
    restarts = 0
    while True:
        position = parts.position(entity, scope)
        if position.done:
            position = Position(epoch=position.epoch)
        if position.current is None:
            position = replace(position, epoch=position.epoch + 1, current=Pass(await parts.source.service_time()))
        parts.asks(entity, scope, position)
        position = await read_in_shards(parts, entity, scope, position)
        if parts.stop.requested:
            return
        drain = _Drain(parts, entity, scope, position)
        try:
            await drain.run()
        except (RequestRejected, EntityRefused) as refusal:
            if not drain.asks_by_token or refusal.status not in (400, 404):
                raise
            token = parts.position(entity, scope).token
            if token is not None and token != refused:  # once more: it costs one request, a date costs a day's rows at least
                refused = token
                continue
            restarts += 1
            if restarts > RESTARTS:
                raise EntityFailed(
                    f"the feed refused its own tokens again and again, after {RESTARTS} starts by date in this run too",
                    hint="the next run asks by date again",
                    tenant=parts.tenant,
                    entity=entity.name,
                ) from refusal
            await _back_to_date(parts, entity, scope, refusal)
        else:
            return


async def _back_to_date(parts: Parts, entity: Entity, scope: Scope, refusal: RequestRejected | EntityRefused) -> None:
    """Give up the token that was refused twice."""
    parts.note("warning", f"the feed no longer takes its token ({refusal.message}); asking by date", entity)
    started = await parts.source.service_time()
    await parts.move(entity, scope, lambda old: replace(old, token=None, epoch=old.epoch + 1, current=_again(old, started)))


def _again(old: Position, started: datetime) -> Pass:
    """Return a new pass that goes back to a date: behind shards, to where they end."""
    current = old.current
    return Pass(started) if current is None else Pass(started, windows=current.windows, after=current.after, newest=current.newest)


class _Drain:
    """One drain of a feed: the open unit, and the token that its commit will move to."""

    def __init__(self, parts: Parts, entity: Entity, scope: Scope, position: Position) -> None:
        assert position.current is not None  # noqa: S101 -- read_feed began the pass
        self.parts, self.entity, self.scope = parts, entity, scope
        self.position = position
        self.started = position.current.started
        self.asked = self._first()
        self.window = scope.window(self.started)
        self.check = feed_check(entity, self.asked if not isinstance(self.asked, str) else None, self.window, self.started)
        self.unit: OpenUnit | None = None
        self.behind: CommitsBehind
        self.asks_by_token = isinstance(self.asked, str)

    def _first(self) -> datetime | str | None:
        if self.position.token is not None:
            return self.position.token
        if self.position.current is not None and self.position.current.windows:
            return self.position.current.windows[-1].start  # the tail behind shards
        if self.scope.start is not None:
            return self.scope.start
        start = self.parts.history_start(self.entity)
        return restart_date(self.position.watermark, start)

    async def run(self) -> None:
        recent = self.parts.config.recent_changes

        async def walk(emit: Emit) -> None:
            async def emit_first(page: Page) -> None:
                self.asks_by_token = True  # from the second page on
                await emit(page)

            await walk_feed(self.parts.source, self.entity, self.asked, emit_first, recent_changes=recent)

        async with task_group() as tasks:
            self.behind = CommitsBehind(tasks)
            try:
                await pump(self.parts.source, walk, self._take)
            except (EntityFailed, EntityRefused, ServiceUnavailable):
                await self._commit_what_is_good()
                raise
            finally:
                if self.unit is not None:
                    self.unit.discard()

    async def _take(self, page: Page) -> bool:
        """Add a page to the open unit; commit where a unit is due or the feed ends."""
        start = PageStart(self.position, _label(page))
        if self.unit is None:
            self.unit = self._open(start.label)
        await self.unit.take(page, start=start)
        token = page.envelope.continue_from or self.position.token
        if page.envelope.has_more:
            self.position = replace(self.position, token=token)
            if not self.parts.stop.requested and self.parts.pace.due(self.unit):
                await self._commit_whole_days()
            if self.parts.stop.requested:
                await self._commit()  # what was left to the next unit too: it gets no page any more
            return not self.parts.stop.requested
        self.position = Position(epoch=self.position.epoch, token=token, watermark=mark_after(self.started), done=self.scope.is_backfill)
        await self._commit()
        return True

    def _open(self, label: str) -> OpenUnit:
        window = self.window or (Window(self.asked) if self.asked is not None and not isinstance(self.asked, str) else None)
        return new_unit(self.parts, self.entity, self.scope, self.position.epoch, label, window=window, check=self.check)

    async def _commit(self) -> None:
        if self.unit is not None:
            unit, self.unit = self.unit, None
            position = self.position
            await self.behind.commit(unit, lambda _: position)

    async def _commit_whole_days(self) -> None:
        """Commit the open unit, but leave its newest day, which is under way, to the next one where that can be."""
        unit = self.unit
        if unit is None or not unit.can_leave_newest:
            await self._commit()
            return
        self.unit = self._open(unit.newest_label)
        try:
            position = await unit.leave_newest(self.unit)
        except BaseException:
            unit.discard()
            raise
        await self.behind.commit(unit, lambda _: position)

    async def _commit_what_is_good(self) -> None:
        """Commit the pages before what could not be read: the position is before it."""
        if self.unit is not None and self.position.current is not None:
            await self._commit()
        await self.behind.settled()


def _label(page: Page) -> str:
    """Return the name of a unit that begins with a page of a feed."""
    return digest_label(next((value for name, value in page.request.query if name == "from"), ""))

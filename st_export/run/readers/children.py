"""Reading children: one collection below each parent, for the parents that changed, in units of bounded size.

Parents go in the order of their ids; a unit is a range of them, and the position is the last parent of the last unit. 404 and 409 of
one parent are noted, cost nothing else and say nothing about its children; 403 is about the entity.

The position's `token` is the machine's time at which the last complete pass listed its parents, `current.until` that of the pass
under way: rows of the parents that came into the lake later are due. It is taken when the parents' own entity has been read, so that
what this run has brought is not due again in the next. Where the parents are not in this run, the service is asked for those
that changed since the watermark. A pass over all parents (`--full-children`) bears an open window, so that one that was
interrupted is told from a usual one.

What is asked for a day below each parent (scheduler performance) goes by days, with all parents in each: see `days`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from st_export.commit.whole import Extent
from st_export.errors import EntityFailed, EntityRefused, RequestRejected
from st_export.fetch.lists import ListCall, PageSize, list_path, walk_forward
from st_export.fetch.pages import PageNumber
from st_export.flow import Json, Pass, Position, Window, digest_label, utc_moment, utc_text
from st_export.plan.watermark import mark_after
from st_export.plan.windows import BEGINNING
from st_export.run.groups import task_group
from st_export.run.readers.days import range_query, read_slots
from st_export.run.readers.parents import NOT_ASKED, Due, ParentIds, arrived, call_below, ids_of, parent_constants, parents_of, sort_key
from st_export.run.unit import new_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from st_export.catalog.entity import Entity
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.readers.days import DaySlot
    from st_export.run.readers.parents import ParentList
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit

PARENTS_A_UNIT = 2_000
"""Parents of a unit at most; it ends earlier when it has been open for as long as any unit may."""

ALL_GONE = 5
MOST_GONE = 1_000
"""Where the service knew none of so many parents (at the end of a pass, and in the middle of one) it does not know the entity."""

UNKNOWN_PATH = "Unable to match incoming request"
"""How the gateway says that there is no such path. Source: fact sheet, section 2."""

MOST_READINGS = 5
"""Children of one parent that still change in the fifth reading fail the entity; the next run tries again."""


async def read_children(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Read the children of all parents that are due, unit by unit.

    Raises:
        ParentsUnknown: no list shows the parents, and the configuration names none.
        EntityRefused: 403, or no parent at all is known to the service.
        EntityFailed, ServiceUnavailable, TenantRefused: as the client says.

    """
    in_lake = await arrived(parts, entity)
    if parts.stop.requested:
        return
    if entity.per == "day":
        await _read_days(parts, entity, scope, in_lake=in_lake)
        return
    position = await begun_pass(parts, entity, scope)
    parents = await parents_of(parts, entity, due_of(scope, position), in_lake=in_lake)
    left = parents.behind(done_of(position))
    requests = -(-len(left) // entity.batch_ids) if entity.batch_ids else len(left)
    tell_cost(parts, entity, f"children of {len(left):,} parents", requests)
    await _ChildPass(parts, entity, scope, position).run(left)
    if not parts.stop.requested:
        end = finished_pass(position, scope)
        await parts.move(entity, scope, lambda _: end)


# -- the position of a pass over parents


async def begun_pass(parts: Parts, entity: Entity, scope: Scope) -> Position:
    """Return the position with a pass under way: the one that was interrupted, or a new one."""
    position = parts.position(entity, scope)
    current = position.current
    if current is not None and (current.windows or not scope.full_children):
        return position
    started = await parts.source.service_time()
    windows = (Window(BEGINNING),) if scope.full_children else ()
    return replace(position, epoch=position.epoch + 1, done=False, current=Pass(started, parts.clock.now(), windows))


def due_of(scope: Scope, position: Position) -> Due:
    """Return which parents are due in a pass."""
    current = position.current
    if current is None or current.windows:
        return Due()
    if scope.is_backfill:
        return Due(scope.window(current.started), current.started)
    since = None if position.token is None else utc_moment(position.token)
    return Due(started=current.started, arrived=since, changed=position.watermark)


def done_of(position: Position) -> ParentIds | None:
    """Return the last parent that the pass has done."""
    after = position.current.after if position.current is not None else None
    return None if after is None else tuple(after.split("/"))


def after_parent(position: Position, last: ParentIds) -> Position:
    """Return the position with the parents up to `last` done."""
    assert position.current is not None  # noqa: S101 -- begun_pass saw to it
    return replace(position, current=replace(position.current, after="/".join(last)))


def finished_pass(position: Position, scope: Scope) -> Position:
    """Return the position after a pass over all parents that were due."""
    current = position.current
    assert current is not None  # noqa: S101 -- begun_pass saw to it
    begun = utc_text(current.until) if current.until else None
    return Position(epoch=position.epoch, token=begun, watermark=mark_after(current.started), done=scope.is_backfill)


def tell_cost(parts: Parts, entity: Entity, what: str, requests: int) -> None:
    """Say what reading below parents costs."""
    rate = parts.config.limits.requests_per_second
    parts.note("info", f"{what}: about {requests:,} requests, {requests / rate:,.0f} s at {rate:g} a second", entity)


# -- one request a parent


@dataclass(slots=True)
class _Seen:
    """What one reading below a parent has shown."""

    key: tuple[str, ...]
    pages: int = 0
    rows: int = 0
    total: int | None = None
    keys: set[int] = field(default_factory=set)

    def add(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        self.keys.update(map(hash, zip(*(map(str, batch.column(name).to_pylist()) for name in self.key), strict=True)))


@dataclass(slots=True)
class _Tally:
    """What the parents of a pass answered; `proven` that the service knows the entity."""

    proven: bool = False
    good: int = 0
    gone: int = 0
    statuses: set[int] = field(default_factory=set)

    def note(self, refusal: EntityRefused | RequestRejected) -> None:
        self.gone += 1
        self.statuses.add(refusal.status)

    def hopeless(self, most: int) -> bool:
        return not self.proven and self.good == 0 and self.gone >= most and self.statuses == {404}

    def judge(self, parts: Parts, entity: Entity) -> None:
        if self.hopeless(ALL_GONE):
            raise EntityRefused("404 for every parent", status=404, tenant=parts.tenant, entity=entity.name)


class _ChildReader:
    """Reads what is below single parents into a unit, and keeps which of them were answered."""

    def __init__(self, parts: Parts, entity: Entity, tally: _Tally, slot: DaySlot | None = None) -> None:
        self.parts, self.entity, self.tally = parts, entity, tally
        self.query = range_query(entity, slot) if slot else ()
        self.constants: dict[str, Json] = slot.constants if slot else {}
        self.size = PageSize(parts.page_size(entity))
        self.slots = anyio.CapacityLimiter(parts.max_in_flight(entity))
        self.answered: list[ParentIds] = []
        self._taking = anyio.Lock()

    async def read_all(self, batches: Iterator[list[ParentIds]], unit: OpenUnit) -> None:
        """Read below each batch of parents (one parent, but for `batch_ids`), side by side, until the batches end."""
        async with task_group() as group:
            for batch in batches:
                await self.slots.acquire_on_behalf_of(batch[0])
                group.start_soon(self._read, batch, unit)

    async def _read(self, batch: list[ParentIds], unit: OpenUnit) -> None:
        try:
            if self.entity.batch_ids:
                if await self._read_call(self._batch_call(batch), batch[0], unit, set()):
                    self.answered += batch
            else:
                await self._read_below(batch[0], unit, {batch[0]})
        finally:
            self.slots.release_on_behalf_of(batch[0])

    async def _read_below(self, ids: ParentIds, unit: OpenUnit, visited: set[ParentIds]) -> None:
        """Read below one parent, and below its rows where those are parents too."""
        deeper: set[ParentIds] = set()
        if await self._read_call(self._call(ids), ids, unit, deeper):
            self.answered.append(ids)
        for below in sorted(deeper - visited, key=sort_key):
            visited.add(below)
            await self._read_below(below, unit, visited)

    async def _read_call(self, call: ListCall, ids: ParentIds, unit: OpenUnit, deeper: set[ParentIds]) -> bool:
        """Read all pages of a call; return whether the service knew the parent."""
        try:
            for _ in range(MOST_READINGS):
                if await self._read_once(call, ids, unit, deeper):
                    self.tally.good += 1
                    return True
        except (EntityRefused, RequestRejected) as refusal:
            if refusal.status not in NOT_ASKED or UNKNOWN_PATH in refusal.message:
                raise
            self.tally.note(refusal)
            self.parts.note("debug", f"parent {'/'.join(ids)} answered {refusal.status}: {refusal.message}", self.entity)
            return False
        raise EntityFailed(
            f"what is below parent {'/'.join(ids)} changed during each of {MOST_READINGS} readings",
            hint="the position is before it; run again at a quieter time",
            tenant=self.parts.tenant,
        )

    async def _read_once(self, call: ListCall, ids: ParentIds, unit: OpenUnit, deeper: set[ParentIds]) -> bool:
        """Read all pages of a call; return whether that is surely all: one page, a sorted walk, or as many rows as the totals say."""
        seen = _Seen(self.entity.key)

        def look(rows: pa.RecordBatch) -> None:
            seen.add(rows)
            deeper.update(self._deeper(ids, rows))

        async def emit(page: Page) -> None:
            seen.total = page.envelope.total_count if seen.pages == 0 else seen.total
            seen.pages += 1
            try:
                async with self._taking:
                    await unit.take(page, seen=look)
            finally:
                self.parts.source.release(page)

        with self.size.of_walk() as size:
            await walk_forward(self.parts.source, call, size, emit)
        paging = call.entity.paging
        if seen.pages == 1 or paging is None or paging.sort is not None or seen.total is None:
            return True
        fresh = await self.parts.source.count(call.request(PageNumber(1, 1), include_total=True))
        if seen.total == fresh == (len(seen.keys) if self.entity.key else seen.rows):
            return True
        if not self.entity.key:  # its rows count, so that they cannot be read twice into one unit
            raise EntityFailed(f"what is below parent {'/'.join(ids)} changed while it was read", hint="run the same command again")
        return False

    def _call(self, ids: ParentIds) -> ListCall:
        call = call_below(self.parts, self.entity, ids)
        return replace(call, query=self.query, constants={**call.constants, **self.constants})

    def _batch_call(self, batch: list[ParentIds]) -> ListCall:
        query = ((self.entity.parents[0].parameter, ",".join(ids[0] for ids in batch)),)
        return ListCall(self.entity, list_path(self.entity, self.parts.tenant), query=(*query, *self.query))

    def _deeper(self, ids: ParentIds, rows: pa.RecordBatch) -> set[ParentIds]:
        """Return the rows that are parents again: the outer ids as asked, the innermost from the row."""
        if not self.entity.recursive:
            return set()
        return {(*ids[:-1], own) for (own,) in ids_of(rows, [replace(self.entity.parents[-1], column="id")])}

    def cover(self, unit: OpenUnit) -> None:
        """Tell the unit which parents were answered."""
        asked = [{**self.constants, "_parent_id": parent_constants(self.entity, ids)["_parent_id"]} for ids in self.answered]
        column, values = "_parent_id", [one["_parent_id"] for one in asked]
        if self.entity.batch_ids:
            column = self.entity.key[0]
            values = [int(ids[0]) if self.entity.parents[0].type == "int64" else ids[0] for ids in self.answered]
        elif len(self.entity.parents) > 1:
            column, values = "_parent_ids", ["/".join(ids) for ids in self.answered]
        unit.covers(Extent(everything=False, parents=frozenset(values), column=column), asked)


class _ChildPass:
    """One pass over the parents of an entity."""

    def __init__(self, parts: Parts, entity: Entity, scope: Scope, position: Position) -> None:
        assert position.current is not None  # noqa: S101 -- begun_pass saw to it
        self.parts, self.entity, self.scope, self.position = parts, entity, scope, position
        self.tally = _Tally(proven=position.token is not None or position.current.after is not None)

    async def run(self, parents: ParentList) -> None:
        """Read below all these parents and commit them unit by unit; a stop ends it after the unit under way."""
        batches = _batches(iter(parents), max(self.entity.batch_ids, 1))
        first = next(batches, None)
        while first is not None and not self.parts.stop.requested:
            first = await self._read_unit(first, batches)
        self.tally.judge(self.parts, self.entity)

    async def _read_unit(self, first: list[ParentIds], batches: Iterator[list[ParentIds]]) -> list[ParentIds] | None:
        """Read and commit one unit; return the first parents of the next, None at the end."""
        unit = new_unit(
            self.parts,
            self.entity,
            self.scope,
            self.position.epoch,
            digest_label("/".join(first[0]), "p"),
            reading="whole" if self.entity.key else "snapshot",
        )
        reader = _ChildReader(self.parts, self.entity, self.tally)
        last, following = first, None

        def inside() -> Iterator[list[ParentIds]]:
            nonlocal last, following
            yield first
            taken = len(first)
            for batch in batches:
                if taken >= PARENTS_A_UNIT or self.parts.stop.requested or self.parts.pace.due(unit) or self.tally.hopeless(MOST_GONE):
                    following = batch
                    return
                taken += len(batch)
                last = batch
                yield batch

        try:
            await reader.read_all(inside(), unit)
            reader.cover(unit)
        except BaseException:
            unit.discard()
            raise
        if self.tally.hopeless(MOST_GONE):
            unit.discard()
            return None
        self.position = position = after_parent(self.position, last[-1])
        if self.tally.proven or self.tally.good:
            await unit.commit(lambda _: position)
        else:  # nothing was readable so far: an entity that the service may not know has no position
            unit.discard()
        return following


def _batches(parents: Iterator[ParentIds], size: int) -> Iterator[list[ParentIds]]:
    batch: list[ParentIds] = []
    for ids in parents:
        batch.append(ids)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


# -- one request a parent and day


async def _read_days(parts: Parts, entity: Entity, scope: Scope, *, in_lake: bool) -> None:
    """Ask every day that is due below every parent; a day is a unit, its parents are the groups of its snapshot."""
    parents = list(await parents_of(parts, entity, Due(), in_lake=in_lake))
    tell_cost(parts, entity, f"each day below {len(parents):,} parents", len(parents))
    tally = _Tally(proven=parts.position(entity, scope).epoch > 0)

    async def fill(slot: DaySlot) -> OpenUnit:
        unit = slot.open_unit()
        reader = _ChildReader(parts, entity, tally, slot)
        try:
            await reader.read_all(iter([[ids] for ids in parents]), unit)
            reader.cover(unit)
            tally.judge(parts, entity)
        except BaseException:
            unit.discard()
            raise
        return unit

    await read_slots(parts, entity, scope, fill)

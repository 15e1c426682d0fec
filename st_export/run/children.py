"""Reading children: one collection below each parent, for the parents that changed, in bounded batches of parents.

Parents go in the order of their ids; a batch is a unit, and the position is the last parent of the last batch. 404 and 409 of one
parent are noted and cost nothing else; 403 is about the entity. The position's `token` is the machine's time at which the last
complete pass listed its parents, `current.until` that of the pass under way: rows of the parents that came later are due.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from st_export.errors import EntityRefused, RequestRejected
from st_export.fetch.lists import ListCall, PageSize, list_path, walk_forward
from st_export.flow import Json, Pass, Position, digest_label, utc_moment, utc_text
from st_export.plan.watermark import mark_after
from st_export.run.groups import task_group
from st_export.run.parents import ParentIds, ids_of, parents_of, sort_key

if TYPE_CHECKING:
    from st_export.catalog.entity import Entity
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit

PARENTS_A_UNIT = 200
"""Parents of a unit: what a kill can cost is so many requests."""

ALL_GONE = 5
"""When at least so many parents were asked and the service knows none of them, the entity itself is unknown to it."""


@dataclass(slots=True)
class _Tally:
    """What the parents of a pass answered."""

    good: int = 0
    gone: dict[ParentIds, int] = field(default_factory=dict)


async def read_children(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Read the children of all parents that are due, batch by batch.

    Raises:
        EntityRefused: 403, or no parent at all is known to the service.
        EntityFailed, ServiceUnavailable, TenantRefused: as the client says.

    """
    position = parts.position(entity, scope)
    if position.current is None:
        fresh = Pass(parts.source.service_now(), until=parts.clock.now())
        position = replace(position, epoch=position.epoch + 1, done=False, current=fresh)
    assert position.current is not None  # noqa: S101 -- just seen to
    since = None if scope.full_children or position.token is None else utc_moment(position.token)
    parents = await parents_of(parts, entity, scope, since, position.current.started)
    after = position.current.after
    left = [ids for ids in parents if after is None or sort_key(ids) > sort_key(tuple(after.split("/")))]
    requests = -(-len(left) // entity.batch_ids) if entity.batch_ids else len(left)
    parts.note("info", f"children of {len(left):,} parents: about {requests:,} requests", entity)
    reader = _ChildPass(parts, entity, scope, position)
    for batch in _batches(left, PARENTS_A_UNIT * max(entity.batch_ids, 1)):
        if parts.stop.requested:
            return
        await reader.read(batch)
    reader.judge()
    begun = utc_text(position.current.until) if position.current.until else None
    end = Position(epoch=position.epoch, token=begun, watermark=mark_after(position.current.started), done=scope.is_backfill)
    await parts.move(entity, scope, lambda _: end)


def _batches(parents: list[ParentIds], size: int) -> list[list[ParentIds]]:
    return [parents[start : start + size] for start in range(0, len(parents), size)]


class _ChildPass:
    """One pass over the parents of an entity."""

    def __init__(self, parts: Parts, entity: Entity, scope: Scope, position: Position) -> None:
        self.parts, self.entity, self.scope, self.position = parts, entity, scope, position
        self.tally = _Tally()
        self.size = PageSize(parts.page_size(entity))

    async def read(self, batch: list[ParentIds]) -> None:
        """Read the children of a batch of parents and commit them as one unit."""
        current = self.position.current
        assert current is not None  # noqa: S101 -- read_children began the pass
        unit = self.parts.open_unit(
            self.entity,
            self.scope,
            self.position.epoch,
            digest_label("/".join(batch[0]), "p"),
            reading="snapshot" if not self.entity.key else "whole",
            parents=[ids[-1] for ids in batch],
        )
        self.position = replace(self.position, current=replace(current, after="/".join(batch[-1])))
        position = self.position
        try:
            await self._read_all(batch, unit)
        except BaseException:
            unit.discard()
            raise
        await unit.commit(lambda _: position)

    def judge(self) -> None:
        """Raise where the service knew none of several parents: then it is the entity that it does not know."""
        statuses = set(self.tally.gone.values())
        if self.tally.good == 0 and len(self.tally.gone) >= ALL_GONE and statuses == {404}:
            raise EntityRefused("404 for every parent", status=404, tenant=self.parts.tenant, entity=self.entity.name)

    async def _read_all(self, batch: list[ParentIds], unit: OpenUnit) -> None:
        taking = anyio.Lock()
        slots = anyio.CapacityLimiter(self.parts.max_in_flight(self.entity))
        calls = list(self._calls(batch))

        async def read_one(ids: ParentIds, call: ListCall) -> None:
            async with slots:
                await self._read_parent(ids, call, unit, taking)

        async with task_group() as group:
            for ids, call in calls:
                group.start_soon(read_one, ids, call)

    def _calls(self, batch: list[ParentIds]) -> list[tuple[ParentIds, ListCall]]:
        if self.entity.batch_ids:
            parameter = self.entity.parents[0].parameter
            path = list_path(self.entity, self.parts.tenant)
            groups = _batches(batch, self.entity.batch_ids)
            return [(group[0], ListCall(self.entity, path, query=((parameter, ",".join(ids[0] for ids in group)),))) for group in groups]
        return [(ids, self._call(ids)) for ids in batch]

    def _call(self, ids: ParentIds) -> ListCall:
        named = {parent.parameter: value for parent, value in zip(self.entity.parents, ids, strict=True)}
        return ListCall(self.entity, list_path(self.entity, self.parts.tenant, named), constants=self._constants(ids))

    def _constants(self, ids: ParentIds) -> dict[str, Json]:
        last = self.entity.parents[-1]
        nearest: Json = int(ids[-1]) if last.type == "int64" else ids[-1]
        return {"_parent_id": nearest, **({"_parent_ids": list(ids)} if len(ids) > 1 else {})}

    async def _read_parent(self, ids: ParentIds, call: ListCall, unit: OpenUnit, taking: anyio.Lock) -> None:
        deeper: set[ParentIds] = set()

        async def emit(page: Page) -> None:
            try:
                async with taking:
                    await unit.take(page, seen=lambda rows: deeper.update(self._deeper(ids, rows)))
            finally:
                await self.parts.source.release(page)

        try:
            await walk_forward(self.parts.source, call, self.size, emit)
            self.tally.good += 1
        except (EntityRefused, RequestRejected) as refusal:
            if refusal.status not in (404, 409):
                raise
            self.tally.gone[ids] = refusal.status
            self.parts.note("debug", f"parent {'/'.join(ids)} answered {refusal.status}: {refusal.message}", self.entity)
        for below in sorted(deeper, key=sort_key):
            await self._read_parent(below, self._call(below), unit, taking)

    def _deeper(self, ids: ParentIds, rows: Json) -> set[ParentIds]:
        """Return the rows that are parents again: the outer ids as asked, the innermost from the row."""
        if not self.entity.recursive:
            return set()
        return {(*ids[:-1], own) for (own,) in ids_of(rows, [replace(self.entity.parents[-1], column="id")])}

"""The parents whose children are to be read: their ids, from the lake where this run has just brought them, else from the API.

A parent is a tuple of ids, outermost first, one for each parameter in the child's path. Numbers are kept as numbers: a tenant
may have millions of jobs.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from st_export.catalog.schema import entity_schema
from st_export.decode.decoder import Decoder
from st_export.errors import EntityRefused, ParentsUnknown, RequestRejected
from st_export.fetch.feeds import walk_feed
from st_export.fetch.lists import ListCall, PageSize, list_path, walk_forward
from st_export.run.groups import task_group
from st_export.run.pump import pump
from st_export.run.readers.rows import times, within
from st_export.run.variants import calls_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from datetime import datetime

    from st_export.catalog.entity import Entity, Parent
    from st_export.fetch.source import Emit
    from st_export.flow import Json, Page, Window
    from st_export.run.parts import Parts

ParentIds = tuple[str, ...]

NOT_ASKED = (404, 409)
"""What the service answers for a parent that is gone (404) or in an odd state (409): about that parent only."""

_COMPACT_AT = 1 << 20
"""Numbers that are gathered before repeats among them are dropped."""


@dataclass(frozen=True, slots=True)
class Due:
    """Which parents are due.

    `window` is a backfill's: parents modified (or created) inside. Else `arrived` is the machine's time since which rows in the lake
    are due, `changed` the service's time since which the service is asked for changes; None: all.
    """

    window: Window | None = None
    started: datetime | None = None
    arrived: datetime | None = None
    changed: datetime | None = None


class ParentList:
    """Parents in the order of their ids."""

    def __init__(self, numbers: np.ndarray, texts: list[ParentIds]) -> None:
        self._numbers = numbers
        self._texts = texts

    def __len__(self) -> int:
        return len(self._numbers) + len(self._texts)

    def __iter__(self) -> Iterator[ParentIds]:
        for start in range(0, len(self._numbers), 1_000):
            for number in self._numbers[start : start + 1_000].tolist():
                yield (str(number),)
        yield from self._texts

    def behind(self, ids: ParentIds | None) -> ParentList:
        """Return the parents behind one of them, all for None."""
        if ids is None:
            return self
        if len(self._numbers) and len(ids) == 1 and _is_number(ids[0]):
            return ParentList(self._numbers[np.searchsorted(self._numbers, int(ids[0]), side="right") :], self._texts)
        return ParentList(self._numbers[:0], [each for each in self._texts if sort_key(each) > sort_key(ids)])


class Gathering:
    """Collects the parents that rows name, each once."""

    def __init__(self, parents: tuple[Parent, ...]) -> None:
        self._parents = parents
        self._plain = len(parents) == 1 and parents[0].type == "int64" and parents[0].column.isidentifier()
        self._numbers: list[np.ndarray] = []
        self._texts: set[ParentIds] = set()
        self._taking = threading.Lock()
        self.unusable = 0

    def add(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Take the parents of some rows; called in a worker thread."""
        with self._taking:
            self._add(rows)

    def _add(self, rows: pa.RecordBatch | pa.Table) -> None:
        if self._plain and pa.types.is_integer(rows.schema.field(self._parents[0].column).type):
            values = rows.column(self._parents[0].column)
            self._numbers.append(np.unique(values.drop_null().to_numpy(zero_copy_only=False)))
            if len(self._numbers) > 1 and sum(map(len, self._numbers)) > _COMPACT_AT:
                self._numbers = [self._merged()]
            return
        for ids in ids_of(rows, self._parents):
            self.add_ids(ids)

    def add_ids(self, ids: ParentIds) -> None:
        """Take one parent; an id that cannot stand in a path is counted and left out."""
        if all(_fits_a_path(each) for each in ids):
            self._texts.add(ids)
        else:
            self.unusable += 1

    def ordered(self) -> ParentList:
        """Return all of them in order."""
        return ParentList(self._merged(), sorted(self._texts, key=sort_key))

    def _merged(self) -> np.ndarray:
        return np.unique(np.concatenate(self._numbers)) if self._numbers else np.zeros(0, dtype=np.int64)


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdecimal()


def _fits_a_path(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and text.isprintable()


def ids_of(rows: pa.RecordBatch | pa.Table, parents: Iterable[Parent]) -> set[ParentIds]:
    """Return the parents that the rows of their entity name; rows that lack one of the ids name none."""
    columns = [_column(rows, parent.column) for parent in parents]
    return {tuple(str(value) for value in ids) for ids in zip(*columns, strict=True) if None not in ids}


def _column(rows: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
    """Return the values of a parent's column: `id`, `contactId`, or a place in a list of ours, `_parent_ids[0]`."""
    if name.endswith("]"):
        bare, _, place = name[:-1].partition("[")
        return [value[int(place)] if value else None for value in rows.column(bare).to_pylist()]
    values: list[Any] = rows.column(name).to_pylist()
    return values


def sort_key(ids: ParentIds) -> tuple[tuple[int, str], ...]:
    """Return what parents are ordered by: numbers by value, other texts behind them."""
    return tuple((int(part), "") if _is_number(part) else (1 << 63, part) for part in ids)


async def arrived(parts: Parts, entity: Entity) -> bool:
    """Wait for the parents of an entity; return whether this run has brought them into the lake.

    Raises:
        EntityFailed, EntityRefused: they are part of this run and could not be read.

    """
    driver = entity.parents[0].entity
    return driver is not None and not _configured(parts, entity) and await parts.finished(driver, entity)


async def parents_of(parts: Parts, entity: Entity, due: Due, *, in_lake: bool, asking: Entity | None = None) -> ParentList:
    """Return the parents that are to be visited, in order; `asking` is the entity that is read, where these are parents of its parents.

    Raises:
        ParentsUnknown: no list shows them, and the configuration names none.
        EntityFailed, EntityRefused, ServiceUnavailable, TenantRefused: reading the parents failed.

    """
    configured = _configured(parts, entity)
    if configured:
        gathering = Gathering(entity.parents)
        for one in configured:
            gathering.add_ids(_split(entity, one, parts))
        return gathering.ordered()
    driver_name = entity.parents[0].entity
    if driver_name is None:
        raise ParentsUnknown(
            "no list of the service shows its parents",
            hint=f"name them in the configuration: entities: {{{entity.name}: {{parent_ids: [1, 2]}}}}",
            tenant=parts.tenant,
            entity=(asking or entity).name,
        )
    driver, gathering = parts.entity(driver_name), Gathering(entity.parents)
    if in_lake and not _is_hidden(parts, driver, entity.parents):
        await _from_lake(parts, driver, entity.parents, due, gathering)
    else:
        await read_driver(parts, driver, due, gathering.add, asking or entity)
    if gathering.unusable:
        parts.note("warning", f"{gathering.unusable:,} ids of parents cannot stand in a path and were left out", entity)
    return gathering.ordered()


def _configured(parts: Parts, entity: Entity) -> tuple[str, ...]:
    configured: tuple[str, ...] = parts.config.options_for(entity.name).parent_ids
    return configured


def _split(entity: Entity, text: str, parts: Parts) -> ParentIds:
    """Return a configured parent: one id, or as many as the path has, outermost first, with slashes between them."""
    ids = tuple(text.split("/"))
    if len(ids) != len(entity.parents) or not all(_fits_a_path(each) for each in ids):
        raise ParentsUnknown(
            f"`{text}` in parent_ids is not {len(entity.parents)} id(s)",
            hint="ids of parents at several depths are written with slashes, the outermost first: 12/345",
            tenant=parts.tenant,
            entity=entity.name,
        )
    return ids


def _is_hidden(parts: Parts, driver: Entity, parents: tuple[Parent, ...]) -> bool:
    """Whether column controls keep the ids out of the lake."""
    options = parts.config.options_for(driver.name)
    hidden = {path.partition(".")[0].partition("[")[0] for path in (*options.drop_columns, *options.hash_columns)}
    return any(parent.column.partition("[")[0] in hidden for parent in parents)


# -- from the lake


async def _from_lake(parts: Parts, driver: Entity, parents: tuple[Parent, ...], due: Due, gathering: Gathering) -> None:
    names = {parent.column.partition("[")[0] for parent in parents}

    def take(table: pa.Table) -> None:
        gathering.add(due_rows(table, driver, due))

    async for table in parts.lake_tables(driver, lake_columns(driver, names), since=due.arrived):
        await anyio.to_thread.run_sync(take, table)


def lake_columns(driver: Entity, names: Iterable[str]) -> list[str]:
    """Return the columns to read of a driver's files: some of its own, and those that tell whether a row is due."""
    moments = {column.partition(".")[0] for column in (driver.modified, driver.created) if column}
    return sorted({*names, *moments, "_deleted", "_exported_at"})


def due_rows(table: pa.Table, driver: Entity, due: Due) -> pa.Table:
    """Return the rows of the lake that make their parents due."""
    rows = table.filter(pc.invert(table.column("_deleted")))
    if due.window is not None:
        batches = rows.combine_chunks().to_batches()
        kept = [batch.filter(within(driver, batch, due.window, due.started or due.window.start)) for batch in batches]
        return pa.Table.from_batches(kept, schema=rows.schema)
    if due.arrived is None:
        return rows
    return rows.filter(pc.greater_equal(rows.column("_exported_at"), pa.scalar(due.arrived, pa.timestamp("us", "UTC"))))


# -- from the service


async def read_driver(parts: Parts, driver: Entity, due: Due, add: Callable[[pa.RecordBatch], object], entity: Entity) -> None:
    """Read the driver of an entity for what its rows name; nothing of it is written, and the requests are the entity's.

    `add` is called with each piece of its rows, in a worker thread.

    Raises:
        EntityFailed, EntityRefused, ServiceUnavailable, TenantRefused: as the client says.

    """
    decoder = Decoder(driver, entity_schema(driver, parts.config.output.numbers))

    def decode(page: Page) -> None:
        for decoded in decoder.decode(page):
            batch = decoded.batch
            if due.window is not None and times(batch, driver.modified or driver.created) is not None:
                batch = batch.filter(within(driver, batch, due.window, due.started or due.window.start))
            add(batch)

    async def take(page: Page) -> bool:
        await parts.shared.run_decode(decode, page)
        return True

    parts.note("info", f"reading {driver.name} for its ids", entity)
    if driver.kind == "child":
        await _read_child_driver(parts, driver, due, take, entity)
        return
    lower = due.window.start if due.window is not None else due.changed or parts.history_start(driver)
    asked, size = replace(driver, name=entity.name), PageSize(parts.page_size(driver))

    async def walk(emit: Emit) -> None:
        if driver.kind == "feed":
            await walk_feed(parts.source, asked, lower, emit, recent_changes=parts.config.recent_changes)
        else:
            for call in calls_of(ListCall(asked, list_path(driver, parts.tenant), parts.open_window(driver, lower))):
                await walk_forward(parts.source, call, size, emit)

    await pump(parts.source, walk, take)


async def _read_child_driver(parts: Parts, driver: Entity, due: Due, take: Callable[[Page], Awaitable[bool]], entity: Entity) -> None:
    """Read a driver that is a child itself: below each of its own parents."""
    above = await parents_of(parts, driver, due, in_lake=False, asking=entity)
    size, slots = PageSize(parts.page_size(driver)), anyio.CapacityLimiter(parts.max_in_flight(driver))

    async def emit(page: Page) -> None:
        try:
            await take(page)
        finally:
            parts.source.release(page)

    async def read(ids: ParentIds) -> None:
        call = replace(call_below(parts, driver, ids), entity=replace(driver, name=entity.name))
        try:
            with size.of_walk() as own:
                await walk_forward(parts.source, call, own, emit)
        except (EntityRefused, RequestRejected) as refusal:
            if refusal.status not in NOT_ASKED:
                raise
            parts.note("debug", f"parent {'/'.join(ids)} answered {refusal.status}: {refusal.message}", entity)
        finally:
            slots.release_on_behalf_of(ids)

    async with task_group() as group:
        for ids in above:
            await slots.acquire_on_behalf_of(ids)
            group.start_soon(read, ids)


def call_below(parts: Parts, entity: Entity, ids: ParentIds) -> ListCall:
    """Return the call for the children of one parent."""
    named = {parent.parameter: value for parent, value in zip(entity.parents, ids, strict=True)}
    return ListCall(entity, list_path(entity, parts.tenant, named), constants=parent_constants(entity, ids))


def parent_constants(entity: Entity, ids: ParentIds) -> dict[str, Json]:
    """Return the columns of ours that say which parent a row has: the nearest id in its own type, and all where there are more."""
    nearest: Json = int(ids[-1]) if entity.parents[-1].type == "int64" else ids[-1]
    return {"_parent_id": nearest, **({"_parent_ids": list(ids)} if len(ids) > 1 else {})}

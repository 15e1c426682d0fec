"""The parents whose children are to be read: their ids, from the lake where this run has just brought them, else from the API.

A parent is a tuple of ids, outermost first, one for each parameter in the child's path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pyarrow as pa
import pyarrow.compute as pc

from st_export.errors import EntityFailed
from st_export.fetch.feeds import walk_feed
from st_export.fetch.lists import ListCall, PageSize, list_path, walk_forward
from st_export.run.pump import pump

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from st_export.catalog.entity import Entity, Parent
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.scope import Scope

ParentIds = tuple[str, ...]


def ids_of(batch: pa.RecordBatch | pa.Table, parents: Iterable[Parent]) -> set[ParentIds]:
    """Return the parents that the rows of their entity name; rows that lack one of the ids name none."""
    columns = [_column(batch, parent.column) for parent in parents]
    return {tuple(str(value) for value in ids) for ids in zip(*columns, strict=True) if None not in ids}


def _column(batch: pa.RecordBatch | pa.Table, name: str) -> list[Any]:
    """Return the values of a parent's column: `id`, `contactId`, or a place in a list of ours, `_parent_ids[0]`."""
    if name.endswith("]"):
        bare, _, place = name[:-1].partition("[")
        return [value[int(place)] if value else None for value in batch.column(bare).to_pylist()]
    values: list[Any] = batch.column(name).to_pylist()
    return values


def sort_key(ids: ParentIds) -> tuple[tuple[int, str], ...]:
    """Return what parents are ordered by: numbers by value, other texts behind them."""
    return tuple((int(part), "") if part.isdecimal() else (1 << 63, part) for part in ids)


async def parents_of(parts: Parts, entity: Entity, scope: Scope, since: datetime | None, started: datetime) -> list[ParentIds]:
    """Return the parents that the pass has to visit, in order.

    `since` is the machine's time of the pass before, None to visit all.

    Raises:
        EntityFailed: the parents' own entity could not be read in this run.

    """
    configured = parts.config.options_for(entity.name).parent_ids
    driver_name = entity.parents[0].entity
    if configured or driver_name is None:
        return sorted({(one,) for one in configured}, key=sort_key)
    driver = parts.entity(driver_name)
    if await parts.finished(driver_name, entity):
        found = await _from_lake(parts, driver, entity.parents, scope, since, started)
    else:
        found = await _from_service(parts, driver, entity.parents, scope, since)
    return sorted(found, key=sort_key)


async def _from_lake(
    parts: Parts, driver: Entity, parents: tuple[Parent, ...], scope: Scope, since: datetime | None, started: datetime
) -> set[ParentIds]:
    names = {parent.column.partition("[")[0] for parent in parents} | {"_deleted", "_exported_at"}
    names |= {column for column in (driver.modified, driver.created) if column and "." not in column}
    window = scope.window(started)
    found: set[ParentIds] = set()
    async for table in parts.lake_tables(driver, sorted(names)):
        rows = await anyio.to_thread.run_sync(_changed, table, driver, window, since)
        found |= ids_of(rows, parents)
    return found


def _changed(table: pa.Table, driver: Entity, window: Any, since: datetime | None) -> pa.Table:
    rows = table.filter(pc.invert(table.column("_deleted")))
    if window is not None:
        moments = next((rows.column(name) for name in (driver.modified, driver.created) if name and name in rows.schema.names), None)
        if moments is None:
            return rows
        inside = pc.and_(
            pc.greater_equal(moments, pa.scalar(window.start, moments.type)), pc.less(moments, pa.scalar(window.end, moments.type))
        )
        return rows.filter(pc.fill_null(inside, fill_value=True))
    if since is None:
        return rows
    return rows.filter(pc.greater_equal(rows.column("_exported_at"), pa.scalar(since, pa.timestamp("us", "UTC"))))


async def _from_service(parts: Parts, driver: Entity, parents: tuple[Parent, ...], scope: Scope, since: datetime | None) -> set[ParentIds]:
    """Read the parents' entity for its ids only; nothing of it is written."""
    if driver.parents:
        raise EntityFailed(
            f"its parents are rows of {driver.name}, which was not read in this run",
            hint=f"select {driver.name} as well",
            tenant=parts.tenant,
        )
    found: set[ParentIds] = set()
    lower = scope.start or since or parts.history_start(driver)

    async def take(page: Page) -> bool:
        async for decoded in parts.decode(driver, page):
            found.update(ids_of(decoded.batch, parents))
        return True

    async def walk(emit: Emit) -> None:
        if driver.kind == "feed":
            await walk_feed(parts.source, driver, lower, emit, recent_changes=False)
        else:
            call = ListCall(driver, list_path(driver, parts.tenant), parts.open_window(driver, lower))
            await walk_forward(parts.source, call, PageSize(parts.page_size(driver)), emit)

    parts.note("info", f"reading {driver.name} for its ids", driver)
    await pump(parts.source, walk, take)
    return found

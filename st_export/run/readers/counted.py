"""Reading a whole set into one unit: in one page, backward where it is sorted, else again until keys and totals agree.

Why each of them is sound is argued in `plan.paging`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from st_export.errors import EntityFailed
from st_export.fetch.lists import has_more, honour_clamp, page_at, walk_backward, walk_forward
from st_export.fetch.pages import PageNumber
from st_export.plan.paging import walk_for
from st_export.run.pump import pump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import pyarrow as pa

    from st_export.fetch.lists import ListCall, PageSize
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.unit import OpenUnit

    Walker = Callable[[Emit], Awaitable[None]]

MOST_ROUNDS = 5
"""A set that still changes in the fifth reading fails; the next run tries again."""


@dataclass(slots=True)
class DistinctKeys:
    """What one reading of a set has shown: its distinct keys as 64-bit hashes, its rows, and the total that page 1 told."""

    key: Sequence[str]
    rows: int = 0
    total: int | None = None
    seen: set[int] = field(default_factory=set)
    mixed: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Note the keys of these rows; of an entity without a key, the rows themselves."""
        columns = self.key or [name for name in batch.schema.names if not name.startswith("_")]
        rows = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
        hashes = [hash(row if self.key else repr(row)) for row in rows]
        self.rows += batch.num_rows
        self.seen.update(hashes)
        self.mixed = (self.mixed + sum(hashes)) & ((1 << 64) - 1)

    def __len__(self) -> int:
        return len(self.seen)

    def agrees(self, fresh: int | None, before: DistinctKeys | None) -> bool:
        """Whether this reading is surely whole, by a fresh total behind it or by the reading before.

        Rows without a key may be alike: then their number has to agree with the totals, and all of them with the reading before.
        """
        repeats = before is not None and (self.rows, self.mixed, self.seen) == (before.rows, before.mixed, before.seen)
        if fresh is None or self.total is None:
            return repeats
        if self.total == fresh == len(self.seen):
            return True
        return not self.key and self.total == fresh == self.rows and repeats


async def fill(
    parts: Parts, unit: OpenUnit, walk: Callable[[Emit], Awaitable[None]], seen: Callable[[pa.RecordBatch], object] | None = None
) -> None:
    """Put the pages of a walk into a unit; where that fails the unit is discarded.

    Raises:
        StExportError: what the walk or the unit raised.

    """

    async def take(page: Page) -> bool:
        await unit.take(page, seen=seen)
        return True

    try:
        await pump(parts.source, walk, take)
    except BaseException:
        unit.discard()
        raise


async def read_all(parts: Parts, call: ListCall, size: PageSize, first: Page | None, open_unit: Callable[[], OpenUnit]) -> OpenUnit:
    """Read all of a set into a unit and return that, not yet committed; `first` is page 1 if it was already fetched.

    Raises:
        EntityFailed: the set changed during each of the readings.

    """
    if walk_for(call.entity, call.window) == "single":
        unit = open_unit()
        await fill(parts, unit, lambda emit: walk_forward(parts.source, call, size, emit, first=first))
        return unit
    page = first or await page_at(parts.source, call, size, 0)
    honour_clamp(page, size)
    total = page.envelope.total_count
    if not has_more(page, size):
        unit = open_unit()
        await fill(parts, unit, lambda emit: walk_forward(parts.source, call, size, emit, first=page))
        return unit
    if walk_for(call.entity, call.window) == "backward" and total is not None:
        await parts.source.release(page)
        unit = open_unit()
        await fill(parts, unit, lambda emit: walk_backward(parts.source, call, size, total, emit))
        return unit
    return await _read_counted(parts, call, size, page, open_unit)


async def _read_counted(parts: Parts, call: ListCall, size: PageSize, first: Page, open_unit: Callable[[], OpenUnit]) -> OpenUnit:
    before: DistinctKeys | None = None
    page: Page | None = first
    for _ in range(MOST_ROUNDS):
        page = page or await page_at(parts.source, call, size, 0)
        unit, reading = open_unit(), DistinctKeys(call.entity.key, total=page.envelope.total_count)

        async def walk(emit: Emit, page: Page = page) -> None:
            await walk_forward(parts.source, call, size, emit, first=page)

        await fill(parts, unit, walk, reading.add)
        try:
            fresh = await _fresh_total(parts, call)
        except BaseException:
            unit.discard()
            raise
        if reading.agrees(fresh, before):
            return unit
        unit.discard()
        text = f"the list changed while it was read ({len(reading.seen):,} distinct of {reading.rows:,} rows, total {reading.total})"
        parts.note("info", f"{text}; reading again", call.entity)
        page, before = None, reading
    raise EntityFailed(
        f"the list changed during each of {MOST_ROUNDS} readings, so that rows may be missing",
        hint="nothing of it was written; run again at a quieter time",
        tenant=parts.tenant,
        entity=call.entity.name,
    )


async def _fresh_total(parts: Parts, call: ListCall) -> int | None:
    paging = call.entity.paging
    if paging is None or not paging.has_total:
        return None
    return await parts.source.count(call.request(PageNumber(1, 1), include_total=True))

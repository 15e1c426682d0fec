"""Reading a whole set into one unit: in one page, backward where it is sorted, else again until keys and totals agree.

Why each of them is sound is argued in `plan.paging`. What is asked once a variant is read side by side into the same unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio

from st_export.errors import EntityFailed
from st_export.fetch.lists import has_more, honour_clamp, page_at, walk_backward, walk_forward
from st_export.fetch.pages import PageNumber
from st_export.plan.paging import walk_for
from st_export.run.groups import side_by_side
from st_export.run.pump import pump
from st_export.run.variants import calls_of

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
    """What one reading of a set has shown: its distinct keys as 64-bit hashes, its rows, and the total that page 1 told.

    `one_page`: page 1 said that it is all.
    """

    key: Sequence[str]
    rows: int = 0
    total: int | None = None
    one_page: bool = False
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
    await fill_from_all(parts, unit, [(walk, seen)])


async def fill_from_all(parts: Parts, unit: OpenUnit, walks: Sequence[tuple[Walker, Callable[[pa.RecordBatch], object] | None]]) -> None:
    """Put the pages of several walks, side by side, into a unit; `fill` says the rest."""
    taking = anyio.Lock()

    async def put(walk: Walker, seen: Callable[[pa.RecordBatch], object] | None) -> None:
        async def take(page: Page) -> bool:
            async with taking:
                await unit.take(page, seen=seen)
            return True

        await pump(parts.source, walk, take)

    try:
        await side_by_side([partial(put, *each) for each in walks])
    except BaseException:
        unit.discard()
        raise


async def read_all(parts: Parts, call: ListCall, size: PageSize, first: Page | None, open_unit: Callable[[], OpenUnit]) -> OpenUnit:
    """Read all of a set into a unit and return that, not yet committed; `first` is page 1 if it was already fetched.

    Raises:
        EntityFailed: the set changed during each of the readings.

    """
    if call.entity.variants:
        return await _read_counted(parts, call, size, None, open_unit)
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
        parts.source.release(page)
        unit = open_unit()
        await fill(parts, unit, lambda emit: walk_backward(parts.source, call, size, total, emit))
        return unit
    return await _read_counted(parts, call, size, page, open_unit)


async def _read_counted(parts: Parts, call: ListCall, size: PageSize, first: Page | None, open_unit: Callable[[], OpenUnit]) -> OpenUnit:
    calls = calls_of(call)
    before: list[DistinctKeys | None] = [None] * len(calls)
    for _ in range(MOST_ROUNDS):
        unit = open_unit()
        readings = [DistinctKeys(call.entity.key) for _ in calls]
        walks = [_walk_into(reading, parts, each, size, first) for each, reading in zip(calls, readings, strict=True)]
        await fill_from_all(parts, unit, [(walk, reading.add) for walk, reading in zip(walks, readings, strict=True)])
        first = None
        try:
            doubtful = await _doubtful(parts, calls, readings, before)
        except BaseException:
            unit.discard()
            raise
        if doubtful is None:
            return unit
        unit.discard()
        text = f"the list changed while it was read ({len(doubtful):,} distinct of {doubtful.rows:,} rows, total {doubtful.total})"
        parts.note("info", f"{text}; reading again", call.entity)
        before = [*readings]
    raise EntityFailed(
        f"the list changed during each of {MOST_ROUNDS} readings, so that rows may be missing",
        hint="nothing of it was written; run again at a quieter time",
        tenant=parts.tenant,
        entity=call.entity.name,
    )


def _walk_into(reading: DistinctKeys, parts: Parts, call: ListCall, size: PageSize, first: Page | None) -> Walker:
    async def walk(emit: Emit) -> None:
        with size.of_walk() as own:
            page = first or await page_at(parts.source, call, own, 0)
            honour_clamp(page, own)
            reading.total, reading.one_page = page.envelope.total_count, not has_more(page, own)
            await walk_forward(parts.source, call, own, emit, first=page)

    return walk


async def _doubtful(
    parts: Parts, calls: Sequence[ListCall], readings: Sequence[DistinctKeys], before: Sequence[DistinctKeys | None]
) -> DistinctKeys | None:
    """Return the first reading that may not be whole, None where all surely are."""
    window = calls[0].window
    if window is not None and window.end is not None and all(reading.one_page for reading in readings):
        return None  # nothing can enter a closed window, and each answer was of one moment
    totals = await side_by_side([partial(_fresh_total, parts, call) for call in calls])
    doubts = (reading for reading, fresh, earlier in zip(readings, totals, before, strict=True) if not reading.agrees(fresh, earlier))
    return next(doubts, None)


async def _fresh_total(parts: Parts, call: ListCall) -> int | None:
    paging = call.entity.paging
    if paging is None or not paging.has_total:
        return None
    return await parts.source.count(call.request(PageNumber(1, 1), include_total=True))

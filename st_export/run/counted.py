"""Reading a set whose order nobody promises: whole, and again, until the distinct keys and the totals agree.

A set that fits one page is one answer of one moment. A larger one is read page by page; then the distinct keys seen are held
against the total at the first page and a fresh one behind the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export.errors import EntityFailed
from st_export.fetch.lists import walk_forward
from st_export.fetch.pages import PageNumber
from st_export.run.pump import pump

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from st_export.fetch.lists import ListCall, PageSize
    from st_export.fetch.source import Emit
    from st_export.flow import Page
    from st_export.run.parts import Parts
    from st_export.run.unit import OpenUnit

MOST_ROUNDS = 5
"""A set that still changes in the fifth reading fails; the next run tries again."""


class DistinctKeys:
    """The keys seen in one reading, as 64-bit hashes: eight bytes a key and a set's overhead."""

    def __init__(self, key: Sequence[str]) -> None:
        self._key = list(key)
        self._seen: set[int] = set()

    def add(self, batch: pa.RecordBatch) -> None:
        """Note the keys of these rows; rows of an entity without a key count as they are."""
        columns = self._key or [name for name in batch.schema.names if not name.startswith("_")]
        rows = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
        self._seen.update(hash(repr(row) if not self._key else row) for row in rows)

    def __len__(self) -> int:
        return len(self._seen)


async def read_counted(parts: Parts, call: ListCall, size: PageSize, first: Page | None, open_unit: Callable[[], OpenUnit]) -> OpenUnit:
    """Read all pages into a unit until they are known to be all; return that unit, not yet committed.

    Raises:
        EntityFailed: the set changed during each of the readings.

    """
    before: int | None = None
    for _ in range(MOST_ROUNDS):
        unit, keys, pages, total = open_unit(), DistinctKeys(call.entity.key), 0, None

        async def take(page: Page, unit: OpenUnit = unit, keys: DistinctKeys = keys) -> bool:
            nonlocal pages, total
            total = page.envelope.total_count if pages == 0 else total
            pages += 1
            await unit.take(page, seen=keys.add)
            return True

        async def walk(emit: Emit, first: Page | None = first) -> None:
            await walk_forward(parts.source, call, size, emit, first=first)

        try:
            await pump(parts.source, walk, take)
            if pages == 1 or await _agree(parts, call, total, len(keys), before):
                return unit
        except BaseException:
            unit.discard()
            raise
        unit.discard()
        first, before = None, len(keys)
        parts.note("info", f"the list changed while it was read ({len(keys):,} distinct keys, total {total}); reading again", call.entity)
    raise EntityFailed(
        f"the list changed during each of {MOST_ROUNDS} readings, so that rows may be missing",
        hint="nothing of it was written; run again at a quieter time",
        tenant=parts.tenant,
        entity=call.entity.name,
    )


async def _agree(parts: Parts, call: ListCall, total: int | None, distinct: int, before: int | None) -> bool:
    """Whether the keys seen are all there are: both totals and their number are one figure.

    Sorted by id, newcomers and edits only cause repeats, so the fresh total must merely be reached; and a list without a total
    and without a sort is held against the reading before.
    """
    paging = call.entity.paging
    is_sorted = paging is not None and paging.sort is not None
    if paging is None or not paging.has_total:
        return is_sorted or distinct == before
    fresh = await parts.source.count(call.request(PageNumber(1, 1), include_total=True))
    if fresh is None:
        return is_sorted or distinct == before
    return distinct >= fresh if is_sorted else total == fresh == distinct

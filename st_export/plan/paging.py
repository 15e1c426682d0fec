"""Which walk over the pages of a list loses no row while records change under it.

Pages are offsets: page `k` of size `s` holds the rows `(k-1)s … ks-1` of the set as it is when the page is asked. A row is lost
when the set shrinks in front of the reader, because later rows then move up over the border of a page that was read.
What can change is an edit (`modifiedOn` moves to now), a newcomer (highest id), a deactivation, and, rarely, a true deletion.

- **forward** — an open window `[a, ∞)` of `modifiedOn`, sorted by id, read from the first page to the last. An edited row stays in
  the window and keeps its id, so its place does not move; an old row that enters by an edit, and a newcomer, push later
  rows back. Rows come twice at worst, none is skipped. A request starts only when the one before has been answered:
  asked side by side, page `k+1` could be answered before page `k`, and a row that moved back between the two would be in neither.
- **backward** — a closed window `[a, b)` with `b` in the past, sorted by id, read from the last page to the first, one request after
  the other. Nothing can enter: an edit sets `modifiedOn` to now. An edited row leaves, and rows behind it move up, to pages with
  smaller numbers, which are still to be read. Rows come twice at worst. The row that left stands in the **tail**, an open window
  from the run's start that is read forward when all closed windows are done: the record is there at its newer version.
- **counted** — no sort by id is offered, so places may change at will. The whole set is read, and the distinct keys are held against the
  total at the first page and a fresh one at the last: all three equal, or the set is read again. A set that fits one page needs no
  count: one answer is one moment.
- **single** — no paging at all.

All walks ask `active=Any` or its variant, so that deactivation never takes a row out of the set. A true deletion under a forward
walk shifts rows as an edit does in a closed window; where the list tells a total, the walk compares what it saw with it and
reads again on a difference.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from st_export.catalog.entity import Entity
    from st_export.flow import Window

Walk = Literal["forward", "backward", "counted", "single"]

WINDOW_PAGES = 8
"""A closed window is cut in time until it has at most so many pages, or lies within one day."""

DEEPEST_PAGES = 200
"""A window within one day is cut below the day only when it has more pages than this: deep offsets are slow."""


def walk_for(entity: Entity, window: Window | None) -> Walk:
    """Return the walk that is sound for a list in a window; `window` None reads all of it."""
    paging = entity.paging
    if paging is None or not paging.has_page:
        return "single"
    if paging.sort is None:
        return "counted"
    if window is not None and window.end is not None:
        return "backward"
    return "forward"


def fits_one_walk(total: int | None, page_size: int, window: Window | None = None) -> bool:
    """Whether a set of `total` rows should be read in one walk instead of being cut in time.

    An unknown total does not: it is cut if it can be. A window within one day is only cut when it is very deep, so that the day
    stays in one file.
    """
    if total is None:
        return False
    pages = -(-total // page_size)
    if pages <= WINDOW_PAGES:
        return True
    within_a_day = window is not None and window.end is not None and window.end - window.start <= timedelta(days=1)
    return within_a_day and pages <= DEEPEST_PAGES

"""Which walk over the pages of a list loses no row while records change under it.

Pages are offsets: page `k` of size `s` holds the rows `(k-1)s … ks-1` of the set as it is when the page is asked. What can change
meanwhile is an edit (`modifiedOn` moves to now), a newcomer (highest id, `modifiedOn` now), a deactivation, and a true deletion.
A row is lost where another row leaves or enters in front of it and it crosses, between two requests, from the pages still to be read
to those that have been read. So inside a walk a request starts only when the one before has been answered, and:

- **one page** — a set that fits one page is one answer of one moment. Nothing can be lost, whatever its order.
- **backward** — a set that nothing can enter but at its end, sorted by id, read from the last page to the first. That is a closed
  window `[a, b)` of `modifiedOn` with `b` in the past: an edit sets `modifiedOn` to now, so rows only leave. And it is a whole list
  without a filter: edits move nothing, newcomers stand at the end. What leaves, by an edit or a deletion, lets the rows behind it
  move up, to pages with smaller numbers, which are still to be read. Rows come twice at worst. What left a window by an edit, and the
  newcomers, stand in the **tail**: the open window from the run's start, read when all closed windows are done.
- **both ways** — a tail of more than one page, sorted by id. Old rows enter it by an edit, in the midst: forward they push others
  back, which come twice. A deletion lets others move up, which loses one forward and none backward. It is read forward, then
  backward: only a row that was at a border in both walks, at the moments of opposite changes, could be missed.
- **counted** — no sort by id is offered, so places may change at will. With a filter by time it is cut into closed windows of one
  page each. Where that cannot be done, all of it is read, and the distinct keys are held against the total at the first page and a
  fresh one behind the last: all three equal, or the set is read again.
- **single** — no paging at all.

A list that is asked once a variant (a bill's type) is several sets, read one after the other, and a row that changes its variant may
move from one still to be read into one that was read. In a closed window that is an edit: the row stands in the tail. Everywhere else
the readings are **counted**: the fresh totals of all variants are asked behind the last page of the last one.

How many rows a window has is only guessed where the total was asked of a larger one: a backward walk begins at the page reckoned the
last one and goes on from there until no more follows, so that a guess too low loses nothing, and one too high costs an empty page. The
tail begins when the last walk over a closed window has ended, whether its rows are committed or not.

All walks ask `active=Any` or its variant, so that deactivation never takes a row out of the set.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from st_export.flow import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from st_export.catalog.entity import Entity

Walk = Literal["single", "counted", "backward", "both ways"]

WINDOW_PAGES = 4
"""A closed window is cut in time until it has at most so many pages, or lies within one day."""

PIECE_PAGES = 3.0
"""A window that is cut is cut into pieces of so many pages on average: few of them have more than a walk takes."""

UNSORTED_PIECE_PAGES = 0.67
"""The same where a piece must not have more than one page."""

MOST_PIECES = 16
"""So many pieces at once at most; those with too many rows are cut again. Each costs a count, so that none is made for nothing."""

DEEPEST_PAGES = 200
"""A window within one day is cut below the day only when it has more pages than this: deep offsets are slow."""


def walk_for(entity: Entity, window: Window | None) -> Walk:
    """Return the walk that is sound for a set of more than one page; `window` None reads all of the list."""
    paging = entity.paging
    if paging is None or not paging.has_page:
        return "single"
    if paging.sort is None or not paging.has_total or entity.variants:
        return "counted"
    return "backward" if window is None or window.end is not None else "both ways"


def fits_one_walk(total: int | None, page_size: int, window: Window | None = None, *, is_sorted: bool = True) -> bool:
    """Whether a set of `total` rows should be read in one walk instead of being cut in time.

    An unknown total does not: it is cut if it can be. Without a sort only one page is sound. A window within one day is only cut when
    it is very deep, so that the day stays in one file.
    """
    if total is None:
        return False
    pages = -(-total // page_size)
    if not is_sorted:
        return pages <= 1
    if pages <= WINDOW_PAGES:
        return True
    within_a_day = window is not None and window.end is not None and window.end - window.start <= timedelta(days=1)
    return within_a_day and pages <= DEEPEST_PAGES


def pieces_of(total: int, page_size: int, *, is_sorted: bool = True) -> int:
    """Return into how many pieces to cut a window of about `total` rows."""
    return min(MOST_PIECES, max(2, math.ceil(total / page_size / (PIECE_PAGES if is_sorted else UNSORTED_PIECE_PAGES))))


def joined(pieces: Sequence[tuple[Window, int | None]], fits: Callable[[int, Window], bool]) -> list[tuple[Window, int | None]]:
    """Join neighbours, each with its count of rows where that is known, as long as `fits` says that they are one walk together."""
    found: list[tuple[Window, int | None]] = []
    for window, total in pieces:
        before = found[-1] if found else None
        if before is not None and before[1] is not None and total is not None:
            both, together = Window(before[0].start, window.end), before[1] + total
            if fits(together, both):
                found[-1] = (both, together)
                continue
        found.append((window, total))
    return found

"""What a reading will cost, from a total: requests, and seconds at the rate limit. Estimates, never used to decide when a reading ends."""

from __future__ import annotations

from dataclasses import dataclass

from st_export.plan.paging import WINDOW_PAGES

FEED_PAGE_ROWS = 1_000
"""Rows of a feed's page, for estimates only: the service documents none and they vary."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An entity's cost. None where the service does not tell; `note` says why, or what is odd.

    `bytes` is JSON before compression; `least_seconds` what it takes however fast requests may go (a report's interval).
    """

    rows: int | None = None
    requests: int | None = None
    bytes: int | None = None
    note: str | None = None
    least_seconds: float = 0.0

    def seconds(self, requests_per_second: float) -> float | None:
        """Return the time at the limit, alone."""
        return None if self.requests is None else max(self.requests / requests_per_second, self.least_seconds)


def pages_of(rows: int, page_rows: int) -> int:
    """Return the pages of so many rows: one at least, as an empty answer is one too."""
    return max(-(-rows // page_rows), 1)


def feed_requests(rows: int) -> int:
    """Return the requests of a feed with so many rows to give."""
    return pages_of(rows, FEED_PAGE_ROWS)


def list_requests(rows: int, page_rows: int, *, can_cut: bool) -> int:
    """Return the requests of a list in a window: page 1, and where it is long the counts that cut it into closed windows, and the tail."""
    pages = pages_of(rows, page_rows)
    if pages <= WINDOW_PAGES or not can_cut:
        return pages
    windows = 1
    while windows * WINDOW_PAGES < pages:
        windows *= 2
    return 1 + 2 * windows + pages + windows // 2 + 1


def whole_requests(rows: int, page_rows: int, *, has_total: bool) -> int:
    """Return the requests of a whole reading; more than one page is held against a fresh total."""
    pages = pages_of(rows, page_rows)
    return pages if pages == 1 else pages + has_total


def total_seconds(estimates: list[Estimate], requests_per_second: float) -> float:
    """Return the time of all together: they share the limit, and what has an interval of its own goes on beside them.

    Where the requests are not known, one is counted.
    """
    shared = sum(1 if one.requests is None else one.requests for one in estimates) / requests_per_second
    return max([shared, *(one.least_seconds for one in estimates)])

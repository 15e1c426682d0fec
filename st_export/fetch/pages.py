"""Page numbers: how many pages a total makes, and how a page is asked again in smaller ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageNumber:
    """A page of a list: `number` counts from 1 in pages of `size` rows."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.size


def page_count(total: int, size: int) -> int:
    """Return how many pages of `size` rows hold `total` rows."""
    return -(-total // size)


def smaller_size(size: int) -> int | None:
    """Return the largest divisor of `size` that is at most its half, None when a page is a single row already.

    A divisor, so that the smaller pages begin exactly where the larger one began: offsets are page numbers times sizes.
    """
    for parts in range(2, size + 1):
        if size % parts == 0:
            return size // parts
    return None


def at_offset(offset: int, size: int) -> PageNumber:
    """Return the page of `size` rows that begins at `offset`.

    Raises:
        ValueError: no page of that size begins there.

    """
    if offset % size:
        raise ValueError(f"no page of {size} rows begins at row {offset}")
    return PageNumber(offset // size + 1, size)

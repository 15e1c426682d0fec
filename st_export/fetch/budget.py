"""How many bytes of pages may be under way at once, all tenants together: being read from the wire, or read and not yet decoded.

Memory is bounded by bytes, not by a count of pages: a page may have ten kilobytes or twenty-five megabytes. A request that waits
for its answer holds none, so that a slow service can be asked for as many pages at once as its limits allow.
"""

from __future__ import annotations

from collections import deque

import anyio

FIRST_GUESS_BYTES = 2 << 20
"""What a page of unknown size is taken for before one of its entity has been seen."""


class PageBudget:
    """A gate for page bytes, first come first served. A page larger than the whole budget passes alone.

    Whoever holds a page and needs another one gives the first back before, or all might wait for each other.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    async def reserve(self, size: int) -> None:
        """Wait until `size` bytes fit and all who came before have theirs, then count them as used."""
        if not self._waiting and self._fits(size):
            self.used_bytes += size
            return
        place = (size, anyio.Event())
        self._waiting.append(place)
        try:
            await place[1].wait()
        except BaseException:
            if place[1].is_set():
                self.settle(size, 0)
            else:
                self._waiting.remove(place)
                self._admit()
            raise

    def settle(self, reserved_bytes: int, actual_bytes: int) -> None:
        """Replace a reservation by what the page really has; 0 gives it back."""
        self.used_bytes += actual_bytes - reserved_bytes
        self._admit()

    def _fits(self, size: int) -> bool:
        return not self.used_bytes or self.used_bytes + size <= self.limit_bytes

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, admitted = self._waiting.popleft()
            self.used_bytes += size
            admitted.set()


class Room:
    """The bytes of one call's answer in a budget: taken before its body is read, given back where an attempt fails.

    Args:
        budget: where they count.
        guess_bytes: what the body is taken for where the answer does not tell its size.

    """

    def __init__(self, budget: PageBudget, guess_bytes: int) -> None:
        self._budget = budget
        self._guess_bytes = guess_bytes
        self._held_bytes = 0

    async def take(self, *, wire_bytes: int | None, is_plain: bool) -> None:
        """Wait for room for a body.

        Args:
            wire_bytes: its size on the wire, None where that is not told.
            is_plain: whether it is not compressed, so that this is its size.

        """
        size = wire_bytes if is_plain and wire_bytes is not None else max(self._guess_bytes, wire_bytes or 0)
        await self._budget.reserve(size)
        self._held_bytes = size

    def settle(self, size: int) -> None:
        """Count what the body really has; 0 gives it back."""
        self._budget.settle(self._held_bytes, size)
        self._held_bytes = size

"""How many bytes of pages may be under way at once, all tenants together: fetched or being fetched, not yet decoded.

Memory is bounded by bytes, not by a count of pages: a page may have ten kilobytes or twenty-five megabytes.
"""

from __future__ import annotations

import anyio

FIRST_GUESS_BYTES = 256 * 1024
"""What a page of an entity is taken for before one has been seen."""


class PageBudget:
    """A gate for page bytes. A page larger than the whole budget passes alone."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._in_use = 0
        self._changed = anyio.Condition()

    async def reserve(self, guess_bytes: int) -> None:
        """Wait until `guess_bytes` fit, then count them as used."""
        async with self._changed:
            while self._in_use and self._in_use + guess_bytes > self.limit_bytes:
                await self._changed.wait()
            self._in_use += guess_bytes

    async def settle(self, reserved_bytes: int, actual_bytes: int) -> None:
        """Replace a reservation by what the page really has; 0 gives it back."""
        with anyio.CancelScope(shield=True):
            async with self._changed:
                self._in_use += actual_bytes - reserved_bytes
                self._changed.notify_all()

"""A budget of bytes that all open units share, so that memory does not grow with their number."""

from __future__ import annotations

import threading


class ByteBudget:
    """How many bytes may be held at once, and how many are. Safe to use from many threads.

    It never blocks and never refuses: who takes is told whether the budget is short, and then moves what it holds to disk.
    So the sum held is at most `limit_bytes` and one batch a unit.
    """

    def __init__(self, limit_bytes: int) -> None:
        if limit_bytes <= 0:
            raise ValueError(f"a budget needs bytes: {limit_bytes}")
        self.limit_bytes = limit_bytes
        self._used = 0
        self._most = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Return the bytes that are held now."""
        return self._used

    @property
    def most_bytes(self) -> int:
        """Return the most bytes that were held at once."""
        return self._most

    def take(self, size: int) -> bool:
        """Count `size` bytes as held; return whether the budget still has room."""
        with self._lock:
            self._used += size
            self._most = max(self._most, self._used)
            return self._used <= self.limit_bytes

    def give(self, size: int) -> None:
        """Give bytes back. Raises `ValueError` for more than are held."""
        with self._lock:
            if size > self._used:
                raise ValueError(f"{size} bytes given back, {self._used} held")
            self._used -= size

"""The service's limit: so many calls in any rolling second per (app key, tenant), counted where they arrive, refused ones too."""

from __future__ import annotations

import time
from collections import deque


class RateLimit:
    """Counts arrivals over a rolling period."""

    def __init__(self, period_seconds: float = 1.0) -> None:
        self._period = period_seconds
        self._arrivals: dict[str, deque[float]] = {}

    def wait_after(self, key: str, limit: int, at: float | None = None) -> float:
        """Count an arrival; return 0 where it is within the limit, else the seconds until there is room again. Limit 0: none.

        `at` is when it arrived, in monotonic seconds; None is now.
        """
        if limit <= 0:
            return 0.0
        now = time.monotonic() if at is None else at
        arrivals = self._arrivals.setdefault(key, deque())
        while arrivals and arrivals[0] <= now - self._period:
            arrivals.popleft()
        arrivals.append(now)
        if len(arrivals) <= limit:
            return 0.0
        return max(0.001, arrivals[-limit] + self._period - now)


class IntervalLimit:
    """At most one arrival in an interval: a report runs once a minute. A refused arrival does not count."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def wait_after(self, key: str, interval_seconds: float) -> float:
        """Count an arrival; return 0 where it may go on, else the seconds it has to wait."""
        now = time.monotonic()
        waited = now - self._last.get(key, -1e9)
        if waited < interval_seconds:
            return interval_seconds - waited
        self._last[key] = now
        return 0.0

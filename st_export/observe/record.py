"""The recorder of a run: its summary, and what happened when, for the report. A listener in bounded memory.

The shape of `series` in the run file:

```
series: {
  started_at,                    RFC 3339
  step_seconds: 1,               width of a step of `per_second`; doubled when the run outgrows MAX_STEPS
  per_second: [n],               requests sent in a second, mean over each step
  limit,                         requests a second allowed, all tenants together; null where unknown
  latency_ms: {p50, p90, p99, max},
  entities: {"jpm.jobs@1001": [start_s, end_s]},     seconds since started_at; end null while open
  statuses: {"200": n, "429": n, "0": n},            answers by HTTP status; 0: none came
  held_back_seconds: {"1001": s}                     what a tenant waited because the service said so
}
```
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from st_export import events
from st_export.flow import utc_text
from st_export.run.summary import Summary

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.run.summary import Outcome

MAX_STEPS = 3600
"""Steps kept of `per_second`: an hour by the second, a day by 32 seconds; more than a screen can show."""

LATENCY_GROWTH = 1.04
"""Each bucket of the latency histogram is 4 % wider than the one before: percentiles are right to 2 %, in a few hundred numbers."""


class Latency:
    """A histogram of seconds in buckets that grow by 4 %; the maximum is exact."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = 0
        self._max_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one answer."""
        bucket = math.floor(math.log(max(seconds, 1e-4), LATENCY_GROWTH))
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._count += 1
        self._max_seconds = max(self._max_seconds, seconds)

    def percentile_ms(self, percent: float) -> float | None:
        """Return the milliseconds that so many percent of the answers took at most, None before the first."""
        if not self._count:
            return None
        wanted, seen = self._count * percent / 100, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return round(min(math.pow(LATENCY_GROWTH, bucket + 0.5), self._max_seconds) * 1000, 1)
        return round(self._max_seconds * 1000, 1)

    def document(self) -> dict[str, float | None]:
        """Return the percentiles for the series."""
        return {
            "p50": self.percentile_ms(50),
            "p90": self.percentile_ms(90),
            "p99": self.percentile_ms(99),
            "max": round(self._max_seconds * 1000, 1) if self._count else None,
        }


class Rate:
    """Requests counted by the second they were sent in; steps are joined in pairs when there are too many."""

    def __init__(self) -> None:
        self.step_seconds = 1
        self._counts: list[int] = []

    def add(self, second: float) -> None:
        """Count a request sent so many seconds after the start."""
        index = int(max(second, 0.0)) // self.step_seconds
        while index >= MAX_STEPS:
            self._counts = [sum(self._counts[pair : pair + 2]) for pair in range(0, len(self._counts), 2)]
            self.step_seconds *= 2
            index = int(second) // self.step_seconds
        if index >= len(self._counts):
            self._counts.extend([0] * (index + 1 - len(self._counts)))
        self._counts[index] += 1

    def document(self) -> list[float]:
        """Return requests a second, mean over each step: whole numbers while a step is a second."""
        if self.step_seconds == 1:
            return list(self._counts)
        return [round(count / self.step_seconds, 1) for count in self._counts]


class Recorder:
    """Listens to a run: gives its summary, with `series` for the report."""

    def __init__(self) -> None:
        self._summary = Summary()
        self._started_at: datetime | None = None
        self._limit: float | None = None
        self._latency = Latency()
        self._rate = Rate()
        self._entities: dict[str, list[float | None]] = {}
        self._statuses: dict[int, int] = {}
        self._held_back_seconds: dict[int, float] = {}

    def __call__(self, event: events.Event) -> None:
        """Take an event into the summary and the series."""
        self._summary(event)
        if self._started_at is None:
            self._started_at = event.at
        if isinstance(event, events.RequestFinished):
            self._request(event)
        elif isinstance(event, events.RunStarted):
            self._started_at = event.at
            self._limit = event.requests_per_second * max(len(event.tenants), 1)
        elif isinstance(event, events.EntityStarted):
            self._entities.setdefault(f"{event.entity}@{event.tenant}", [self._since_start(event.at), None])
        elif isinstance(event, events.EntityFinished):
            name = f"{event.entity}@{event.tenant}"
            if name in self._entities:
                self._entities[name][1] = self._since_start(event.at)
        elif isinstance(event, events.TenantHeldBack):
            self._held_back_seconds[event.tenant] = self._held_back_seconds.get(event.tenant, 0.0) + event.seconds

    def summary(
        self,
        *,
        run_id: str,
        command: str,
        outcome: Outcome,
        exit_code: int,
        finished_at: datetime | None = None,
        peak_rss_mb: float | None = None,
    ) -> dict[str, Any]:
        """Return the contract's run summary, with the series under the key `series`; arguments as `Summary.document`."""
        document = self._summary.document(
            run_id=run_id, command=command, outcome=outcome, exit_code=exit_code, finished_at=finished_at, peak_rss_mb=peak_rss_mb
        )
        return {**document, "series": self.series()}

    def series(self) -> dict[str, Any]:
        """Return what happened when, as this module's docstring shows."""
        return {
            "started_at": utc_text(self._started_at) if self._started_at else None,
            "step_seconds": self._rate.step_seconds,
            "per_second": self._rate.document(),
            "limit": self._limit,
            "latency_ms": self._latency.document(),
            "entities": {name: list(span) for name, span in self._entities.items()},
            "statuses": {str(status): count for status, count in sorted(self._statuses.items())},
            "held_back_seconds": {str(tenant): round(seconds, 1) for tenant, seconds in self._held_back_seconds.items()},
        }

    def _request(self, event: events.RequestFinished) -> None:
        # Counted when it was sent: the limit is on sending, and a slow answer would move it by its latency.
        self._rate.add(self._since_start(event.at) - event.seconds)
        self._latency.add(event.seconds)
        self._statuses[event.status] = self._statuses.get(event.status, 0) + 1

    def _since_start(self, at: datetime) -> float:
        return round((at - self._started_at).total_seconds(), 3) if self._started_at else 0.0

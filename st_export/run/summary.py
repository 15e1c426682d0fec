"""The run summary: a listener that adds up the events of a run, and the contract's document of it.

Memory is bounded by the number of selected entities and of manifests. It leaves out what happened when: that is `observe.record`.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from st_export import events
from st_export.flow import utc_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

Outcome = Literal["complete", "partial", "failed", "stopped"]
Status = Literal["ok", "failed", "skipped"]

UNFINISHED = "the run ended before this entity did; the same command goes on from its last commit"


@dataclass(slots=True)
class EntityCounts:
    """What one entity of one tenant has brought so far; bytes received are those on the wire."""

    kind: str | None = None
    status: Status | None = None
    rows: int = 0
    pages: int = 0
    files: int = 0
    bytes_received: int = 0
    bytes_written: int = 0
    requests: int = 0
    retries: int = 0
    rescued: int = 0
    rejected: int = 0
    windows: list[tuple[datetime | None, datetime | None]] = field(default_factory=list)
    asked: tuple[datetime | None, datetime] | None = None
    seconds: float = 0.0
    started_at: datetime | None = None
    error: str | None = None
    hint: str | None = None
    manifests: list[str] = field(default_factory=list)

    def cover(self, window: tuple[datetime | None, datetime | None]) -> None:
        """Widen the window so far to hold another one; None is the beginning, or an end that is open."""
        if not self.windows:
            self.windows.append(window)
            return
        start, end = self.windows[0]
        other_start, other_end = window
        self.windows[0] = (
            None if start is None or other_start is None else min(start, other_start),
            None if end is None or other_end is None else max(end, other_end),
        )


class Summary:
    """Adds up the events of a run; call it with each event, then ask for `document`."""

    def __init__(self) -> None:
        self.run_id: str | None = None
        self.command: str | None = None
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.tenants: dict[int, dict[str, EntityCounts]] = {}
        self.rate_limited = 0
        self.token_requests = 0
        self._last_at: datetime | None = None
        self._takers: dict[type[events.Event], Callable[[Any], None]] = {
            events.RunStarted: self._run_started,
            events.RunFinished: self._run_finished,
            events.EntityStarted: self._entity_started,
            events.WindowOpened: self._window_opened,
            events.RequestFinished: self._request_finished,
            events.PageFetched: self._page_fetched,
            events.TokenRenewed: self._token_renewed,
            events.Committed: self._committed,
            events.EntityFinished: self._entity_finished,
        }

    def __call__(self, event: events.Event) -> None:
        """Take an event into the counts; events that say nothing of counts pass."""
        self._last_at = event.at
        taker = self._takers.get(type(event))
        if taker is not None:
            taker(event)

    def entity(self, tenant: int, name: str) -> EntityCounts:
        """Return the counts of an entity of a tenant, made on first sight."""
        return self.tenants.setdefault(tenant, {}).setdefault(name, EntityCounts())

    def document(
        self,
        *,
        run_id: str,
        command: str,
        outcome: Outcome,
        exit_code: int,
        finished_at: datetime | None = None,
        peak_rss_mb: float | None = None,
    ) -> dict[str, Any]:
        """Return the run summary as the contract spells it, ready for JSON.

        Args:
            run_id: the run's id.
            command: `run` or `backfill`.
            outcome: how the run ended.
            exit_code: of the command.
            finished_at: aware UTC, default the time of the last event.
            peak_rss_mb: over all processes, default what the operating system tells of this one and its children.

        """
        started = self.started_at or self._last_at
        finished = finished_at or self.finished_at or self._last_at
        tenants = [
            {"id": tenant, "entities": [_entity_document(name, counts, outcome, finished) for name, counts in sorted(entities.items())]}
            for tenant, entities in self.tenants.items()
        ]
        return {
            "run_id": run_id,
            "command": command,
            "started_at": utc_text(started) if started else None,
            "finished_at": utc_text(finished) if finished else None,
            "outcome": outcome,
            "exit_code": exit_code,
            "tenants": tenants,
            "totals": self._totals(started, finished, peak_rss_mb),
        }

    def _totals(self, started: datetime | None, finished: datetime | None, peak_rss_mb: float | None) -> dict[str, Any]:
        every = [counts for entities in self.tenants.values() for counts in entities.values()]
        return {
            "rows": sum(counts.rows for counts in every),
            "requests": sum(counts.requests for counts in every),
            "retries": sum(counts.retries for counts in every),
            "rate_limited": self.rate_limited,
            "token_requests": self.token_requests,
            "bytes_received": sum(counts.bytes_received for counts in every),
            "bytes_written": sum(counts.bytes_written for counts in every),
            "files": sum(counts.files for counts in every),
            "seconds": _seconds(finished - started) if started and finished else 0.0,
            "peak_rss_mb": round(peak_rss_mb if peak_rss_mb is not None else measured_peak_rss_mb(), 1),
        }

    def _run_started(self, event: events.RunStarted) -> None:
        self.run_id, self.command, self.started_at = event.run, event.command, event.at
        for tenant in event.tenants:
            self.tenants.setdefault(tenant, {})

    def _run_finished(self, event: events.RunFinished) -> None:
        self.finished_at = event.at

    def _entity_started(self, event: events.EntityStarted) -> None:
        counts = self.entity(event.tenant, event.entity)
        counts.kind, counts.started_at = event.kind, counts.started_at or event.at

    def _window_opened(self, event: events.WindowOpened) -> None:
        self.entity(event.tenant, event.entity).asked = event.window

    def _request_finished(self, event: events.RequestFinished) -> None:
        counts = self.entity(event.tenant, event.entity)
        counts.requests += 1
        counts.bytes_received += event.wire_bytes
        counts.retries += event.will_retry
        self.rate_limited += event.status == 429

    def _page_fetched(self, event: events.PageFetched) -> None:
        self.entity(event.tenant, event.entity).pages += 1

    def _token_renewed(self, _event: events.TokenRenewed) -> None:
        self.token_requests += 1

    def _committed(self, event: events.Committed) -> None:
        counts = self.entity(event.tenant, event.entity)
        counts.rows += event.rows
        counts.files += event.files
        counts.bytes_written += event.bytes
        counts.rescued += event.rescued
        counts.rejected += event.rejected
        if event.manifest is not None:
            counts.manifests.append(event.manifest)
        if event.window is not None:
            counts.cover(event.window)

    def _entity_finished(self, event: events.EntityFinished) -> None:
        counts = self.entity(event.tenant, event.entity)
        counts.status, counts.error, counts.hint = event.status, event.error, event.hint
        if counts.started_at is not None:
            counts.seconds += (event.at - counts.started_at).total_seconds()
            counts.started_at = None


def _window(counts: EntityCounts) -> list[str | None] | None:
    window = counts.asked or (counts.windows[0] if counts.windows else None)
    return None if window is None else [utc_text(moment) if moment else None for moment in window]


def _entity_document(name: str, counts: EntityCounts, outcome: Outcome, finished: datetime | None) -> dict[str, Any]:
    status: Status = counts.status or ("ok" if outcome == "stopped" else "failed")
    seconds = counts.seconds
    if counts.started_at is not None and finished is not None:
        seconds += (finished - counts.started_at).total_seconds()
    return {
        "name": name,
        "kind": counts.kind,
        "status": status,
        "rows": counts.rows,
        "pages": counts.pages,
        "files": counts.files,
        "bytes_received": counts.bytes_received,
        "bytes_written": counts.bytes_written,
        "requests": counts.requests,
        "retries": counts.retries,
        "rescued": counts.rescued,
        "rejected": counts.rejected,
        "window": _window(counts),
        "seconds": round(seconds, 3),
        "error": counts.error if counts.status else UNFINISHED,
        "hint": counts.hint,
        "manifests": list(counts.manifests),
    }


def _seconds(span: timedelta) -> float:
    return round(span.total_seconds(), 3)


def measured_peak_rss_mb() -> float:
    """Return the peak of resident memory in MB: of this process and of the largest child that has ended."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used) / unit

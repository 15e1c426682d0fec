"""What a run has done so far, as a listener that adds events up: the ground for the live view, the lines and the final table.

Memory is bounded by the number of selected entities and two minutes of one-second buckets. Events may come from several threads.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from st_export import events as happened

if TYPE_CHECKING:
    from datetime import datetime

LOOK_BACK_SECONDS = 120
"""How far back the estimate of the rest looks: a limited flow comes in bursts."""

FEWEST_BUCKETS = 20
"""Seconds of flow before an estimate is made at all."""

RATE_SECONDS = 10
"""Over how many seconds the shown rates are taken."""

LONG_WAIT_SECONDS = 5.0
"""A wait longer than this is told with tenant, reason and seconds."""


@dataclass(slots=True)
class EntityProgress:
    """One entity of one tenant so far; `rows_read` are decoded, `rows_written` new in the lake."""

    tenant: int
    name: str
    kind: str = ""
    rows_expected: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    last_at: datetime | None = None
    status: str | None = None
    error: str | None = None
    hint: str | None = None
    rows_read: int = 0
    rows_written: int = 0
    pages: int = 0
    files: int = 0
    bytes_written: int = 0
    retries: int = 0
    rescued: int = 0
    rejected: int = 0

    def seconds(self) -> float:
        """Return how long it took, to its end or to the last event."""
        end = self.finished_at or self.last_at
        return max(0.0, (end - self.started_at).total_seconds()) if end and self.started_at else 0.0

    def rows_per_second(self) -> float:
        """Return the rows read a second since its start."""
        seconds = self.seconds()
        return self.rows_read / seconds if seconds > 0 else 0.0


@dataclass(slots=True)
class Bucket:
    """One second of the flow: requests answered, rows decoded."""

    second: int
    requests: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that waits for more than a moment, and until when."""

    tenant: int
    entity: str | None
    reason: str
    until_seconds: float


class Progress:
    """Adds up the events of one run; call it with each event."""

    def __init__(self) -> None:
        self.command = ""
        self.run = ""
        self.limit_per_second = 0.0
        self.tenants: tuple[int, ...] = ()
        self.entities_selected = 0
        self.outcome: str | None = None
        self.requests = self.retries = self.rate_limited = 0
        self.rows_written = self.files = self.bytes_written = self.rescued = self.rejected = 0
        self._started_at: datetime | None = None
        self._last_at: datetime | None = None
        self._entities: dict[tuple[int, str], EntityProgress] = {}
        self._buckets: deque[Bucket] = deque(maxlen=LOOK_BACK_SECONDS)
        self._waits: dict[tuple[int, str | None], Wait] = {}
        self._lock = Lock()

    def __call__(self, event: happened.Event) -> None:
        """Take an event into the counts."""
        with self._lock:
            self._last_at = max(event.at, self._last_at or event.at)
            if isinstance(event, happened.EntityEvent):
                self._about_entity(event)
            else:
                self._about_run(event)

    def _about_run(self, event: happened.Event) -> None:
        match event:
            case happened.RunStarted():
                self.run, self.command, self.tenants = event.run, event.command, event.tenants
                self.limit_per_second, self.entities_selected = event.requests_per_second, event.entities
                self._started_at = event.at
            case happened.RunFinished():
                self.outcome = event.outcome
            case happened.Waiting():
                self._wait(event.tenant, event.entity, event.reason, event)
            case happened.TenantHeldBack():
                self._wait(event.tenant, None, event.reason, event)

    def _wait(self, tenant: int, entity: str | None, reason: str, event: happened.Waiting | happened.TenantHeldBack) -> None:
        if event.seconds > LONG_WAIT_SECONDS:
            self._waits[tenant, entity] = Wait(tenant, entity, reason, event.at.timestamp() + event.seconds)

    def _about_entity(self, event: happened.EntityEvent) -> None:
        entity = self._entities.setdefault((event.tenant, event.entity), EntityProgress(event.tenant, event.entity))
        entity.last_at = event.at
        entity.started_at = entity.started_at or event.at
        if isinstance(event, (happened.RequestFinished, happened.EntityFinished)):
            self._waits.pop((event.tenant, event.entity), None)
        match event:
            case happened.EntityStarted():
                entity.kind, entity.rows_expected, entity.started_at = event.kind, event.rows_expected, event.at
            case happened.RequestFinished():
                self._request(entity, event)
            case happened.PageFetched():
                entity.pages += 1
            case happened.PageDecoded():
                entity.rows_read += event.rows
                self._bucket(event.at).rows += event.rows
            case happened.Committed():
                self._commit(entity, event)
            case happened.EntityFinished():
                entity.status, entity.error, entity.hint, entity.finished_at = event.status, event.error, event.hint, event.at

    def _request(self, entity: EntityProgress, event: happened.RequestFinished) -> None:
        self.requests += 1
        self._bucket(event.at).requests += 1
        self.rate_limited += event.status == 429
        if event.will_retry:
            self.retries += 1
            entity.retries += 1

    def _commit(self, entity: EntityProgress, event: happened.Committed) -> None:
        for counts in (self, entity):
            counts.rows_written += event.rows
            counts.files += event.files
            counts.bytes_written += event.bytes
            counts.rescued += event.rescued
            counts.rejected += event.rejected

    def _bucket(self, at: datetime) -> Bucket:
        second = int(at.timestamp())
        if not self._buckets or self._buckets[-1].second < second:
            self._buckets.append(Bucket(second))
        return self._buckets[-1]

    def seconds(self) -> float:
        """Return how long the run has taken, to its last event."""
        return (self._last_at - self._started_at).total_seconds() if self._last_at and self._started_at else 0.0

    def entity(self, tenant: int, name: str) -> EntityProgress | None:
        """Return one entity's progress, None where nothing has been heard of it."""
        return self._entities.get((tenant, name))

    def active_entities(self) -> list[EntityProgress]:
        """Return the entities under way, the oldest first."""
        with self._lock:
            return [entity for entity in self._entities.values() if entity.status is None]

    def finished_entities(self) -> list[EntityProgress]:
        """Return all entities heard of, by tenant and name."""
        with self._lock:
            return [entity for _, entity in sorted(self._entities.items())]

    def waits(self, now: datetime) -> list[tuple[Wait, float]]:
        """Return the waits over five seconds that last, with the seconds that are left."""
        with self._lock:
            current = [(wait, wait.until_seconds - now.timestamp()) for wait in self._waits.values()]
        return [(wait, left) for wait, left in current if left > 0]

    def requests_per_second(self, now: datetime) -> float:
        """Return the requests a second over the last ten seconds, or since the start where that is less."""
        with self._lock:
            second = int(now.timestamp())
            recent = sum(bucket.requests for bucket in self._buckets if second - RATE_SECONDS <= bucket.second < second)
            since_start = now.timestamp() - self._started_at.timestamp() if self._started_at else RATE_SECONDS
        return recent / max(1.0, min(RATE_SECONDS, since_start))

    def seconds_left(self) -> tuple[float, bool] | None:
        """Return the estimated rest in seconds and whether it covers all that is under way; None before it can be told.

        The rest covers entities whose total the service told, at the rate of the last two minutes and at least twenty one-second buckets.
        """
        active = self.active_entities()
        known = [entity for entity in active if entity.rows_expected is not None]
        with self._lock:
            buckets = list(self._buckets)
        rows = sum(bucket.rows for bucket in buckets)
        if not known or not rows or buckets[-1].second - buckets[0].second < FEWEST_BUCKETS:
            return None
        rate = rows / (buckets[-1].second - buckets[0].second + 1)
        rest = sum(max(0, (entity.rows_expected or 0) - entity.rows_read) for entity in known)
        # with one `_entities` entry per entity heard of, the ones not yet begun are the difference to the selection
        not_begun = self.entities_selected - len(self._entities)
        return rest / rate, len(known) == len(active) and not_begun <= 0

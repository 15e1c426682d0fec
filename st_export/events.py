"""What happens in a run, as frozen events in the past tense. Progress, log, summary and report are listeners.

Emitting is synchronous and cheap. No event holds a secret, a row or a live object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root: when it happened (wall clock, UTC)."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run began: its id, the command and the selected entities of each tenant."""

    run: str
    command: str
    tenants: tuple[int, ...]
    entities: int
    requests_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A run ended with this outcome and exit code."""

    run: str
    outcome: Literal["complete", "partial", "failed", "stopped"]
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityEvent(Event):
    """Something about one entity of one tenant."""

    tenant: int
    entity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityStarted(EntityEvent):
    """Reading of an entity began; `rows_expected` where the service told a total."""

    kind: str
    rows_expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOpened(EntityEvent):
    """An entity is about to be brought through this window, whatever parts it is read in; None is the beginning of all."""

    window: tuple[datetime | None, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFinished(EntityEvent):
    """One attempt was answered or failed: status (0: no answer), bytes on the wire, seconds, and whether it will be repeated."""

    status: int
    wire_bytes: int
    seconds: float
    will_retry: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFetched(EntityEvent):
    """A page is here: its size uncompressed in bytes."""

    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDecoded(EntityEvent):
    """A page became rows; `rescued` rows have something in `_rescued`, `rejected` records went to the rejects."""

    rows: int
    rescued: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRenewed(Event):
    """A tenant's token was fetched; it lives this long."""

    tenant: int
    lifetime_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantHeldBack(Event):
    """All calls of a tenant wait, because the service said so (429, 503) or is being probed."""

    tenant: int
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """Something waits for more than a moment: who, why, for how long."""

    tenant: int
    entity: str | None
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStepped(EntityEvent):
    """A commit reached a labelled step; a kill test kills here.

    Steps in order: `intent`, `file` (once a data file, before it is durable under its final name), `files` (all durable),
    `manifest`, `checkpoint`, `cleared` (the intent is gone).
    """

    unit: str
    step: Literal["intent", "file", "files", "manifest", "checkpoint", "cleared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed(EntityEvent):
    """A unit is in the lake: new rows, files, their bytes and the manifest's path (None where only the position moved)."""

    unit: str
    rows: int
    files: int
    bytes: int
    rescued: int
    rejected: int
    manifest: str | None
    window: tuple[datetime | None, datetime | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFinished(EntityEvent):
    """An entity ended: ok, failed or skipped, with the error and what may be done."""

    status: Literal["ok", "failed", "skipped"]
    error: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something worth a line in the log: a parent that is gone, a feed restarted by date, a listener dropped."""

    level: Literal["debug", "info", "warning", "error"]
    text: str
    tenant: int | None = None
    entity: str | None = None


Listener = Callable[[Event], None]


class Events:
    """The stream of events of a run: hands each to every listener, in the order of their registration."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def listen(self, listener: Listener) -> None:
        """Add a listener for all events from now on."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Hand the event to all listeners; an exception of one of ours is a bug and passes through."""
        for listener in self._listeners:
            listener(event)

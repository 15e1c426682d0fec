"""What the stages hand on: Request → Page → rows → DataFile, and the Position that a commit moves.

Plain frozen records. Times are aware UTC; intervals are half-open `[start, end)`; sizes are bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NewType

EntityName = NewType("EntityName", str)
TenantId = NewType("TenantId", int)
RunId = NewType("RunId", str)
Json = Any
"""A decoded JSON value; the only place where `Any` enters."""


def utc_text(moment: datetime) -> str:
    """Return a UTC moment in RFC 3339 with `Z`, microseconds only where there are any."""
    text = moment.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


def utc_moment(text: str) -> datetime:
    """Return the moment of an RFC 3339 text that `utc_text` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open interval `[start, end)` of UTC time; `end` None means that it is open."""

    start: datetime
    end: datetime | None = None

    def label(self) -> str:
        """Return the window as a part of a file name: `20261101T000000Z-20261102T000000Z`."""
        end = self.end.strftime("%Y%m%dT%H%M%SZ") if self.end else "open"
        return f"{self.start.strftime('%Y%m%dT%H%M%SZ')}-{end}"


@dataclass(frozen=True, slots=True)
class Request:
    """One call to the API, without secrets: they are added where it is sent.

    `path` is absolute with the tenant filled in; `query` values are unencoded text; `body` is JSON bytes of a POST.
    `shrinkable` asks for `PageTimedOut` / `PageUnreadable` early, so that the caller can ask for a smaller page.
    """

    entity: EntityName
    path: str
    query: tuple[tuple[str, str], ...] = ()
    method: Literal["GET", "POST"] = "GET"
    body: bytes | None = None
    shrinkable: bool = False

    def describe(self) -> str:
        """Return the request as one line for logs and rejects."""
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.method} {self.path}{'?' + query if query else ''}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a page says about itself, and where its records lie.

    `records` are the byte offsets `[start, end)` of the JSON array of records inside the body, brackets included;
    of a single object or bare value, of that value (`shape` tells which).
    """

    shape: Literal["array", "object", "value"]
    records: tuple[int, int]
    has_more: bool | None = None
    continue_from: str | None = None
    page: int | None = None
    page_size: int | None = None
    total_count: int | None = None
    fields: tuple[str, ...] | None = None


@dataclass(slots=True)
class Page:
    """One answer of the API: `body` uncompressed, empty once the page has been released, and what is the same for all its rows.

    `constants` are columns of ours that the request determines (`_parent_id`, `_window_from`, `_segment`, …).
    """

    request: Request
    body: bytes
    envelope: Envelope
    received_at: datetime
    constants: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unit:
    """What is committed at once. Its name is a function of the work: scope, epoch and label, never of the attempt.

    `scope` is `run` or a backfill's `b<8 hex>`; `epoch` counts the passes of the entity in this scope (a reset starts a
    new one); `label` says which part of the pass it is (a window, the digest of a token, a day, a parent range).
    """

    tenant: TenantId
    entity: EntityName
    scope: str
    epoch: int
    label: str

    @property
    def name(self) -> str:
        """Return the unit's name, the stem of its files and manifest: `run-0001-20261101T000000Z-open`."""
        return f"{self.scope}-{self.epoch:04d}-{self.label}"


def digest_label(text: str, prefix: str = "t") -> str:
    """Return a short label for a text that must not stand in a file name (a feed's token)."""
    return prefix + hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a unit: `path` in the lake, its partition value (`2026-11-23`, `2026-11` or None), rows and bytes.

    Until it is durable it lies at `local`, a file on this machine; `sha256` is over its bytes.
    """

    path: str
    partition: str | None
    rows: int
    bytes: int
    sha256: str
    local: str | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of an entity from start to end, while it is under way.

    `started` is the service's time at its first start (kept over resumes); `windows` are what is still to be read, in
    order, the open tail last; `after` is the last parent id or day that is done, for what goes in that order; `newest` is the
    latest modification seen so far.
    """

    started: datetime
    until: datetime | None = None
    windows: tuple[Window, ...] = ()
    after: str | None = None
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where an entity stands in one scope.

    `epoch` is the number of the current or last pass; `token` a feed's `continueFrom`; `watermark` the time before which
    all is in the lake; `current` the pass that is under way, None between passes; `done` that a backfill is complete.
    """

    epoch: int = 0
    token: str | None = None
    watermark: datetime | None = None
    current: Pass | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    """A record or page that could not be read: raw bytes, the request in one line, and the reason."""

    entity: EntityName
    request: str
    reason: str
    raw: bytes

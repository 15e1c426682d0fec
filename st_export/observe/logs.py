"""Log lines from events, as text or as one JSON object a line with stable keys; and the last net that no secret passes.

Keys of every JSON line: `time`, `level`, `event`, `message`; then the event's own fields (`tenant`, `entity`, `seconds`, …) under
their names in `st_export.events`. Events hold no secrets: the redaction is for texts that came from outside, such as a server's error.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import orjson

from st_export.flow import utc_text
from st_export.observe.wording import LEVELS, Level, event_fields, event_level, event_message, event_name, event_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from st_export import events as happened

REDACTED = "[redacted]"
_BEARER = re.compile(r"(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_LONGEST_BASE64_TAIL = 2


def redact(text: str, secrets: Sequence[str]) -> str:
    """Return the text without the secrets: raw, percent-encoded, JSON-escaped, in base64 at any offset; and without bearer tokens."""
    for form in _forms(tuple(secrets)):
        text = text.replace(form, REDACTED)
    return _BEARER.sub(rf"\1{REDACTED}", text)


@lru_cache(maxsize=8)
def _forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    found: set[str] = set()
    for secret in secrets:
        if not secret:
            continue
        escaped = orjson.dumps(secret).decode()[1:-1]
        found |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), escaped, repr(secret)[1:-1]}
        found |= {form.replace("%", "%25") for form in (quote(secret, safe=""),) if "%" in form}
        found |= {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote(secret, safe=""))}
        found |= _base64_forms(secret.encode())
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _base64_forms(secret: bytes) -> set[str]:
    """Return what a secret looks like inside base64, after 0, 1 or 2 bytes of something else: only the characters it alone decides."""
    forms: set[str] = set()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret).decode()
        first = (offset * 8 + 5) // 6
        last = (offset + len(secret)) * 8 // 6
        inner = encoded[first:last]
        if len(inner) > _LONGEST_BASE64_TAIL * 3:
            forms |= {inner, inner.replace("+", "-").replace("/", "_"), quote(inner, safe="")}
    return forms


def log_line(level: Level, event: str, message: str, fields: Mapping[str, Any], at: datetime | None = None) -> str:
    """Return one JSON log line, without its line break."""
    head = {"time": utc_text(at or datetime.now(UTC)), "level": level, "event": event, "message": message}
    return orjson.dumps(head | dict(fields), default=_plain).decode()


def _plain(value: object) -> object:
    return utc_text(value) if isinstance(value, datetime) else str(value)


class LogWriter:
    """A listener that writes events of a level and above as lines; a write that fails ends the run as any fault does.

    Args:
        stream: where lines go.
        log_format: `text` or `json`.
        level: the least level that is written.
        secrets: what must not pass.

    """

    def __init__(self, stream: TextIO, *, log_format: str = "text", level: Level = "info", secrets: Sequence[str] = ()) -> None:
        self._stream = stream
        self._log_format = log_format
        self._least = LEVELS.index(level)
        self._secrets = tuple(secrets)

    def __call__(self, event: happened.Event) -> None:
        """Write the event, if it matters enough."""
        level = event_level(event)
        if LEVELS.index(level) >= self._least:
            self.write(event, level, event_name(event), event_message(event), event_fields(event))

    def write(self, event: happened.Event, level: Level, name: str, message: str, fields: Mapping[str, Any]) -> None:
        """Write one line about an event's time and place, if its level matters enough."""
        if LEVELS.index(level) < self._least:
            return
        if self._log_format == "json":
            line = log_line(level, name, message, fields, event.at)
        else:
            place = event_place(event)
            line = f"{event.at.astimezone(UTC):%H:%M:%S} {level:<7} {place + ': ' if place else ''}{message}"
        self._stream.write(redact(line, self._secrets) + "\n")
        self._stream.flush()

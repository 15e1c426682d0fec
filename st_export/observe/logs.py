"""Log lines from events, as text or as one JSON object a line with stable keys; and the last net that no secret passes.

Keys of every JSON line: `time`, `level`, `event`, `message`; then the event's own fields (`tenant`, `entity`, `seconds`, …) under
their names in `st_export.events`. Events hold no secrets: the redaction is for texts that came from outside, such as a server's error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from st_export.config.redaction import redact
from st_export.flow import utc_text
from st_export.observe.wording import LEVELS, Level, event_fields, event_level, event_message, event_name, event_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from st_export import events as happened


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

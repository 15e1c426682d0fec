"""Each event in words: its stable name, how much it matters, its sentence, its place. One table for log, lines and live view."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Literal

from st_export import events as happened
from st_export.observe.progress import LONG_WAIT_SECONDS
from st_export.observe.quantities import bytes_text, plural, seconds_text

if TYPE_CHECKING:
    from collections.abc import Callable

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
_INNER_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_IN_THE_HEAD = frozenset({"at", "level", "text"})
"""Fields that stand in the head of a line under other names: time, level, message."""


def event_name(event: happened.Event) -> str:
    """Return the stable name of an event's kind: `entity_finished`."""
    return _INNER_CAPITAL.sub("_", type(event).__name__).lower()


def event_level(event: happened.Event) -> Level:
    """Return how much an event matters."""
    match event:
        case happened.Noted():
            return event.level
        case happened.EntityFinished():
            return "error" if event.status == "failed" else "warning" if event.status == "skipped" else "info"
        case happened.RunFinished():
            return "error" if event.outcome == "failed" else "info"
        case happened.TenantHeldBack() | happened.Waiting():
            return "info" if event.seconds > LONG_WAIT_SECONDS else "debug"
        case happened.RunStarted():
            return "info"
    return "debug"


def event_fields(event: happened.Event) -> dict[str, Any]:
    """Return an event's fields, without those that are None and those that the head of a line has."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event) if field.name not in _IN_THE_HEAD}
    return {name: value for name, value in fields.items() if value is not None}


def event_place(event: happened.Event) -> str:
    """Return where an event belongs: `tenant 1001, jpm.jobs`; empty for the run as a whole."""
    tenant, entity = getattr(event, "tenant", None), getattr(event, "entity", None)
    return ", ".join(part for part in (f"tenant {tenant}" if tenant is not None else "", entity or "") if part)


def event_message(event: happened.Event) -> str:
    """Return an event as a sentence for people, without its place; an event of a kind unknown here is told by its name."""
    sentence = _SENTENCES.get(type(event))
    return sentence(event) if sentence else event_name(event).replace("_", " ")


def _run_started(event: happened.RunStarted) -> str:
    selected, tenants = plural(event.entities, "entity", "entities"), plural(len(event.tenants), "tenant")
    return f"{event.command} {event.run} started: {selected} of {tenants}, at most {event.requests_per_second:g} requests/s"


def _entity_started(event: happened.EntityStarted) -> str:
    expected = f", {plural(event.rows_expected, 'row')} expected" if event.rows_expected is not None else ""
    return f"started ({event.kind}){expected}"


def _window_opened(event: happened.WindowOpened) -> str:
    start, end = event.window
    return f"brings what was modified {f'from {start:%Y-%m-%dT%H:%M:%SZ} on' if start else 'ever'}, before {end:%Y-%m-%dT%H:%M:%SZ}"


def _entity_finished(event: happened.EntityFinished) -> str:
    error = f": {event.error}" if event.error else ""
    return f"{event.status}{error}{f' (hint: {event.hint})' if event.hint else ''}"


def _request_finished(event: happened.RequestFinished) -> str:
    again = ", will be repeated" if event.will_retry else ""
    reason = f": {event.reason}" if event.reason else ""
    return f"answer {event.status or 'none'} after {event.seconds:.2f}s, {event.wire_bytes} bytes{again}{reason}"


def _committed(event: happened.Committed) -> str:
    return f"{event.unit} committed: {plural(event.rows, 'row')}, {plural(event.files, 'file')}, {bytes_text(event.bytes)}"


_SENTENCES: dict[type[happened.Event], Callable[[Any], str]] = {
    happened.RunStarted: _run_started,
    happened.RunFinished: lambda event: f"run {event.run} ended: {event.outcome}, exit code {event.exit_code}",
    happened.EntityStarted: _entity_started,
    happened.WindowOpened: _window_opened,
    happened.EntityFinished: _entity_finished,
    happened.RequestFinished: _request_finished,
    happened.PageFetched: lambda event: f"page of {event.bytes} bytes",
    happened.PageDecoded: lambda event: f"{plural(event.rows, 'row')} decoded",
    happened.TokenRenewed: lambda event: f"token renewed for {seconds_text(event.lifetime_seconds)}",
    happened.TenantHeldBack: lambda event: f"all calls are held back {seconds_text(event.seconds)}: {event.reason}",
    happened.Waiting: lambda event: f"waits {seconds_text(event.seconds)}: {event.reason}",
    happened.CommitStepped: lambda event: f"{event.unit}: {event.step}",
    happened.Committed: _committed,
    happened.Noted: lambda event: event.text,
}

"""Position ⇄ JSON, as it stands in checkpoints and manifests: text that a person can read, checked as it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export.flow import Json, Pass, Position, Window, utc_moment, utc_text

if TYPE_CHECKING:
    from datetime import datetime


def position_json(position: Position) -> dict[str, Json]:
    """Return a position as a JSON object; what is not set is left out."""
    document: dict[str, Json] = {"epoch": position.epoch}
    if position.token is not None:
        document["token"] = position.token
    if position.watermark is not None:
        document["watermark"] = utc_text(position.watermark)
    if position.done:
        document["done"] = True
    if position.current is not None:
        document["current"] = _pass_json(position.current)
    return document


def position_from(document: Json) -> Position:
    """Return the position of a JSON object that `position_json` made. Raises `ValueError` where anything is of a wrong type."""
    fields = object_of(document)
    if fields.get("done", False) not in (True, False):
        raise ValueError("done is no boolean")
    return Position(
        epoch=integer_of(fields, "epoch"),
        token=text_of(fields, "token"),
        watermark=moment_of(fields, "watermark"),
        current=_pass_from(fields["current"]) if "current" in fields else None,
        done=bool(fields.get("done", False)),
    )


def object_of(document: Json) -> dict[str, Json]:
    """Return the JSON object. Raises `ValueError` for any other value."""
    if not isinstance(document, dict):
        raise ValueError("an object is missing")  # noqa: TRY004 -- one error for all that is wrong in a damaged file
    return document


def integer_of(fields: dict[str, Json], name: str) -> int:
    """Return a whole number that must be there and not negative. Raises `ValueError`."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is no whole number")
    return value


def text_of(fields: dict[str, Json], name: str) -> str | None:
    """Return a text, None where it is not there. Raises `ValueError`."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def moment_of(fields: dict[str, Json], name: str) -> datetime | None:
    """Return a UTC moment, None where it is not there. Raises `ValueError`."""
    value = text_of(fields, name)
    return None if value is None else utc_moment(value)


def window_json(window: Window) -> list[Json]:
    """Return a window as `[from, to]`, `to` null where it is open."""
    return [utc_text(window.start), None if window.end is None else utc_text(window.end)]


def window_from(document: Json) -> Window:
    """Return the window of `[from, to]`. Raises `ValueError`."""
    if not isinstance(document, list) or len(document) != 2:
        raise ValueError("a window is no pair of times")
    ends = {"start": document[0], "end": document[1]}
    start = moment_of(ends, "start")
    if start is None:
        raise ValueError("a window has no start")
    return Window(start, moment_of(ends, "end"))


def _pass_json(current: Pass) -> dict[str, Json]:
    document: dict[str, Json] = {"started": utc_text(current.started)}
    if current.until is not None:
        document["until"] = utc_text(current.until)
    if current.windows:
        document["windows"] = [window_json(window) for window in current.windows]
    if current.after is not None:
        document["after"] = current.after
    if current.newest is not None:
        document["newest"] = utc_text(current.newest)
    return document


def _pass_from(document: Json) -> Pass:
    fields = object_of(document)
    started = moment_of(fields, "started")
    windows = fields.get("windows", [])
    if started is None or not isinstance(windows, list):
        raise ValueError("a pass has no start, or its windows are no list")
    return Pass(
        started=started,
        until=moment_of(fields, "until"),
        windows=tuple(window_from(window) for window in windows),
        after=text_of(fields, "after"),
        newest=moment_of(fields, "newest"),
    )

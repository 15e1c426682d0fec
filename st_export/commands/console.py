"""What goes where: stdout carries what was asked for (documents, tables, text), stderr the rest. One style of errors.

Colour only on a terminal and without `NO_COLOR`; no secret passes an error's text.
"""

# ruff: noqa: PLC0415 - a quiet run draws nothing, and need not load what draws

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

import orjson

from st_export.config.redaction import redact
from st_export.observe.logs import log_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from st_export.commands.options import Globals
    from st_export.flow import Json


def print_json(document: Json) -> None:
    """Write one JSON document to stdout, indented, keys in the order given."""
    write_text(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode() + "\n")


def write_text(text: str) -> None:
    """Write text to stdout as it is, UTF-8 whatever the locale says."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[str] = ()) -> None:
    """Write a table to stdout; None is an empty cell. Nothing is cut where stdout is no terminal."""
    from rich.console import Console

    from st_export.observe.table import print_table

    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    print_table(Console(highlight=False), headers, cells, numbers=numbers)


def say(text: str) -> None:
    """Write a line for people to stdout."""
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text(text), soft_wrap=True)


def note(text: str, settings: Globals) -> None:
    """Write a line for people to stderr, unless quiet."""
    from rich.text import Text

    if not settings.quiet:
        stderr_console().print(Text(text), soft_wrap=True)


def stderr_console() -> Console:
    """Return the console of stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_error(text: str, hint: str | None, settings: Globals, error: BaseException | None = None) -> None:
    """Tell an error on stderr: `error: …`, `hint: …` on a line of its own, and a traceback where one is handed in."""
    details = "".join(traceback.format_exception(error)) if error else ""
    text, hint, details = (redact(part, settings.secrets) for part in (text, hint or "", details))
    if settings.log_format == "json":
        fields = {"hint": hint or None, "traceback": details or None}
        sys.stderr.write(log_line("error", "error", text, {name: value for name, value in fields.items() if value}) + "\n")
        return
    from rich.text import Text

    console = stderr_console()
    if details:
        console.print(Text(details.rstrip(), style="dim"), soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)
    if hint:
        console.print(Text.assemble(("hint: ", "bold cyan"), hint), soft_wrap=True)

"""`st-export plan`: what a run would do, before it does."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Globals, check_window, selection_options, window_options
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.flow import Json


@make_command("plan", "st-export plan", "st-export plan --from 2024-01-01 --to 2025-01-01 --select 'accounting.*'", "st-export plan --json")
@window_options(required=False)
@selection_options
@click.option("--split", type=click.IntRange(2, 64), metavar="N", help="With --from: plan a backfill that reads each feed from N dates.")
@click.pass_obj
def command(settings: Globals, /, start: datetime | None, end: datetime | None, as_json: bool, **options: Any) -> int:
    """Plan without reading: what run or backfill would do, and how long it would take.

    With `--from` it plans a backfill. It writes nothing and asks at most one request an entity. Rows are unknown where the service does not
    tell: feeds without a list, reports, children.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import configured, request_for, watched
    from st_export.commands.console import print_json

    check_window(start, end)
    config = configured(settings)
    from st_export.run.preview import preview

    request = request_for(config, "backfill" if start else "run", **options, backfill_from=start, backfill_to=end)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(preview, config, request, events))
    if as_json:
        print_json(document)
    else:
        _tell(document)
    return 0


def _tell(document: Json) -> None:
    from st_export.commands.console import say, show_table
    from st_export.observe.quantities import count_text, plural, seconds_text

    for tenant in document["tenants"]:
        say(f"tenant {tenant['id']}")
        headers = ("entity", "kind", "window", "rows", "requests", "seconds", "note")
        rows = [
            (
                entity["name"],
                entity["kind"],
                window_text(entity["window"]),
                None if entity["rows"] is None else count_text(entity["rows"]),
                None if entity["requests"] is None else count_text(entity["requests"]),
                None if entity["seconds"] is None else f"{entity['seconds']:.1f}",
                entity.get("note") or entity.get("reason"),
            )
            for entity in tenant["entities"]
        ]
        show_table(headers, rows, numbers=("rows", "requests", "seconds"))
        seconds = "" if tenant["seconds"] is None else f", {seconds_text(tenant['seconds'])} at the limit"
        say(f"in all: {plural(tenant['requests'] or 0, 'request')}{seconds}; empty: the service does not tell before it is read")


def window_text(window: Json) -> str:
    """Return a window for people: `2026-11-01 … now`."""
    if not window:
        return "all"
    start, end = (text.removesuffix("T00:00:00Z") if text else None for text in window)
    return f"{start or 'beginning'} … {end or 'now'}"

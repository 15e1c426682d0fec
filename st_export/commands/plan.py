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
    from st_export.maintenance import preview

    request = request_for(config, "backfill" if start else "run", **options, backfill_from=start, backfill_to=end)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(preview, config, request, events))
    if as_json:
        print_json(document)
    else:
        _tell(document)
        if settings.verbosity:
            _tell_left_out(document)
    return 0


def _tell(document: Json) -> None:
    from st_export.commands.console import say, show_table
    from st_export.observe.quantities import bytes_text, count_text, plural, seconds_text
    from st_export.plan.estimate import FEED_PAGE_ROWS

    headers = ("entity", "kind", "window", "rows", "requests", "seconds", "note")
    for tenant in document["tenants"]:
        say(f"tenant {tenant['id']}")
        show_table(headers, [_row(entity) for entity in tenant["entities"]], numbers=headers[3:6])
        unknown = tenant["unknown"]
        more = f"; more for {plural(unknown, 'entity', 'entities')} of which the service does not tell all" if unknown else ""
        size = f", about {bytes_text(tenant['bytes'])} of JSON" if tenant["bytes"] else ""
        say(
            f"in all about {plural(tenant['rows'], 'row')}{size}, {plural(tenant['requests'], 'request')}, "
            f"{seconds_text(tenant['seconds'])} at the limit{more}"
        )
        if any(entity["kind"] == "feed" for entity in tenant["entities"]):
            say(f"feeds: reckoned with {FEED_PAGE_ROWS:,} rows a page, which the service does not tell")
        for kind, entities in _by_kind(tenant["left_out"]).items():
            requests = sum(entity["requests"] or 0 for entity in entities)
            cost = f"at least {count_text(requests)} requests" if requests else "cost unknown"
            say(f"left out by `kinds`: {kind}, {plural(len(entities), 'entity', 'entities')}, {cost} (-v lists them)")


def _tell_left_out(document: Json) -> None:
    from st_export.commands.console import say, show_table

    headers = ("entity", "kind", "window", "rows", "requests", "seconds", "note")
    for tenant in document["tenants"]:
        if tenant["left_out"]:
            say(f"tenant {tenant['id']}: left out by `kinds`")
            show_table(headers, [_row(entity) for entity in tenant["left_out"]], numbers=headers[3:6])


def _row(entity: Json) -> tuple[object, ...]:
    from st_export.observe.quantities import count_text

    return (
        entity["name"],
        entity["kind"],
        window_text(entity["window"]),
        None if entity["rows"] is None else count_text(entity["rows"]),
        None if entity["requests"] is None else count_text(entity["requests"]),
        None if entity["seconds"] is None else f"{entity['seconds']:.1f}",
        entity["note"],
    )


def _by_kind(entities: list[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for entity in entities:
        found.setdefault(entity["kind"], []).append(entity)
    return found


def window_text(window: Json) -> str:
    """Return a window for people: `2026-11-01 … now`."""
    if not window:
        return "all"
    start, end = (text.removesuffix("T00:00:00Z") if text else None for text in window)
    return f"{start or 'beginning'} … {end or 'now'}"

"""`st-export status`: where each entity stands, and how fresh the lake is."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Duration, Globals, json_option, lake_option, tenant_option
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from st_export.flow import Json

USUALLY_OLD_SECONDS = 26 * 3600.0
"""An entity whose last run is longer ago stands out in the table: a nightly job, and two hours for it to run late."""

EXIT_OLD = 4

MOST_TOLD = 10
"""Old entities that an alert names; the table has all."""


@make_command("status", "st-export status", "st-export status --fail-if-older 26h", "st-export status --lake ./demo-lake")
@click.option(
    "--fail-if-older", "limit_seconds", type=Duration(), metavar="DURATION",
    help="Exit 4 if the last good run of an entity is longer ago, or there was none.",
)  # fmt: skip
@lake_option
@tenant_option
@json_option
@click.pass_obj
def command(settings: Globals, /, limit_seconds: float | None, lake: str | None, tenants: tuple[int, ...], as_json: bool) -> int:
    """Show where each entity stands: position, rows, last run, last error.

    Reads the lake only. `newest` is the time of the newest record; an entity that nobody changes stays old there and is none the worse.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import check_tenants, configured_lake
    from st_export.commands.console import note, print_json

    config = configured_lake(settings, lake)
    from st_export.maintenance import status

    document: dict[str, Any] = anyio.run(partial(status, config, check_tenants(config, tenants)))
    now = datetime.now(UTC)
    if as_json:
        print_json(document)
    else:
        _tell(document, now, limit_seconds if limit_seconds is not None else USUALLY_OLD_SECONDS)
    if limit_seconds is None:
        return 0
    old = old_entities(document, now, limit_seconds)
    for text in old[:MOST_TOLD]:
        note(text, settings)
    if len(old) > MOST_TOLD:
        note(f"and {len(old) - MOST_TOLD:,} more", settings)
    return EXIT_OLD if old else 0


def old_entities(document: Json, now: datetime, limit_seconds: float) -> list[str]:
    """Return a sentence for each tenant without any run and each entity whose last good run is longer ago than the limit."""
    found: list[str] = []
    for tenant in document["tenants"]:
        if not tenant["entities"]:
            found.append(f"tenant {tenant['id']}: nothing has been exported")
        for entity in tenant["entities"]:
            reason = _reason_to_worry(entity, now, limit_seconds)
            if reason:
                found.append(f"tenant {tenant['id']}, {entity['name']}: {reason}")
    return found or ([] if document["tenants"] else ["nothing has been exported"])


def _reason_to_worry(entity: Json, now: datetime, limit_seconds: float) -> str | None:
    from st_export.observe.quantities import seconds_text

    age = _age_seconds(entity["last_run"], now)
    if age is None:
        return "it has had no run"
    if age > limit_seconds:
        return f"its last run is {seconds_text(age)} ago"
    newest_age = _age_seconds(entity["newest"], now)
    if entity["last_outcome"] == "failed" and (newest_age is None or newest_age > limit_seconds):
        return f"its last run failed: {entity['last_error']}"
    return None


def _age_seconds(moment_text: str | None, now: datetime) -> float | None:
    if not moment_text:
        return None
    from st_export.config.values import moment

    return (now - moment(moment_text)).total_seconds()


def _tell(document: Json, now: datetime, limit_seconds: float) -> None:
    from st_export.commands.console import say, show_table
    from st_export.observe.quantities import count_text

    if not document["tenants"]:
        say("nothing has been exported yet")
    headers = ("entity", "position", "rows", "newest record", "last run", "outcome", "error")
    for tenant in document["tenants"]:
        say(f"tenant {tenant['id']}")
        rows = [
            (
                entity["name"],
                _position_text(entity["position"]),
                count_text(entity["rows"] or 0),
                _ago(entity["newest"], now),
                _ago(entity["last_run"], now),
                "stale" if entity["last_outcome"] == "ok" and _reason_to_worry(entity, now, limit_seconds) else entity["last_outcome"],
                entity["last_error"],
            )
            for entity in tenant["entities"]
        ]
        show_table(headers, rows, numbers=("rows",))


def _ago(moment_text: str | None, now: datetime) -> str:
    from st_export.observe.quantities import seconds_text

    age = _age_seconds(moment_text, now)
    if age is None:
        return ""
    return f"{seconds_text(age)} ago" if age >= 0 else f"in {seconds_text(-age)}"


def _position_text(position: Json) -> str:
    """Return a position for people: up to when all is in the lake, and what is under way."""
    if not position:
        return ""
    current = position.get("current")
    under_way = f"under way since {_day(current['started'])}" if current else ""
    done = f"up to {_day(position['watermark'])}" if position.get("watermark") else ""
    return "; ".join(part for part in (done, under_way) if part) or "from the beginning"


def _day(moment_text: str) -> str:
    return moment_text.replace("T", " ").partition(".")[0].removesuffix("Z")

"""`st-export check`: whether the credentials work, what the app may read, whether the output can be written."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Globals, selection_options
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from st_export.flow import Json


@make_command("check", "st-export check", "st-export check --tenant 1001 --select 'jpm.*'", "st-export check --json | jq .ok")
@selection_options
@click.pass_obj
def command(settings: Globals, /, as_json: bool, **options: Any) -> int:
    """Test credentials, permissions and output with one small request an entity.

    Exit codes: 0 all well, refusals under a wildcard included; 2 the output; 3 credentials, or nothing may be read; 4 something failed.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import configured, request_for, watched
    from st_export.commands.console import print_json

    config = configured(settings)
    from st_export.run.probe import check

    request = request_for(config, "run", **options)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(check, config, request, events))
    if as_json:
        print_json(document)
    else:
        _tell(document, every=bool(settings.verbosity))
    return exit_code_of(document, request.select or config.select)


def exit_code_of(document: Json, select: tuple[str, ...]) -> int:
    """Return the exit code of a check; an entity that is refused counts as failed where it was named in full."""
    tenants = document["tenants"]
    entities = [entity for tenant in tenants for entity in tenant["entities"]]
    if not document["output"]["ok"]:
        return 2
    if not any(entity["status"] == "ok" for entity in entities):
        return 3
    has_failed = any(entity["status"] == "failed" or (entity["status"] == "refused" and entity["name"] in select) for entity in entities)
    return 4 if has_failed or not all(tenant["token"]["ok"] for tenant in tenants) else 0


def _tell(document: Json, *, every: bool) -> None:
    """Write the table: what is refused or failed, and with -v everything."""
    from st_export.commands.console import say, show_table
    from st_export.observe.quantities import plural

    for tenant in document["tenants"]:
        entities = tenant["entities"]
        token = tenant["token"]
        say(f"tenant {tenant['id']}: {'token received' if token['ok'] else 'no token: ' + str(token['error'])}")
        shown = [entity for entity in entities if every or entity["status"] != "ok"]
        if shown:
            headers = ("entity", "status", "HTTP", "reason", "remedy")
            rows = [(entity["name"], entity["status"], entity["http_status"], entity["reason"], entity["remedy"]) for entity in shown]
            show_table(headers, rows, numbers=("HTTP",))
        readable = sum(entity["status"] == "ok" for entity in entities)
        say(f"{readable:,} of {plural(len(entities), 'entity', 'entities')} can be read")
    output = document["output"]
    say("output: can be written" if output["ok"] else f"output: {output['error']}")

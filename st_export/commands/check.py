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
    from st_export.maintenance import check

    request = request_for(config, "run", **options)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(check, config, request, events))
    if as_json:
        print_json(document)
    else:
        _tell(document, every=bool(settings.verbosity))
    return exit_code_of(document)


def exit_code_of(document: Json) -> int:
    """Return the exit code of a check; an entity that is refused counts as failed where it was named in full."""
    tenants = document["tenants"]
    entities = [entity for tenant in tenants for entity in tenant["entities"]]
    if not document["output"]["ok"]:
        return 2
    if not any(entity["status"] == "ok" for entity in entities):
        return 3
    has_failed = any(entity["status"] == "failed" or (entity["status"] == "refused" and entity["named"]) for entity in entities)
    return 4 if has_failed or not all(tenant["token"]["ok"] for tenant in tenants) else 0


def _tell(document: Json, *, every: bool) -> None:
    """Write what works and what does not, each refusal with its reason and each remedy once; with -v every entity."""
    from st_export.commands.console import say
    from st_export.observe.quantities import plural

    for tenant in document["tenants"]:
        token, entities = tenant["token"], tenant["entities"]
        if not token["ok"]:
            say(f"tenant {tenant['id']}: no token: {token['error']}")
            _hint(token["remedy"])
            continue
        readable = sum(entity["status"] == "ok" for entity in entities)
        say(f"tenant {tenant['id']}: token received; {readable:,} of {plural(len(entities), 'entity', 'entities')} can be read")
        if tenant["error"]:
            say(tenant["error"])
            _hint(tenant["remedy"])
        if every or not tenant["error"]:
            _tell_entities([entity for entity in entities if every or entity["status"] != "ok"])
    output = document["output"]
    say(f"output {output['url']}: {'can be written' if output['ok'] else output['error']}")
    _hint(output["remedy"])
    say("all well" if document["ok"] else "not ready: see above")


def _tell_entities(entities: list[Json]) -> None:
    from st_export.commands.console import show_table

    if entities:
        rows = [(entity["name"], entity["status"], entity["http_status"], entity["reason"]) for entity in entities]
        show_table(("entity", "status", "HTTP", "reason"), rows, numbers=("HTTP",))
    for remedy in dict.fromkeys(entity["remedy"] for entity in entities):
        _hint(remedy)


def _hint(text: str | None) -> None:
    from st_export.commands.console import say

    if text:
        say(f"hint: {text}")

"""`st-export reset`: set positions back, so that the next run reads again."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Date, Globals, complete_entities, json_option, tenant_option
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from datetime import datetime


@make_command("reset", "st-export reset jpm.jobs", "st-export reset 'crm.*' --to 2026-11-01 --tenant 1001")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_entities)
@click.option("--to", type=Date(), metavar="DATE", help="Read again from this day or time on, UTC; default: from the beginning.")
@tenant_option
@json_option
@click.pass_obj
def command(settings: Globals, /, names: tuple[str, ...], to: datetime | None, tenants: tuple[int, ...], as_json: bool) -> int:
    """Set the position of entities back, so that the next run reads them again.

    NAME is an entity or a glob. Nothing in the lake is removed: the next run adds only the versions that the lake lacks.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import check_tenants, configured, watched
    from st_export.commands.console import print_json, say

    config = configured(settings, needs_credentials=False)
    from st_export.maintenance import reset

    wanted = check_tenants(config, tenants)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(reset, config, names, to, wanted, events))
    if as_json:
        print_json(document)
        return 0
    for tenant in document["tenants"]:
        if not tenant["entities"]:
            say(f"tenant {tenant['id']}: none of these has a position yet")
        for entity in tenant["entities"]:
            say(f"tenant {tenant['id']}, {entity['name']}: the next run reads it again from {entity['from'] or 'the beginning'} on")
    return 0

"""`st-export verify`: whether the lake holds what its manifests, and the service, say."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Globals, json_option, lake_option, tenant_option
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from st_export.config.model import Config
    from st_export.events import Events

EXIT_DIFFERENT = 4


@make_command("verify", "st-export verify", "st-export verify --api", "st-export verify --repair", "st-export verify --lake ./demo-lake")
@click.option("--api", is_flag=True, help="Compare the keys in the lake with the totals of the service too.")
@click.option("--repair", is_flag=True, help="Export again what is damaged or missing.")
@lake_option
@tenant_option
@json_option
@click.pass_obj
def command(settings: Globals, /, lake: str | None, as_json: bool, api: bool, repair: bool, tenants: tuple[int, ...]) -> int:
    """Compare the files with the manifests, and with the service.

    Every committed file must be there, readable, with the rows, checksum and schema of its manifest. Exit code 4: something differs.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import check_tenants, configured, configured_lake, watched
    from st_export.commands.console import print_json, say, show_table
    from st_export.observe.quantities import plural

    if lake and (api or repair):
        raise click.UsageError("`--api` and `--repair` ask the service, and need a configuration instead of `--lake`")
    config = configured(settings) if api or repair else configured_lake(settings, lake)
    wanted = check_tenants(config, tenants)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(_verified, config, wanted, events, api=api, repair=repair))
    problems = document["problems"]
    if as_json:
        print_json(document)
    else:
        for item in document.get("repaired", ()):
            say(f"repaired: {item['entity']}, {item['file']}: {item['problem']}")
        if problems:
            show_table(("entity", "file", "problem"), [(item["entity"], item["file"], item["problem"]) for item in problems])
        found = plural(len(problems), "problem") if problems else "all is well"
        say(f"{plural(document['files'], 'file')}, {plural(document['rows'], 'row')}: {found}")
    return 0 if document["ok"] else EXIT_DIFFERENT


async def _verified(config: Config, tenants: tuple[int, ...], events: Events, *, api: bool, repair: bool) -> dict[str, Any]:
    if api or repair:
        from st_export.verification import verify as verify_against_service

        document: dict[str, Any] = await verify_against_service(config, tenants, events, api=api, repair=repair)
        return document
    from st_export.commands.call import open_for_reading
    from st_export.lake.verify import verify

    return (await verify(await open_for_reading(config, must_exist=True), tenants=tenants or None)).document()

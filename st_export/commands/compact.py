"""`st-export compact`: the current state of each entity, one row a key."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import Any

import click

from st_export.commands.options import Globals, lake_option, selection_options
from st_export.commands.options import command as make_command

EXIT_FAILED = 4


@make_command("compact", "st-export compact", "st-export compact --select jpm.jobs --json")
@selection_options
@lake_option
@click.pass_obj
def command(settings: Globals, /, lake: str | None, as_json: bool, **options: Any) -> int:
    """Write the current state of each entity, one row a key.

    It lies in `<lake>/current/`; only parts whose keys changed are written, and readers see each key once at every moment. The log of
    versions is never touched.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import configured_lake, request_for, watched
    from st_export.commands.console import print_json, show_table
    from st_export.maintenance import compact

    config = configured_lake(settings, lake)
    request = request_for(config, "run", **options)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(compact, config, request, events))
    entities = document["entities"]
    if as_json:
        print_json(document)
    else:
        headers = ("tenant", "entity", "rows", "parts written", "parts", "error")
        names = ("tenant", "entity", "rows", "parts_written", "parts", "error")
        rows = [tuple(item[name] for name in names) for item in entities]
        show_table(headers, rows, numbers=headers[2:5])
    return EXIT_FAILED if any(item["error"] for item in entities) else 0

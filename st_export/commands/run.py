"""`st-export run`: the nightly job."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Globals, export_options, selection_options
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from st_export.config.model import Config
    from st_export.exporter import ExportRequest


def export_and_tell(
    settings: Globals, config: Config, request: ExportRequest, *, as_json: bool, most_shown: int | None = None
) -> int:  # fmt: skip
    """Export under the eyes of the observers, then tell the summary; return the run's exit code.

    With `most_shown` the run is told in brief: no line an entity, and so many of the largest in the table.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import watched
    from st_export.commands.console import print_json
    from st_export.exporter import export

    gc.freeze()  # what has been imported stays: collections need not look through it
    with watched(settings, with_lines=most_shown is None) as (events, progress):
        summary: dict[str, Any] = anyio.run(partial(export, config, request, events))
    if settings.log_format != "json" and (not settings.quiet or any(one.status == "failed" for one in progress.finished_entities())):
        from st_export.commands.console import stderr_console
        from st_export.observe.table import print_final

        print_final(stderr_console(), progress, quiet=settings.quiet, most=most_shown)
    if as_json:
        print_json(summary)
    return int(summary["exit_code"])


@make_command(
    "run",
    "st-export run",
    "st-export run --select 'jpm.*' --select crm.customers --tenant 1001",
    "st-export run --stop-after 6h --wait 10m --json > run.json",
)
@selection_options
@export_options
@click.pass_obj
def command(settings: Globals, /, as_json: bool, **options: Any) -> int:
    """Run the nightly job: bring every selected entity from its checkpoint to now.

    The first run reads everything, or from `start` on. After a kill the same command goes on from the last commit.
    """
    from st_export.commands.call import configured, request_for

    config = configured(settings)
    return export_and_tell(settings, config, request_for(config, "run", **options), as_json=as_json)

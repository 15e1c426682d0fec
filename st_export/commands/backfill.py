"""`st-export backfill`: one-off history of a window of time."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Globals, check_window, export_options, selection_options, window_options
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from datetime import datetime


@make_command(
    "backfill",
    "st-export backfill --from 2024-01-01 --to 2025-01-01",
    "st-export backfill --from 2026-11-01 --select jpm.jobs --split 16",
)
@window_options(required=True)
@selection_options
@export_options
@click.option("--split", type=click.IntRange(2, 64), metavar="N", help="Read each feed from N dates side by side, and prove the result.")
@click.pass_obj
def command(settings: Globals, /, start: datetime, end: datetime | None, as_json: bool, **options: Any) -> int:
    """Export history once: every selected entity's records of a window of time.

    Reads what was modified (or created) in `[from, to)`, in its own checkpoint scope: the nightly job is neither moved nor needed. The same
    arguments resume; after completion they start anew.
    """
    from st_export.commands.call import configured, request_for
    from st_export.commands.run import export_and_tell

    check_window(start, end)
    config = configured(settings)
    request = request_for(config, "backfill", **options, backfill_from=start, backfill_to=end)
    return export_and_tell(settings, config, request, as_json=as_json)

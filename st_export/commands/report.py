"""`st-export report`: a run as a page."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from st_export.commands.options import Globals, lake_option
from st_export.commands.options import command as make_command
from st_export.errors import ConfigError

if TYPE_CHECKING:
    from st_export.config.model import Config
    from st_export.flow import Json

RUNS_FOLDER = "_st_export/runs"
MOST_EARLIER_RUNS = 30
"""Earlier runs that a run is compared with."""


@make_command(
    "report", "st-export report", "st-export report 20261125T020000Z-1a2b --output run.html", "st-export report --output - > run.html"
)
@click.argument("run", required=False)
@click.option("--output", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE", help="Where to write; `-`: stdout.")
@lake_option
@click.pass_obj
def command(settings: Globals, /, run: str | None, output: Path | None, lake: str | None) -> int:
    """Write a self-contained HTML page of a run.

    RUN is a run's id, default the last one. The page shows what was exported, requests a second against the limit, time per entity,
    retries, failures, and how the run compares with earlier ones. It needs no network.
    """
    from functools import partial

    import anyio

    from st_export.commands.call import configured_lake
    from st_export.commands.console import say, write_text
    from st_export.observe.html import render

    config = configured_lake(settings, lake)
    summary, earlier, empty = anyio.run(partial(_read_runs, config, run))
    page = render(summary, earlier, empty_columns=empty)
    if output == Path("-"):
        write_text(page)
        return 0
    target = output or Path(f"st-export-report-{summary['run_id']}.html")
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the report {target} cannot be written: {error.strerror}", hint="name another file with `--output`") from error
    say(f"{target}")
    return 0


async def _read_runs(config: Config, run: str | None) -> tuple[Json, list[Json], list[Json]]:
    """Return the summary of a run, default the last one, those of the runs before it, newest first, and columns that went all null.

    Raises:
        ConfigError: There is no such run, or none at all.

    """
    import orjson

    from st_export.commands.call import open_for_reading
    from st_export.lake.nulls import empty_columns

    store = await open_for_reading(config, must_exist=True)
    names = sorted([entry.path async for entry in store.list(RUNS_FOLDER) if entry.path.endswith(".json")])
    ids = [Path(name).stem for name in names]
    if not ids:
        raise ConfigError(f"{store.url} has no runs to report on", hint="a run's summary appears when the run has ended")
    if run is not None and run not in ids:
        raise ConfigError(f"there is no run `{run}`", hint=f"the last ones are {', '.join(ids[-3:])}")
    place = len(ids) - 1 if run is None else ids.index(run)
    before = names[max(0, place - MOST_EARLIER_RUNS) : place]
    documents = [orjson.loads(await store.read(name)) for name in [names[place], *reversed(before)]]
    empty = [column.document() for column in await empty_columns(store, documents[0])]
    return documents[0], documents[1:], empty

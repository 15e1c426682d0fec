"""`st-export query`: SQL over the lake."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from st_export.commands.options import Globals, lake_option
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from st_export.config.model import Config
    from st_export.lake.output import OutputFormat


@make_command(
    "query",
    'st-export query "SELECT jobStatus, count(*) FROM jpm.jobs GROUP BY ALL"',
    'st-export query "SELECT * FROM jpm.jobs_log WHERE id = 4711 ORDER BY modifiedOn" --json',
    'st-export query "FROM crm.customers" --parquet customers.parquet',
    'st-export query "SHOW ALL TABLES" --lake ./demo-lake',
)
@click.argument("sql")
@click.option("--csv", "output", flag_value="csv", help="Write CSV instead of a table.")
@click.option("--json", "output", flag_value="json", help="Write a JSON list of objects.")
@click.option("--parquet", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a Parquet file.")
@click.option("--memory-limit-mb", type=click.IntRange(min=64), metavar="MB", help="For DuckDB; beyond it, it spills to disk.")
@lake_option
@click.pass_obj
def command(
    settings: Globals, /, sql: str, output: OutputFormat | None, file: Path | None, memory_limit_mb: int | None, lake: str | None
) -> int:
    """Ask the lake in SQL: every entity is a view.

    `jpm.jobs` has the current rows, `jpm.jobs_log` every version; dots and hyphens behind the module become underscores
    (`crm.customers_contacts`). The SQL is DuckDB's; it only reads. SQL `-` is read from stdin.
    """
    import anyio

    from st_export.commands.call import configured_lake

    if file and output:
        raise click.UsageError(f"`--parquet` and `--{output}` exclude each other")
    config = configured_lake(settings, lake)
    text = sys.stdin.read() if sql == "-" else sql
    anyio.run(_ask, config, text, "parquet" if file else output or "table", file, memory_limit_mb)
    return 0


async def _ask(config: Config, sql: str, output: OutputFormat, file: Path | None, memory_limit_mb: int | None) -> int:
    from st_export.commands.call import open_for_reading, written_entities
    from st_export.lake.query import query
    from st_export.lake.shapes import shapes

    store = await open_for_reading(config, must_exist=True)
    return await query(
        store,
        shapes(config, await written_entities(store)),
        sql,
        output=output,
        sink=sys.stdout,
        file=file,
        memory_limit_mb=memory_limit_mb,
    )

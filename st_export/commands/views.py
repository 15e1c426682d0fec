"""`st-export views`: the lake's names for other engines."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from st_export.commands.options import Globals, lake_option
from st_export.commands.options import command as make_command

if TYPE_CHECKING:
    from st_export.config.model import Config


@make_command("views", "st-export views --dialect duckdb > views.sql", "st-export views --dialect trino --url s3://lake/servicetitan")
@click.option(
    "--dialect", type=click.Choice(["duckdb", "spark", "trino", "bigquery"]), default="duckdb", show_default=True, help="The engine."
)
@click.option("--url", metavar="URL", help="The lake's URL as that engine spells it; default: `output.url`.")
@lake_option
@click.pass_obj
def command(settings: Globals, /, dialect: str, url: str | None, lake: str | None) -> int:
    """Print the views for other engines.

    They then see the same names as `st-export query`: `jpm.jobs` for the current rows, `jpm.jobs_log` for every version.
    """
    import anyio

    from st_export.commands.call import configured_lake
    from st_export.commands.console import write_text

    write_text(anyio.run(_definitions, configured_lake(settings, lake), dialect, url))
    return 0


async def _definitions(config: Config, dialect: str, url: str | None) -> str:
    from st_export.commands.call import open_for_reading, written_entities
    from st_export.lake.shapes import shapes
    from st_export.lake.views import definitions

    written = await written_entities(await open_for_reading(config))
    return definitions(shapes(config, written), dialect, url or config.output.url, with_files=written)

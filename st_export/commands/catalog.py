"""`st-export catalog diff` and `update`: a new release of the API costs its user one command."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from st_export.commands.options import Command, Globals, global_options, json_option
from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.catalog.diff import CatalogDiff, EntityDiff
    from st_export.config.model import Config

SPECS = click.option(
    "--specs", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, metavar="DIR",
    help="A folder of OpenAPI documents (JSON), as the developer portal hands them out.",
)  # fmt: skip


class _Group(click.Group):
    """A group inside the command line: its help ends with examples as a command's does."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples."""
        with formatter.section("Examples"):
            formatter.write("  st-export catalog diff --specs ./specs\n  st-export catalog update --specs ./specs --out my-catalog.json\n")


command = _Group(
    "catalog",
    help="Compare the catalog with newer API specifications, and rewrite it.\n\n"
    "Additions never break a lake; what is gone or retyped is listed, so that you can decide.",
    params=list(global_options()),
)


def _subcommand(name: str, example: str) -> Callable[[Callable[..., int]], click.Command]:
    return command.command(name, cls=Command, examples=(example,))


@_subcommand("diff", "st-export catalog diff --specs ./specs")
@SPECS
@json_option
@click.pass_obj
def diff(settings: Globals, /, specs: Path, as_json: bool) -> int:
    """Say what is new, gone or retyped in the specifications: entities, columns, ways to read them, and reads that are left out."""
    import dataclasses

    from st_export.commands.console import print_json

    found = _difference(settings, specs)
    if as_json:
        print_json(dataclasses.asdict(found) | {"only_adds": found.only_adds})
    else:
        _tell(found)
    return 0


@_subcommand("update", "st-export catalog update --specs ./specs --out my-catalog.json")
@SPECS
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file, or a folder that is there: one file a module; default: the configuration's.",
)
@click.pass_obj
def update(settings: Globals, /, specs: Path, out: Path | None) -> int:
    """Rewrite the catalog file from the specifications.

    The file is yours: name it as `catalog:` in the configuration. A folder is for the package's own data.
    """
    from st_export.catalog.openapi import write_catalog, write_catalog_file
    from st_export.commands.console import say

    config = _config_if_any(settings)
    target = out or (config.catalog if config else None)
    if target is None:
        raise ConfigError("there is no catalog file to write", hint="name one with `--out FILE`, and as `catalog:` in the configuration")
    found = _difference(settings, specs)
    try:
        (write_catalog if target.is_dir() else write_catalog_file)(specs, target)
    except OSError as error:
        raise ConfigError(f"the catalog {target} cannot be written: {error.strerror}") from error
    _tell(found)
    say(f"written: {target}")
    if not target.is_dir() and (config is None or config.catalog != target.absolute()):
        say(f"to use it, set in the configuration: catalog: {target}")
    return 0


def _config_if_any(settings: Globals) -> Config | None:
    from st_export.commands.call import configured
    from st_export.config.load import is_configured

    return configured(settings, needs_credentials=False) if is_configured(settings.config) else None


def _difference(settings: Globals, specs: Path) -> CatalogDiff:
    """Return what differs between the catalog in use and the one of the specifications."""
    from st_export.catalog.diff import diff as compare
    from st_export.catalog.load import load_catalog
    from st_export.catalog.openapi import write_catalog_file

    config = _config_if_any(settings)
    old_file = config.catalog if config and config.catalog and config.catalog.is_file() else None
    with tempfile.TemporaryDirectory() as folder:
        new_file = Path(folder) / "catalog.json"
        write_catalog_file(specs, new_file)
        return compare(load_catalog(old_file), load_catalog(new_file))


def _tell(found: CatalogDiff) -> None:
    from st_export.commands.console import say

    if not found:
        say("no difference")
    for name in found.new:
        say(f"new entity   {name}")
    for name in found.gone:
        say(f"gone entity  {name}")
    for line in (*(line for entity in found.changed for line in _entity_lines(entity)), *_left_out_lines(found)):
        say(line)


def _entity_lines(entity: EntityDiff) -> list[str]:
    name = entity.name
    return [
        *(f"new          {name}.{path}  {kind}" for path, kind in entity.new),
        *(f"gone         {name}.{path}  {kind}" for path, kind in entity.gone),
        *(f"retyped      {name}.{change.what}  {change.old} -> {change.new}" for change in entity.retyped),
        *(f"read anew    {name}: {change.what}  {change.old} -> {change.new}" for change in entity.reading),
        *(f"new source   {name}: {path}" for path in entity.new_sources),
        *(f"gone source  {name}: {path}" for path in entity.gone_sources),
    ]


def _left_out_lines(found: CatalogDiff) -> list[str]:
    return [
        *(f"left out     {path}  ({reason})" for path, reason in found.left_out),
        *(f"not left out {path}  (was: {reason})" for path, reason in found.no_longer_left_out),
        *(f"left out     {change.what}  ({change.new}; was: {change.old})" for change in found.other_reasons),
    ]

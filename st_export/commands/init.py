"""`st-export init`: a configuration to start from."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from st_export.commands.options import Globals
from st_export.commands.options import command as make_command
from st_export.errors import ConfigError

FILES = {"st-export.yaml": "starter.yaml", ".env.example": "env.example"}
"""What is written, and the file of this package that it is a copy of."""


@make_command("init", "st-export init", "st-export init ./servicetitan")
@click.argument("folder", required=False, default=Path(), type=click.Path(path_type=Path), metavar="[DIR]")
@click.pass_obj
def command(_settings: Globals, /, folder: Path) -> int:
    """Write a commented starter configuration and .env.example.

    Every key stands in it with its default and what it does. Files that are there already are never overwritten.
    """
    from st_export.commands.console import say

    present = [name for name in FILES if (folder / name).exists()]
    if present:
        raise ConfigError(f"{folder / present[0]} is there already", hint="move it away, or name another folder: `st-export init DIR`")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in FILES.items():
            text = resources.files("st_export.commands").joinpath(source).read_text(encoding="utf-8")
            with (folder / name).open("x", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", hint="name a folder that you may write to") from error
    say(f"written: {folder / 'st-export.yaml'}, {folder / '.env.example'}")
    say("next: copy .env.example to .env and fill it in, then `st-export check`; keep .env out of version control")
    return 0

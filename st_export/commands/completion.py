"""`st-export completion`: the completion script of a shell, made by click."""

# ruff: noqa: PLC0415 - `app` imports the commands, never the other way round at load time

from __future__ import annotations

import click

from st_export.commands.options import command as make_command


@make_command("completion", "st-export completion bash >> ~/.bashrc", "st-export completion zsh > ~/.zfunc/_st-export")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script of a shell.

    Commands, options and the names of entities are completed.
    """
    from click.shell_completion import get_completion_class

    from st_export.commands.app import cli

    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"click has no completion for `{shell}`")
    click.echo(completion(cli, {}, "st-export", "_ST_EXPORT_COMPLETE").source())
    return 0

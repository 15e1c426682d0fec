"""The frame of the command line: which commands there are, and the one place where an error becomes an exit code.

Importing this module costs next to nothing: a command's module is imported when the command is called, what it needs when it runs.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from st_export.commands.options import Globals, global_options
from st_export.errors import StExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS = {
    "run": "Run the nightly job: bring every selected entity from its checkpoint to now.",
    "backfill": "Export history once: every selected entity's records of a window of time.",
    "check": "Test credentials, permissions and output with one small request an entity.",
    "plan": "Plan without reading: what run or backfill would do, and how long it would take.",
    "entities": "List the catalog: every entity, or the columns of one.",
    "status": "Show where each entity stands: position, rows, last run, last error.",
    "reset": "Set the position of entities back, so that the next run reads them again.",
    "verify": "Compare the files with the manifests, and with the service.",
    "compact": "Write the current state of each entity, one row a key.",
    "query": "Ask the lake in SQL: every entity is a view.",
    "views": "Print the views for other engines.",
    "report": "Write a self-contained HTML page of a run.",
    "catalog": "Compare the catalog with newer API specifications, and rewrite it.",
    "simulate": "Start an embedded ServiceTitan look-alike on this machine.",
    "demo": "Export a look-alike into ./demo-lake: no account, no configuration.",
    "init": "Write a commented starter configuration and .env.example.",
    "completion": "Print the completion script of a shell.",
}
"""Every command and its line in `--help`; the module of the same name holds it as `command`."""

INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"st_export.commands.{cmd_name}").command
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none of this name."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            nearest = get_close_matches(args[0], COMMANDS, n=1)
            message = f"there is no command `{args[0]}`" + (f"; did you mean `{nearest[0]}`?" if nearest else "")
            raise click.UsageError(message, ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"st-export {_version()}")
        context.exit()


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 - importing it takes longer than all else here

    return metadata.version("st-export")


cli = LazyGroup(
    name="st-export",
    help="Export whole ServiceTitan accounts into a data lake of Parquet files: complete, once, resumable.",
    epilog="First steps: `st-export demo` without an account; `st-export init`, then `st-export check`, with one.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    params=[
        click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."),
        *global_options(),
    ],
    no_args_is_help=True,
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with the contract's exit code."""
    _settle_interpreter()
    code = run(arguments)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    gc.freeze()  # what is alive now goes with the process: the interpreter need not look through it once more
    sys.exit(code)


def _settle_interpreter() -> None:
    """Spare a short process what costs it more than it gains.

    A collection every 700 objects, idle threads of the linear algebra, a search of all installed packages for plugins of pydantic; and a
    second allocator beside the system's (`run.memory`), which Arrow's C++ parts choose when they are loaded, whatever Python says later.
    """
    gc.set_threshold(200_000, 20, 50)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: the only switch from errors to codes."""
    settings = Globals()
    try:
        result = cli.main(args=None if arguments is None else list(arguments), prog_name="st-export", standalone_mode=False, obj=settings)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - this is the border: whatever comes becomes a message and a code
        return tell(error, settings)
    return result if isinstance(result, int) else 0


def tell(error: BaseException, settings: Globals) -> int:
    """Tell an error, or what a group of errors is about, on stderr, and return the exit code that stands for it."""
    error = _gravest(error)
    match error:
        case StExportError():
            return _told(settings, str(error), error.hint, error.exit_code, error)
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return 2
        case click.ClickException():
            hint = f"`{error.ctx.command_path} --help` shows the options" if isinstance(error, click.UsageError) and error.ctx else None
            return _told(settings, _lower_first(error.format_message().rstrip(".")), hint, 2)
        case KeyboardInterrupt() | click.Abort():
            return _told(settings, "interrupted", "what was committed stays; the same command goes on from there", INTERRUPTED)
        case OSError(errno=errno.EPIPE):
            return _leave_the_pipe()
    hint = f"this is a fault of st-export {_version()}: please report it with what `-v` shows and the command"
    return _told(settings, f"internal error: {type(error).__name__}: {error}", hint, 1, error)


def _told(settings: Globals, text: str, hint: str | None, code: int, error: BaseException | None = None) -> int:
    from st_export.commands.console import print_error  # noqa: PLC0415 - `--help` must be quick, and prints no error

    print_error(text, hint, settings, error if settings.verbosity else None)
    return code


def _gravest(error: BaseException) -> BaseException:
    """Return what a group of exceptions is about: an interrupt, else a fault of ours, else the error with the lowest exit code."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = list(_leaves(error))
    for kind in (KeyboardInterrupt, click.Abort):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return min(leaves, key=lambda leaf: leaf.exit_code if isinstance(leaf, StExportError) else 0)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _leaves(inner)
        else:
            yield inner


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _leave_the_pipe() -> int:
    """Let the interpreter's last flush of stdout go nowhere, because its reader has gone (`| head`): nobody's fault."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return 0


if __name__ == "__main__":
    main()

"""What all commands share of the command line: global options before or after the name, value types, examples in the help."""

# ruff: noqa: PLC0415 - `--help` must be quick: what a value needs is imported when there is one

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(slots=True)
class Globals:
    """The global options of one call, wherever they stood: before the command's name or after it."""

    config: Path | None = None
    verbosity: int = 0
    quiet: bool = False
    log_format: str = "text"
    progress: bool = True
    secrets: tuple[str, ...] = ()


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is None or value is False or value == 0:
        return
    settings = context.ensure_object(Globals)
    if parameter.name == "verbosity":
        settings.verbosity += value
    elif parameter.name == "no_progress":
        settings.progress = False
    else:
        setattr(settings, str(parameter.name), value)


def global_options() -> list[click.Parameter]:
    """Return fresh global options, for the group and for each command."""
    options: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("-c", "--config"), {"type": click.Path(path_type=Path), "metavar": "FILE",
                              "help": "Configuration; else $ST_EXPORT_CONFIG, else ./st-export.yaml."}),
        (("-v", "verbosity"), {"count": True, "help": "Tell more: each request, each commit; the traceback of an internal error."}),
        (("-q", "--quiet"), {"is_flag": True, "help": "Tell only warnings and errors."}),
        (("--log-format",), {"type": click.Choice(["text", "json"]), "help": "Log lines on stderr as text or as one JSON object a line."}),
        (("--no-progress",), {"is_flag": True, "help": "Plain lines instead of the live view."}),
    ]  # fmt: skip
    return [click.Option(names, expose_value=False, callback=_remember, **settings) for names, settings in options]


class Command(click.Command):
    """A command with the global options, and with examples at the end of its help."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)
        self.params.extend(global_options())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take a text that begins with a comment of SQL (`-- why`) for what it is: no option."""
        return super().parse_args(ctx, [f"\n{text}" if _is_commented(text) else text for text in args])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")


def _is_commented(text: str) -> bool:
    return text.startswith("--") and (text[2:3].isspace() or "\n" in text)


def command(name: str, *examples: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command of this name; the function's docstring is the help, `examples` end it."""

    def decorate(function: Callable[..., Any]) -> Command:
        return click.command(name, cls=Command, examples=examples)(function)

    return decorate


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.5 on
    """A duration such as `90s`, `15m`, `26h`, `7d`, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        from st_export.config.values import duration_seconds

        try:
            return duration_seconds(value) if isinstance(value, str) else float(value)
        except ValueError as error:
            self.fail(f"`{value}` {error}", param, ctx)


class Date(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.5 on
    """A date or time in ISO 8601, as an aware UTC moment; a date is its midnight."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment."""
        from st_export.config.values import moment

        try:
            return moment(value)
        except ValueError as error:
            self.fail(f"`{value}` {error}", param, ctx)


def complete_entities(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of entities to the shell."""
    from click.shell_completion import CompletionItem

    from st_export.catalog.load import load_catalog

    return [CompletionItem(name) for name in load_catalog().entities if name.startswith(incomplete)]


def selection_options(function: F) -> F:
    """Add `--tenant`, `--select`, `--exclude` and `--json`."""
    function = json_option(function)
    function = click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these entities out; always wins. Repeatable.")(function)
    function = click.option(
        "--select", multiple=True, metavar="GLOB", shell_complete=complete_entities,
        help="Names or globs of entities; replaces the configuration's `select`. Repeatable.",
    )(function)  # fmt: skip
    return tenant_option(function)


def export_options(function: F) -> F:
    """Add what `run` and `backfill` have in common: the lock, the end, children, current rows."""
    function = click.option("--compact", is_flag=True, help="Bring the current rows up to date at the end, as `compact` does.")(function)
    function = click.option("--full-children", is_flag=True, help="Read the children of all parents, not only of changed ones.")(function)
    function = click.option(
        "--stop-after", "stop_after_seconds", type=Duration(), metavar="DURATION", help="End cleanly after this time, everything committed."
    )(function)
    text = "Wait so long for another run's lock; default: do not wait."
    return click.option("--wait", "wait_seconds", type=Duration(), default=0.0, metavar="DURATION", help=text)(function)


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; all else goes to stderr.")(function)


def tenant_option(function: F) -> F:
    """Add `--tenant`."""
    return click.option("--tenant", "tenants", multiple=True, type=int, metavar="ID", help="Only this tenant. Repeatable.")(function)


def lake_option(function: F) -> F:
    """Add `--lake`, which stands in for a configuration where only the lake is read."""
    return click.option("--lake", metavar="URL", help="Read this lake (a folder or URL) without any configuration.")(function)


def window_options(*, required: bool) -> Callable[[F], F]:
    """Add `--from` and `--to`, the half-open window `[from, to)` in UTC."""

    def decorate(function: F) -> F:
        text = "Records modified (or created) before this; else now, frozen at the first start."
        function = click.option("--to", "end", type=Date(), metavar="DATE", help=text)(function)
        text = "Records modified (or created) from this day or time on, UTC."
        return click.option("--from", "start", type=Date(), metavar="DATE", required=required, help=text)(function)

    return decorate


def check_window(start: datetime | None, end: datetime | None) -> None:
    """Refuse a window that is empty or begins in the future.

    Raises:
        click.UsageError: It is.

    """
    if start and end and end <= start:
        raise click.UsageError(f"`--to {end:%Y-%m-%dT%H:%M:%SZ}` must be later than `--from {start:%Y-%m-%dT%H:%M:%SZ}`")
    if start and start > datetime.now(UTC):
        raise click.UsageError(f"`--from {start:%Y-%m-%dT%H:%M:%SZ}` lies in the future")
    if end and not start:
        raise click.UsageError("`--to` needs `--from`")

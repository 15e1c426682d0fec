"""`st-export simulate`: the look-alike on this machine."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Date, Duration, Globals
from st_export.commands.options import command as make_command
from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from st_export.simulate.options import SimulateOptions


@make_command(
    "simulate",
    "st-export simulate",
    "st-export simulate --port 8911 --rows 50000 --latency 400ms 1s",
    "st-export simulate --fault error-json:rate=0.1,path=*/jobs*,status=503 --fault cut:rate=0.02",
    "st-export simulate --set page_size_over_maximum=refuse --set churn_every=50",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Port on loopback; default: a free one.")
@click.option("--rows", type=click.IntRange(min=0), help="Rows of the largest collections.")
@click.option("--seed", type=int, help="The same seed makes the same tenant.")
@click.option("--years", type=float, help="Years of history.")
@click.option("--tenant", "tenants", multiple=True, type=click.IntRange(min=1), metavar="ID", help="A tenant's id. Repeatable.")
@click.option("--now", type=Date(), metavar="DATE", help="The time at which its clock begins; default: the real one.")
@click.option("--requests-per-second", type=click.IntRange(min=0), help="The limit per (app key, tenant); 0: none.")
@click.option("--latency", "latency_seconds", type=(Duration(), Duration()), metavar="LEAST MOST", help="How long an answer takes.")
@click.option("--token-life", "token_life_seconds", type=Duration(), metavar="DURATION", help="How long a token lives.")
@click.option("--fault", "faults", multiple=True, metavar="KIND[:NAME=VALUE,...]", help="A fault on request. Repeatable.")
@click.option("--set", "others", multiple=True, metavar="NAME=VALUE", help="Any other option of the look-alike by name, value in JSON.")
@click.pass_obj
def command(_settings: Globals, /, faults: tuple[str, ...], others: tuple[str, ...], **given: Any) -> int:
    """Start an embedded ServiceTitan look-alike on this machine.

    It serves the whole API surface with a made-up tenant, and tells its URLs and credentials as a JSON line on stdout. Ctrl-C ends it.
    """
    from st_export.simulate.server import run

    options = simulate_options(given, faults, others)
    try:
        run(options)
    except OSError as error:
        raise ConfigError(f"the look-alike cannot listen on port {options.port}: {error.strerror}", hint="take another `--port`") from error
    return 0


def simulate_options(given: dict[str, Any], faults: Sequence[str], others: Sequence[str]) -> SimulateOptions:
    """Return the look-alike's options from what the command line gave.

    Raises:
        click.UsageError: An unknown option, a fault that does not exist, a value of the wrong type.

    """
    from st_export.simulate.options import Fault, SimulateOptions

    now: datetime | None = given.pop("now", None)
    plain = SimulateOptions().to_json() | {name: value for name, value in given.items() if value not in (None, ())}
    plain |= dict(_setting(text, plain) for text in others)
    try:
        options = SimulateOptions.from_json(plain)
        return dataclasses.replace(options, now=now or options.now, faults=(*options.faults, *(Fault.parse(text) for text in faults)))
    except (ValueError, TypeError, KeyError) as error:
        raise click.UsageError(str(error)) from error


def _setting(text: str, known: dict[str, Any]) -> tuple[str, Any]:
    import orjson

    from st_export.catalog.select import nearest_name

    name, separator, value = text.partition("=")
    name = name.replace("-", "_")
    if name not in known or not separator:
        nearest = nearest_name(name, known)
        raise click.UsageError(f"the look-alike has no option `{name}`" + (f"; did you mean `{nearest}`?" if nearest else ""))
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value

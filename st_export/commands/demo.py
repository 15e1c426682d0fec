"""`st-export demo`: the whole way once, against the look-alike, without an account."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Globals
from st_export.commands.options import command as make_command
from st_export.errors import ConfigError, StExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.flow import Json

DEMO_ROWS = 1_500
DEMO_YEARS = "0.12"
"""Six weeks of history: enough to look like a business, few enough days (each is a file an entity) to be done in seconds."""

MOST_SHOWN = 20
"""Entities in the table at the end: the largest."""

MEMORY = "_st_export/demo.txt"
"""Keeps when the look-alike's clock began, so that a second call meets the same tenant."""

START_SECONDS = 30.0
"""How long the look-alike may take to tell its URLs, and to end."""


@make_command("demo", "st-export demo", "st-export demo --rows 20000 --lake ./big-demo")
@click.option("--rows", type=click.IntRange(min=1), default=DEMO_ROWS, show_default=True, help="Rows of the largest collections.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same tenant.")
@click.option("--lake", type=click.Path(path_type=Path), default=Path("demo-lake"), metavar="DIR", help="Default: ./demo-lake.")
@click.pass_obj
def command(settings: Globals, /, rows: int, seed: int, lake: Path) -> int:
    """Export a look-alike into ./demo-lake: no account, no configuration.

    It starts the look-alike, exports its made-up tenant over real HTTP, and says what to look at next. A second call shows an idle night:
    a request an entity, nothing new, no file.
    """
    from st_export.commands.console import note
    from st_export.commands.run import export_and_tell
    from st_export.config.load import parse_config
    from st_export.exporter import ExportRequest

    note("starting a ServiceTitan look-alike on this machine", settings)
    now = _clock_start(lake)
    with look_alike("--rows", str(rows), "--seed", str(seed), "--years", DEMO_YEARS, "--now", now) as service:
        config = parse_config(demo_config(service, lake))
        settings.secrets = config.secrets()
        code = export_and_tell(settings, config, ExportRequest(command="run"), as_json=False, most_shown=MOST_SHOWN)
    if code == 0:
        _tell_next(lake)
    return code


def _clock_start(lake: Path) -> str:
    """Return when the look-alike's clock begins: as at the first call into this lake, which is kept beside its state."""
    memory = lake / MEMORY
    try:
        if memory.is_file():
            return memory.read_text(encoding="utf-8").strip()
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(now + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{lake} cannot be written: {error.strerror}", hint="name another folder with `--lake`") from error
    return now


def demo_config(service: Json, lake: Path) -> dict[str, Any]:
    """Return the configuration for a look-alike that has told where it is."""
    return {
        "api_url": service["api_url"],
        "auth_url": service["auth_url"],
        "tenants": service["tenants"],
        "output": {"url": str(lake)},
    }


@contextlib.contextmanager
def look_alike(*options: str) -> Iterator[Json]:
    """Run the look-alike in a process of its own; hand out what it tells: URLs, credentials, tenants.

    Raises:
        StExportError: It did not start.

    """
    import orjson

    process = subprocess.Popen(  # noqa: S603 - our own module, with options that click has checked
        [sys.executable, "-m", "st_export.simulate", *options], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise StExportError("the look-alike did not start", hint="`st-export simulate` shows why")
        yield orjson.loads(line)
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _tell_next(lake: Path) -> None:
    from st_export.commands.console import say

    sql = "SELECT jobStatus, count(*) AS jobs, sum(total) AS total FROM jpm.jobs GROUP BY ALL ORDER BY jobs DESC"
    say("")
    say("Three things to try next:")
    place, program = shlex.quote(str(lake)), shlex.quote(_program())
    say(f"  {program} status --lake {place}")
    say(f'  {program} query --lake {place} "{sql}"')
    say(f"  ls {place}/jpm.jobs/tenant_id=*/        the files: Parquet, one folder a day")


def _program() -> str:
    """Return how the user can call this program again: by its name where that is on the path, else by where it lies."""
    own = Path(sys.argv[0]).absolute()
    found = shutil.which("st-export")
    if found is not None and Path(found).absolute() == own:
        return "st-export"
    return str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)

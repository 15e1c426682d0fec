"""The look-alike in a process of its own, warm, and clients in processes of their own, timed whole."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from st_export.simulate.process import start_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.simulate.options import SimulateOptions

FIVE_FEEDS = ("jpm.jobs", "crm.customers", "accounting.invoices", "jpm.appointments", "sales.estimates")

NO_LIMIT = {"requests_per_second": 10_000}


@dataclass(frozen=True, slots=True)
class Timed:
    """A process from its start to its end: wall seconds, CPU seconds (user and system), what it printed."""

    seconds: float
    cpu_seconds: float
    stdout: str


@contextmanager
def look_alike(options: SimulateOptions) -> Iterator[Any]:
    """Start the look-alike; its address lies in `info` beside a folder for the clients."""
    with start_in_process(options) as running, tempfile.TemporaryDirectory(prefix="st-export-bench-") as folder:
        info = {"api_url": running.api_url, "auth_url": running.auth_url, "tenants": [asdict(one) for one in running.tenants]}
        running.folder = Path(folder)
        running.info_file = Path(folder) / "info.json"
        running.info_file.write_text(json.dumps(info))
        yield running


def config_file(running: Any, name: str, **changes: Any) -> Path:
    """Write a configuration for the exporter against the look-alike and return its path; the lake is `<folder>/<name>`."""
    info = json.loads(running.info_file.read_text())
    config = {
        "api_url": info["api_url"],
        "auth_url": info["auth_url"],
        "app_key": info["tenants"][0]["app_key"],
        "tenants": [{"id": t["id"], "client_id": t["client_id"], "client_secret": t["client_secret"]} for t in info["tenants"]],
        "output": {"url": str(running.folder / name)},
        **changes,
    }
    path = running.folder / f"{name}.yaml"
    path.write_text(json.dumps(config))
    return path


def timed(command: list[str], *, clean: Path | None = None) -> Timed:
    """Run a command to its end, start-up included; what it writes to stderr shows only when it fails.

    The folder `clean` is set aside first, not removed: a file system that has just removed thousands of files is slow to make new ones.
    """
    if clean is not None and clean.exists():
        clean.rename(clean.with_name(f"{clean.name}-{time.time_ns()}"))
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=_environment())
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Timed(seconds, cpu, done.stdout)


def _environment() -> dict[str, str]:
    """Return the environment of an installation: modules are compiled once, not anew in every process."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def program() -> list[str]:
    """Return how `st-export` is started: the installed program, or the modules of PYTHONPATH."""
    installed = Path(sys.executable).with_name("st-export")
    if installed.exists() and "PYTHONPATH" not in os.environ:
        return [str(installed)]
    return [sys.executable, "-c", "import sys; sys.argv[0] = 'st-export'; from st_export.commands.app import main; main()"]


def command_of(config: Path, *more: str) -> list[str]:
    """Return the command line of a quiet run with `--json`; `more` may begin with the command's name."""
    words = list(more) if more and more[0] in ("run", "backfill", "compact") else ["run", *more]
    return [*program(), words[0], "--config", str(config), "--json", "-q", "--no-progress", *words[1:]]


def run_exporter(config: Path, lake: Path | None, *more: str) -> tuple[float, dict[str, Any]]:
    """Run `st-export run` (or what `more` begins with) on an empty lake, or with None on the one that is there.

    Returns wall seconds and the run summary, `cpu_seconds` among its totals.
    """
    found = timed(command_of(config, *more), clean=lake)
    summary = json.loads(found.stdout)
    summary["totals"]["cpu_seconds"] = found.cpu_seconds
    return found.seconds, summary

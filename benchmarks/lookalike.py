"""The look-alike in a process of its own, warm, and clients in processes of their own, timed whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import start_in_process

FIVE_FEEDS = ("jpm.jobs", "crm.customers", "accounting.invoices", "jpm.appointments", "sales.estimates")


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


def timed(command: list[str], *, clean: Path | None = None) -> tuple[float, str]:
    """Run a command to its end; return its wall seconds, start-up included, and its stdout."""
    if clean is not None:
        shutil.rmtree(clean, ignore_errors=True)
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, done.stdout


def run_exporter(config: Path, lake: Path, *more: str) -> tuple[float, dict[str, Any]]:
    """Run `st-export run` on an empty lake; return wall seconds and the run summary."""
    program = str(Path(sys.executable).with_name("st-export"))
    seconds, out = timed([program, "run", "--config", str(config), "--json", "-q", "--no-progress", *more], clean=lake)
    return seconds, json.loads(out)

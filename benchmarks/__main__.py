"""Run benchmarks, print what they found, keep it as JSON.

    python -m benchmarks                 all but those that take very long
    python -m benchmarks rate memory     these
    python -m benchmarks --list          the names

Each ratio is of one run on one machine; `results/<name>.json` also says when and on what.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"

BENCHMARKS = {
    "startup": "startup:measure",
    "throughput": "throughput:measure",
    "rescue": "rescue:measure",
    "files": "files:measure",
    "memory": "memory:measure",
    "compact": "compact:measure",
    "upload": "upload:measure",
    "resume": "resume:measure",
    "rate": "rate:measure",
    "feed_split": "feed_split:measure",
    "peers": "peers:measure",
}
ON_DEMAND = {"gigabyte": "throughput:measure_gigabyte", "scale": "scale:measure"}


def run(name: str, console: Console) -> dict[str, Any]:
    """Run one benchmark, print its table, keep its result."""
    module, _, function = {**BENCHMARKS, **ON_DEMAND}[name].partition(":")
    console.print(f"[bold]{name}[/bold]")
    began = time.perf_counter()
    figures = getattr(import_module(f"benchmarks.{module}"), function)()
    result = {
        "command": f"python -m benchmarks {name}",
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "took_seconds": round(time.perf_counter() - began),
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    console.print(_table(figures))
    return result


def _table(figures: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in _flat(figures):
        table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int | float) else str(value))
    return table


def _flat(figures: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in figures.items():
        found += _flat(value, f"{before}{name}, ") if isinstance(value, dict) else [(before + name, value)]
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> int:
    """Run what the command line names; 1 where something failed, after the rest has run."""
    console = Console()
    names = sys.argv[1:] or list(BENCHMARKS)
    if "--list" in names:
        console.print("\n".join((*BENCHMARKS, *(f"{name} (on demand)" for name in ON_DEMAND))))
        return 0
    unknown = [name for name in names if name not in BENCHMARKS and name not in ON_DEMAND]
    if unknown:
        console.print(f"no benchmark {', '.join(unknown)}; there are {', '.join((*BENCHMARKS, *ON_DEMAND))}")
        return 2
    failed = []
    for name in names:
        try:
            run(name, console)
        except Exception:  # noqa: BLE001 - one that fails must not hide the others
            console.print_exception(max_frames=4)
            failed.append(name)
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What is paid before and around the work: `--help`, and a night in which nothing has changed."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from benchmarks.lookalike import config_file, look_alike, program, run_exporter, timed
from st_export.simulate.options import SimulateOptions


def measure(rounds: int = 7, idle_rounds: int = 2) -> dict[str, Any]:
    """Return the seconds of `--help`, and an idle run over all entities against what its requests need at the limit."""
    helps = [timed([*program(), "--help"]).seconds for _ in range(rounds)]
    options = SimulateOptions(rows=60, years=0.05, feed_lag_seconds=0, requests_per_second=60)
    with look_alike(options) as running:
        config = config_file(running, "lake", limits={"requests_per_second": 55})
        run_exporter(config, None)
        idle = [run_exporter(config, None) for _ in range(idle_rounds)]
    seconds, summary = min(idle, key=lambda run: run[0])
    requests = summary["totals"]["requests"]
    demanded = requests / 55
    return {
        "help_seconds": round(median(helps), 3),
        "idle_entities": sum(len(tenant["entities"]) for tenant in summary["tenants"]),
        "idle_requests": requests,
        "idle_seconds": round(seconds, 2),
        "idle_seconds_demanded_by_the_limit": round(demanded, 2),
        "idle_against_the_limit": round(seconds / demanded, 2) if math.isfinite(demanded) else None,
        "idle_cpu_seconds": round(summary["totals"]["cpu_seconds"], 2),
    }

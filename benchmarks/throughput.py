"""The full exporter against the bare loop on five feeds, whole processes, start-up included; medians, in one run.

`measure` reads 164 MB of JSON (100,000 records), `measure_gigabyte` more than 1 GB. All records differ; the look-alike has made its pages
before the first one is timed, so that both read from its memory. The two take turns.
"""

from __future__ import annotations

import json
import sys
from statistics import median
from typing import Any

from benchmarks.lookalike import FIVE_FEEDS, NO_LIMIT, config_file, look_alike, run_exporter, timed
from st_export.simulate.options import SimulateOptions


def measure(rows: int = 20_000, rounds: int = 5, days: float = 20.0) -> dict[str, Any]:
    """Return seconds, ratio, memory and CPU of both; `rows` a feed, over so many days."""
    options = SimulateOptions(
        row_counts=dict.fromkeys(FIVE_FEEDS, rows), years=days / 365, requests_per_second=0, feed_lag_seconds=0, gzip=False, cache_mb=8192
    )
    with look_alike(options) as running:
        config = config_file(running, "lake", select=list(FIVE_FEEDS), limits=NO_LIMIT)
        bare = [sys.executable, "-m", "benchmarks.bare_loop", str(running.info_file), str(running.folder), *FIVE_FEEDS]
        timed(bare)  # warms the look-alike's pages
        bare_runs, ours = [], []
        for _ in range(rounds):
            bare_runs.append(timed(bare))
            ours.append(run_exporter(config, running.folder / "lake"))
    bare_seconds, our_seconds = median(run.seconds for run in bare_runs), median(run[0] for run in ours)
    bare_cpu, our_cpu = median(run.cpu_seconds for run in bare_runs), median(run[1]["totals"]["cpu_seconds"] for run in ours)
    told = [json.loads(run.stdout) for run in bare_runs]
    assert ours[0][1]["totals"]["rows"] == told[0]["rows"]
    json_bytes = told[0]["json_bytes"]
    return {
        "rows": told[0]["rows"],
        "json_mb": round(json_bytes / 1e6),
        "bare_seconds": round(bare_seconds, 2),
        "exporter_seconds": round(our_seconds, 2),
        "speed_against_bare": round(bare_seconds / our_seconds, 2),
        "mb_a_second": round(json_bytes / 1e6 / our_seconds, 1),
        "bare_cpu_seconds_a_gb": round(bare_cpu / json_bytes * 1e9, 1),
        "exporter_cpu_seconds_a_gb": round(our_cpu / json_bytes * 1e9, 1),
        "bare_peak_mb": max(round(one["peak_rss_mb"]) for one in told),
        "exporter_peak_mb": max(round(run[1]["totals"]["peak_rss_mb"]) for run in ours),
        "files": ours[0][1]["totals"]["files"],
    }


def measure_gigabyte(rows: int = 130_000, rounds: int = 3) -> dict[str, Any]:
    """Return the same of more than a gigabyte, over a hundred and thirty days."""
    return measure(rows, rounds, days=130.0)


if __name__ == "__main__":
    print(json.dumps(measure(*(int(one) for one in sys.argv[1:])), indent=2))

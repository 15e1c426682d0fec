"""The full exporter against the bare loop on five feeds, whole processes, start-up included; medians of three, in one run."""

from __future__ import annotations

import json
import sys
from statistics import median
from typing import Any

from benchmarks.lookalike import FIVE_FEEDS, config_file, look_alike, run_exporter, timed
from st_export.simulate.options import SimulateOptions


def measure(rows: int = 20_000, rounds: int = 3, days: float = 20.0) -> dict[str, Any]:
    """Return seconds, ratio, memory and CPU of both."""
    options = SimulateOptions(
        row_counts=dict.fromkeys(FIVE_FEEDS, rows), years=days / 365, requests_per_second=0, feed_lag_seconds=0, gzip=False, cache_mb=4096
    )
    with look_alike(options) as running:
        config = config_file(running, "lake", select=list(FIVE_FEEDS), limits={"requests_per_second": 10_000})
        bare = [sys.executable, "-m", "benchmarks.bare_loop", str(running.info_file), str(running.folder), *FIVE_FEEDS]
        timed(bare)  # warms the look-alike's pages
        bare_runs, ours = [], []
        for _ in range(rounds):
            seconds, out = timed(bare)
            bare_runs.append((seconds, json.loads(out)))
            ours.append(run_exporter(config, running.folder / "lake"))
    bare_seconds, our_seconds = median(run[0] for run in bare_runs), median(run[0] for run in ours)
    json_bytes = bare_runs[0][1]["json_bytes"]
    return {
        "rows": bare_runs[0][1]["rows"],
        "json_mb": round(json_bytes / 1e6, 1),
        "bare_seconds": round(bare_seconds, 2),
        "exporter_seconds": round(our_seconds, 2),
        "speed_against_bare": round(bare_seconds / our_seconds, 2),
        "bare_peak_mb": max(round(run[1]["peak_rss_mb"]) for run in bare_runs),
        "exporter_peak_mb": max(round(run[1]["totals"]["peak_rss_mb"]) for run in ours),
        "files": ours[0][1]["totals"]["files"],
    }


if __name__ == "__main__":
    print(json.dumps(measure(*(int(one) for one in sys.argv[1:])), indent=2))

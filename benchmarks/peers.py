"""Others beside us, against the same look-alike in the same run: dlt over five feeds, a sequential loop of `requests` over 27 lists.

dlt comes with the extra `[bench]`; where it is not installed it is left out by name. `BENCH_PYTHON` names another interpreter that has it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.lookalike import FIVE_FEEDS, NO_LIMIT, config_file, look_alike, run_exporter, timed
from benchmarks.rate import LISTS
from st_export.catalog.load import load_catalog
from st_export.simulate.options import SimulateOptions

AT_ONCE = 256
"""Requests under way at once, where the limit is lifted: the default of 64 is made for 60 a second."""


def measure(rows: int = 20_000, list_rows: int = 1_000, page_size: int = 100) -> dict[str, Any]:
    """Return seconds of each and how many times as fast the exporter is."""
    found = _against_requests(list_rows, page_size)
    python = _python_with("dlt")
    if python is None:
        found["dlt"] = "skipped: dlt is not installed (pip install -e '.[bench]', or BENCH_PYTHON=/path/to/python)"
    else:
        found |= _against_dlt(python, rows)
    return found


def _against_dlt(python: str, rows: int) -> dict[str, Any]:
    options = SimulateOptions(
        row_counts=dict.fromkeys(FIVE_FEEDS, rows), years=20 / 365, requests_per_second=0, feed_lag_seconds=0, gzip=False, cache_mb=4096
    )
    catalog = load_catalog()
    paths = [catalog.entities[name].path for name in FIVE_FEEDS]
    found: dict[str, Any] = {}
    with look_alike(options) as running:
        config = config_file(running, "lake", select=list(FIVE_FEEDS), limits=NO_LIMIT)
        run_exporter(config, running.folder / "lake")  # warms the look-alike's pages
        ours = min(run_exporter(config, running.folder / "lake")[0] for _ in range(2))
        script = str(Path(__file__).with_name("dlt_loop.py"))
        for mode in ("tuned", "default"):
            folder = running.folder / f"dlt-{mode}"
            folder.mkdir()
            run = timed([python, script, str(running.info_file), str(folder), mode, *paths])
            told = json.loads(run.stdout.splitlines()[-1])
            assert told["rows"] == rows * len(FIVE_FEEDS), told
            found[f"dlt_{mode}_seconds"] = round(run.seconds, 1)
            found[f"times_as_fast_as_dlt_{mode}"] = round(run.seconds / ours, 1)
            found[f"dlt_{mode}_peak_mb"] = told["peak_mb"]
            shutil.rmtree(folder)
    return {"exporter_seconds_five_feeds": round(ours, 2), **found}


def _against_requests(rows: int, page_size: int) -> dict[str, Any]:
    options = SimulateOptions(
        row_counts=dict.fromkeys(LISTS, rows), years=0.25, requests_per_second=0, feed_lag_seconds=0, latency_seconds=(0.3, 0.3), gzip=False
    )
    with look_alike(options) as running:
        arguments = [str(running.info_file), str(running.folder), str(page_size), *LISTS]
        loop = timed([sys.executable, "-m", "benchmarks.sequential_requests", *arguments])
        output = {"url": str(running.folder / "lake"), "partition": "month"}
        limits = {**NO_LIMIT, "max_in_flight": AT_ONCE}
        config = config_file(running, "lake", select=list(LISTS), limits=limits, output=output, entities={"*": {"page_size": page_size}})
        seconds, summary = run_exporter(config, running.folder / "lake")
    told = json.loads(loop.stdout)
    assert summary["totals"]["rows"] == told["rows"], (summary["totals"], told)
    return {
        "requests_loop_seconds": round(loop.seconds, 1),
        "exporter_seconds_27_lists": round(seconds, 1),
        "times_as_fast_as_the_requests_loop": round(loop.seconds / seconds, 1),
    }


def _python_with(module: str) -> str | None:
    other = os.environ.get("BENCH_PYTHON")
    if other:
        has_it = subprocess.run([other, "-c", f"import {module}"], check=False, capture_output=True).returncode == 0
        return other if has_it else None
    return sys.executable if importlib.util.find_spec(module) else None

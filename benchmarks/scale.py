"""At the size of a real account: five million records, ten large feeds and many small lists, from start to a verified lake.

Takes long; `python -m benchmarks scale` runs it on demand.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.lookalike import NO_LIMIT, config_file, look_alike, program, run_exporter, timed
from st_export.simulate.options import SimulateOptions

LARGE_FEEDS = (
    "jpm.jobs", "jpm.appointments", "crm.customers", "crm.locations", "accounting.invoices", "accounting.payments", "sales.estimates",
    "telecom.calls", "dispatch.appointment-assignments", "jpm.job-notes",
)  # fmt: skip


def measure(large_rows: int = 500_000, rows: int = 2_000) -> dict[str, Any]:
    """Return seconds, MB a second, peak memory and files of the export, and what `verify` says of the lake."""
    options = SimulateOptions(
        rows=rows, row_counts=dict.fromkeys(LARGE_FEEDS, large_rows), years=3.0, feed_page_rows=1_000, requests_per_second=0,
        feed_lag_seconds=0, gzip=False, cache_mb=256,
    )  # fmt: skip
    with look_alike(options) as running:
        config = config_file(running, "lake", kinds=["feed", "list", "plain"], limits=NO_LIMIT)
        seconds, summary = run_exporter(config, running.folder / "lake")
        verified = timed([*program(), "verify", "--config", str(config), "--json", "-q"])
        idle_seconds, idle = run_exporter(config, None)
    assert summary["outcome"] == "complete", summary
    totals, told = summary["totals"], json.loads(verified.stdout)
    assert told["ok"], told["problems"][:10]
    return {
        "rows": totals["rows"],
        "json_gb": round(totals["bytes_received"] / 1e9, 2),
        "seconds": round(seconds),
        "mb_a_second": round(totals["bytes_received"] / 1e6 / seconds, 1),
        "cpu_seconds_a_gb": round(totals["cpu_seconds"] / totals["bytes_received"] * 1e9, 1),
        "peak_mb": round(totals["peak_rss_mb"]),
        "files": totals["files"],
        "written_gb": round(totals["bytes_written"] / 1e9, 2),
        "requests": totals["requests"],
        "verify_seconds": round(verified.seconds, 1),
        "verified_rows": told["rows"],
        "next_run_seconds": round(idle_seconds, 1),
        "next_run_rows": idle["totals"]["rows"],
    }

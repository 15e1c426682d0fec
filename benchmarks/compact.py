"""`compact` over a lake of many versions: how many a second, in how much memory, and what it costs when nothing has changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from benchmarks.lookalike import FIVE_FEEDS, NO_LIMIT, command_of, config_file, look_alike, run_exporter, timed
from st_export.simulate.options import SimulateOptions


def measure(rows: int = 20_000) -> dict[str, Any]:
    """Return versions a second of a lake that an export and a bulk edit have left, and the seconds of an idle second time."""
    options = SimulateOptions(
        row_counts=dict.fromkeys(FIVE_FEEDS, rows), years=60 / 365, requests_per_second=0, feed_lag_seconds=0, gzip=False
    )
    with look_alike(options) as running:
        config = config_file(running, "lake", select=list(FIVE_FEEDS), limits=NO_LIMIT)
        _, first = run_exporter(config, running.folder / "lake")
        for name in FIVE_FEEDS:
            running.control("bulk_edit", where=name, modified_on=datetime.now(UTC).isoformat())
        _, second = run_exporter(config, None)
        work, idle = timed(command_of(config, "compact")), timed(command_of(config, "compact"))
    versions = first["totals"]["rows"] + second["totals"]["rows"]
    return {
        "versions": versions,
        "seconds": round(work.seconds, 2),
        "versions_a_second": round(versions / work.seconds),
        "idle_seconds": round(idle.seconds, 2),
        "cpu_seconds": round(work.cpu_seconds, 2),
    }

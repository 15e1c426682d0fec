"""How many files a backfill of 1,000 days leaves: per (entity, day) that has rows, and none far over the target size."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.lookalike import NO_LIMIT, config_file, look_alike, run_exporter
from st_export.simulate.options import SimulateOptions

if TYPE_CHECKING:
    from pathlib import Path

FEED = "jpm.jobs"
LIST = "accounting.journal-entries"
"""A list that comes in the order of its ids, not of the times of its records."""

TARGET_MB = 1.0


def measure(rows: int = 50_000, list_rows: int = 20_000, days: int = 1_000) -> dict[str, Any]:
    """Return files per (entity, day) of a feed and a list, and the largest file against its target where days are large."""
    options = SimulateOptions(
        row_counts={FEED: rows, LIST: list_rows}, years=days / 365, requests_per_second=0, feed_lag_seconds=0, gzip=False
    )
    since = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
    with look_alike(options) as running:
        config = config_file(running, "lake", select=[FEED, LIST], limits=NO_LIMIT, entities={LIST: {"page_size": 200}})
        seconds, summary = run_exporter(config, running.folder / "lake", "backfill", "--from", since)
        feed, listed = _spread(running.folder / "lake", FEED), _spread(running.folder / "lake", LIST)
    largest = _largest(rows)
    return {
        "rows": summary["totals"]["rows"],
        "seconds": round(seconds, 1),
        "days_with_rows_feed": len(feed),
        "files_a_day_feed": round(sum(feed.values()) / len(feed), 3),
        "days_with_rows_list": len(listed),
        "files_a_day_list": round(sum(listed.values()) / len(listed), 3),
        "largest_file_against_target": round(largest, 2),
    }


def _largest(rows: int) -> float:
    """Return the largest file, as a share of a small target, of an export with one month's rows in one partition."""
    options = SimulateOptions(row_counts={FEED: rows}, years=25 / 365, requests_per_second=0, feed_lag_seconds=0, gzip=False)
    with look_alike(options) as running:
        output = {"url": str(running.folder / "lake"), "partition": "none", "target_file_mb": TARGET_MB}
        config = config_file(running, "lake", select=[FEED], limits=NO_LIMIT, output=output)
        run_exporter(config, running.folder / "lake")
        sizes = [file.stat().st_size for file in (running.folder / "lake" / FEED).rglob("*.parquet")]
    return max(sizes) / (TARGET_MB * (1 << 20))


def _spread(lake: Path, entity: str) -> Counter[str]:
    return Counter(file.parent.name for file in (lake / entity).rglob("*.parquet"))

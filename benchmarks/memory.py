"""Peak memory at default settings: ten times the data, and pages of 5,000 heavy invoices."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.lookalike import FIVE_FEEDS, NO_LIMIT, config_file, look_alike, run_exporter
from st_export.simulate.options import SimulateOptions

HEAVY = "accounting.invoices"


def measure(rows: int = 8_000, heavy_pages: int = 6, rounds: int = 3) -> dict[str, Any]:
    """Return peaks in MB, medians of some rounds in turns, and the ratio of the larger export to the smaller."""
    peaks: list[tuple[int, int]] = []
    for _ in range(rounds):
        one, small_mb = _peak(dict.fromkeys(FIVE_FEEDS, rows), days=20)
        ten, large_mb = _peak(dict.fromkeys(FIVE_FEEDS, rows * 10), days=200)
        peaks.append((one, ten))
    small, large = (round(median(column)) for column in zip(*peaks, strict=True))
    heavy, heavy_mb = _peak({HEAVY: 5_000 * heavy_pages}, days=20, feed_page_rows=5_000, nested_items=5)
    return {
        "json_mb": small_mb,
        "peak_mb": small,
        "ten_times_json_mb": large_mb,
        "ten_times_peak_mb": large,
        "ten_times_the_data_peak_ratio": round(large / small, 2),
        "heavy_page_mb": round(heavy_mb / heavy_pages, 1),
        "heavy_pages_peak_mb": heavy,
    }


def _peak(counts: dict[str, int], *, days: float, **more: Any) -> tuple[int, int]:
    options = SimulateOptions(row_counts=counts, years=days / 365, requests_per_second=0, feed_lag_seconds=0, gzip=False, **more)
    with look_alike(options) as running:
        config = config_file(running, "lake", select=list(counts), limits=NO_LIMIT)
        _, summary = run_exporter(config, running.folder / "lake")
    return round(summary["totals"]["peak_rss_mb"]), round(summary["totals"]["bytes_received"] / 1e6)

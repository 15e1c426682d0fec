"""One long feed at a real latency: 16 shards against one chain, whole processes; both lakes must hold the same versions."""

from __future__ import annotations

import json
import sys
from typing import Any

import duckdb

from benchmarks.lookalike import config_file, look_alike, run_exporter
from st_export.simulate.options import SimulateOptions

FEED = "jpm.jobs"


def measure(pages: int = 200, shards: int = 16, latency_seconds: float = 0.5, page_rows: int = 50) -> dict[str, Any]:
    """Return seconds and requests of both, and their ratio; the service's limit is the usual one."""
    options = SimulateOptions(
        row_counts={FEED: pages * page_rows},
        years=3.0,
        feed_page_rows=page_rows,
        feed_lag_seconds=0,
        latency_seconds=(latency_seconds, latency_seconds),
    )
    with look_alike(options) as running:
        found = {}
        for name, changes in (("split", {"feed_split": shards}), ("chain", {})):
            output = {"url": str(running.folder / name), "partition": "month"}
            config = config_file(running, name, select=[FEED], output=output, **changes)
            seconds, summary = run_exporter(config, running.folder / name)
            found[name] = (seconds, summary["totals"], _versions(f"{running.folder}/{name}/{FEED}"))
    (split_seconds, split, split_rows), (chain_seconds, chain, chain_rows) = found["split"], found["chain"]
    assert split_rows == chain_rows == pages * page_rows
    return {
        "rows": split_rows,
        "latency_seconds": latency_seconds,
        "shards": shards,
        "chain_seconds": round(chain_seconds, 1),
        "split_seconds": round(split_seconds, 1),
        "times_as_fast": round(chain_seconds / split_seconds, 1),
        "chain_requests": chain["requests"],
        "split_requests": split["requests"],
    }


def _versions(folder: str) -> int:
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT count(DISTINCT id) FROM read_parquet('{folder}/**/*.parquet')").fetchone()
        return int(row[0]) if row else 0


if __name__ == "__main__":
    print(json.dumps(measure(*(int(one) for one in sys.argv[1:])), indent=2))

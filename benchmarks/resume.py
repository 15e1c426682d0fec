"""What a kill -9 at half-way costs: requests of a killed and a resumed run together, against one clean run."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Any

from benchmarks.lookalike import command_of, config_file, look_alike, run_exporter
from st_export.simulate.options import SimulateOptions

FEEDS = ("jpm.jobs", "crm.customers", "accounting.invoices", "jpm.appointments", "sales.estimates")
LISTS = ("accounting.journal-entries", "crm.contacts", "dispatch.technician-shifts", "inventory.receipts", "taskmanagement.tasks")


def measure(pages: int = 250, page_rows: int = 50) -> dict[str, Any]:
    """Return the requests of both, and what the killed one cost on top in percent."""
    options = SimulateOptions(
        row_counts=dict.fromkeys((*FEEDS, *LISTS), pages * page_rows),
        years=0.5,
        feed_page_rows=page_rows,
        feed_lag_seconds=0,
        requests_per_second=60,
        latency_seconds=(0.1, 0.3),
    )
    with look_alike(options) as running:
        config = config_file(
            running,
            "lake",
            select=[*FEEDS, *LISTS],
            limits={"requests_per_second": 55},
            entities={name: {"page_size": page_rows} for name in LISTS},
        )
        seconds, summary = run_exporter(config, running.folder / "lake")
        clean, rows = running.stats()["requests"], summary["totals"]["rows"]
        running.control("reset_stats")
        shutil.rmtree(running.folder / "lake")
        at_kill = _killed_at(running, command_of(config), clean // 2)
        _, resumed = run_exporter(config, None)
        both = running.stats()["requests"]
    return {
        "clean_requests": clean,
        "clean_seconds": round(seconds, 1),
        "requests_at_the_kill": at_kill,
        "requests_killed_and_resumed": both,
        "cost_of_the_kill_percent": round(100 * (both - clean) / clean, 1),
        "rows_already_committed_at_the_kill": rows - resumed["totals"]["rows"],
    }


def _killed_at(running: Any, command: list[str], requests: int) -> int:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while (seen := int(running.stats()["requests"])) < requests:
        if process.poll() is not None:
            raise RuntimeError("the run ended before it was killed")
        time.sleep(0.05)
    process.kill()
    process.wait()
    return seen

"""How much of the permitted rate is used, counted where the requests arrive, while at least a second's worth of them is ready.

60 a second allowed and configured, 0.4 to 1.0 s latency, 27 lists in small pages, cut into many windows. Also five tenants at once, each
with its own 60 a second, and the same lists in pages of the usual size, about a megabyte: there bytes limit as well, hence no share.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

from benchmarks.lookalike import config_file, look_alike, run_exporter, timed
from st_export.simulate.options import SimulateOptions

LIMIT = 60

LISTS = (
    "accounting.ap-bills", "accounting.ap-credits", "accounting.ap-payments", "accounting.bank-deposits", "accounting.credit-memos",
    "accounting.gl-accounts", "accounting.journal-entries", "accounting.payment-terms", "accounting.remittance-vendors",
    "accounting.tax-zones", "crm.contacts", "dispatch.non-job-appointments", "dispatch.teams", "dispatch.technician-shifts",
    "dispatch.zones", "forms.forms", "inventory.receipts", "inventory.trucks", "inventory.vendors", "inventory.warehouses",
    "jpm.job-types", "marketing.campaigns", "marketing.suppressions", "payroll.non-job-timesheets", "payroll.payrolls",
    "pricebook.discounts-and-fees", "taskmanagement.tasks",
)  # fmt: skip


def measure(rows: int = 380, page_rows: int = 5, rounds: int = 3) -> dict[str, Any]:
    """Return the share of the rate that one tenant and five tenants use, refusals, and the worst rolling second; seconds of large pages."""
    one = _sum([_tenants((1001,), rows, page_rows)])
    five = _sum([_tenants((1001, 1002, 1003, 1004, 1005), rows // 2, page_rows) for _ in range(rounds)])
    return {"one tenant": one, "five tenants": five, "large pages": _large_pages()}


def _sum(rounds: list[dict[str, int]]) -> dict[str, Any]:
    """Return all rounds as one: sums, the share over all their busy seconds, the worst second of any."""
    total = {name: sum(one[name] for one in rounds) for name in rounds[0]}
    seconds, requests = total["busy_seconds"], total["requests_in_them"]
    share = round(100 * requests / (LIMIT * seconds), 1) if seconds else 0.0
    return {"share_of_the_rate_percent": share, **total, "worst_rolling_second": max(one["worst_rolling_second"] for one in rounds)}


def _large_pages(rows: int = 20_000) -> dict[str, Any]:
    """Return how long pages of the usual size take; the look-alike has made them before, in a run that is not timed."""
    options = SimulateOptions(
        row_counts=dict.fromkeys(LISTS, rows),
        years=3.0,
        requests_per_second=LIMIT,
        latency_seconds=(0.4, 1.0),
        feed_lag_seconds=0,
        gzip=False,
        cache_mb=4096,
    )
    with look_alike(options) as running:
        limits, output = {"requests_per_second": LIMIT}, {"url": str(running.folder / "lake"), "partition": "none"}
        config = config_file(running, "lake", select=list(LISTS), limits=limits, output=output)
        run_exporter(config, running.folder / "lake")
        before = running.stats()
        seconds, summary = run_exporter(config, running.folder / "lake")
        after = running.stats()
    received_mb, requests = summary["totals"]["bytes_received"] / 1e6, after["requests"] - before["requests"]
    return {
        "json_mb": round(received_mb),
        "seconds": round(seconds, 1),
        "mb_a_second": round(received_mb / seconds, 1),
        "requests": requests,
        "seconds_at_the_limit": round(requests / LIMIT, 1),
        "peak_mb": round(summary["totals"]["peak_rss_mb"]),
        "refused_429": after["rate_limited"] - before["rate_limited"],
    }


def _tenants(tenants: tuple[int, ...], rows: int, page_rows: int) -> dict[str, int]:
    options = SimulateOptions(
        row_counts=dict.fromkeys(LISTS, rows),
        years=3.0,
        tenants=tenants,
        requests_per_second=LIMIT,
        latency_seconds=(0.4, 1.0),
        feed_lag_seconds=0,
    )
    with look_alike(options) as running:
        config = config_file(
            running,
            "lake",
            select=list(LISTS),
            limits={"requests_per_second": LIMIT},
            output={"url": str(running.folder / "lake"), "partition": "none"},
            entities={"*": {"page_size": page_rows}},
        )
        samples = running.folder / "samples.json"
        timed([sys.executable, "-m", "benchmarks.rate_probe", str(config), str(samples)])
        stats = running.stats(log=True)
        ready = json.loads(samples.read_text())
    arrivals: dict[int, list[float]] = defaultdict(list)
    for seen in stats["log"]:
        arrivals[int(seen["path"].split("/")[4])].append(seen["at"])
    counted = [_busy_seconds(times, [(at, dict(counts).get(tenant, 0)) for at, counts in ready]) for tenant, times in arrivals.items()]
    seconds, requests = sum(one[0] for one in counted), sum(one[1] for one in counted)
    return {
        "busy_seconds": seconds,
        "requests_in_them": requests,
        "requests": stats["requests"],
        "worst_rolling_second": stats["worst_second"],
        "refused_429": stats["rate_limited"],
    }


def _busy_seconds(arrivals: list[float], ready: list[tuple[float, int]]) -> tuple[int, int]:
    """Return how many whole seconds had a second's worth of requests ready all the time, and the arrivals in them."""
    busy = requests = 0
    start, last = arrivals[0], arrivals[-1]
    while start + 1.0 <= last:
        within = [count for at, count in ready if start <= at < start + 1.0]
        if within and min(within) >= LIMIT:
            busy += 1
            requests += sum(start <= at < start + 1.0 for at in arrivals)
        start += 1.0
    return busy, requests

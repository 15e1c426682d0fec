"""The report: self-contained, complete, legible, and honest about what failed."""

from __future__ import annotations

import re
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest

from st_export.observe.comparison import compared
from st_export.observe.html import render, span_text


def entity(name: str, rows: int = 100, status: str = "ok", **more: object) -> dict[str, Any]:
    zero = dict.fromkeys(("pages", "files", "bytes_received", "bytes_written", "retries", "rescued", "rejected"), 0)
    empty: dict[str, Any] = {"window": None, "seconds": 1.0, "error": None, "hint": None, "manifests": []}
    return {"name": name, "status": status, "rows": rows, **zero, **empty, **more}


def run(number: int, *entities: dict[str, Any], outcome: str = "complete") -> dict[str, Any]:
    names = ("requests", "retries", "rate_limited", "token_requests", "bytes_received", "bytes_written", "files", "peak_rss_mb")
    return {
        "run_id": f"r{number}",
        "command": "run",
        "started_at": f"2026-11-{number:02d}T02:00:00Z",
        "finished_at": f"2026-11-{number:02d}T02:01:40Z",
        "outcome": outcome,
        "exit_code": 0 if outcome == "complete" else 4,
        "tenants": [{"id": 1001, "entities": list(entities)}],
        "totals": {"rows": sum(one["rows"] for one in entities), "seconds": 100.0, **dict.fromkeys(names, 7)},
    }


SERIES: dict[str, Any] = {
    "started_at": "2026-11-23T02:00:00Z",
    "step_seconds": 1,
    "per_second": [10, 55, 61, 0, 20],
    "limit": 55.0,
    "latency_ms": {"p50": 400.0, "p90": 900.0, "p99": 1500.0, "max": 20_000.0},
    "entities": {"jpm.jobs@1001": [0.0, 60.0], "crm.leads@1001": [10.0, None]},
    "statuses": {"200": 100, "429": 2, "0": 1},
    "held_back_seconds": {"1001": 12.0},
}


class Page(HTMLParser):
    """Checks that tags close in order, and keeps text and attributes."""

    VOID = frozenset({"meta", "link", "line", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "srcset", "action")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "style":
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


def test_the_page_needs_no_network_and_no_script() -> None:
    text = render(run(23, entity("jpm.jobs")), series=SERIES)
    page = Page(text)
    assert page.links == ["data:,"]
    assert not re.search(r"https?:|<script|@import|url\(", text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_it_shows_outcome_totals_rate_latency_and_entities() -> None:
    summary = run(23, entity("jpm.jobs", rows=12_345, manifests=["_st_export/manifests/x.json"]), entity("crm.leads"))
    page = Page(render(summary, series=SERIES))
    for expected in (
        "complete",
        "12,445",
        "1m 40s",
        "limit 55/s",
        "Mean 29.2, peak 61, limit 55",
        "Half within 400 ms",
        "Slowest 20s",
        "HTTP 429 2",
        "No answer 1",
        "Held back, tenant 1001 12s",
        "Entities over time jpm.jobs crm.leads",
        "12,345",
        "_st_export/manifests/x.json",
    ):
        assert expected in page.text


def test_failures_come_with_their_remedies_and_skips_after_them() -> None:
    failed = entity("settings.technicians", status="failed", error="403: <b>Scope</b>", hint="tick Settings")
    skipped = entity("accounting.payments", status="skipped", error="404: unknown")
    text = render(run(23, skipped, failed, outcome="partial"))
    page = Page(text)
    assert "<b>Scope" not in text
    assert "settings.technicians failed 403: <b>Scope</b> What to do: tick Settings accounting.payments skipped 404: unknown" in page.text


def test_a_run_without_series_and_without_entities_renders() -> None:
    page = Page(render(run(23), []))
    assert "Requests a second" not in page.text
    assert "Entities over time" not in page.text


def test_rows_far_from_their_median_stand_out() -> None:
    history = [run(number, entity("jpm.jobs", rows=1000 + number), entity("crm.leads", rows=10)) for number in range(1, 10)]
    history.append(run(24, entity("jpm.jobs", rows=5)))
    comparison = compared(run(23, entity("jpm.jobs", rows=100), entity("crm.leads", rows=40)), history)
    assert [(one.name, one.rows, one.usual, one.runs) for one in comparison.unusual] == [("jpm.jobs", 100, 1005.0, 9)]
    assert [one.run_id for one in comparison.runs] == ["r23", *(f"r{number}" for number in range(9, 0, -1))]


def test_failed_runs_and_other_commands_are_no_measure() -> None:
    history = [run(number, entity("jpm.jobs", rows=1000, status="failed")) for number in range(1, 6)]
    backfill = deepcopy(run(7, entity("jpm.jobs", rows=1000)))
    backfill["command"] = "backfill"
    assert compared(run(23, entity("jpm.jobs", rows=1)), [*history, backfill]).unusual == ()


def test_columns_gone_all_null_are_listed() -> None:
    page = Page(render(run(23, entity("jpm.jobs")), empty_columns=[{"entity": "jpm.jobs", "column": "customerPo", "rows": 1000}]))
    assert "Columns gone all null" in page.text
    assert "jpm.jobs customerPo (1,000 rows)" in page.text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.44, "0.4s"), (12.4, "12s"), (64, "1m 04s"), (7500, "2h 05m"), (59.7, "1m 00s")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_a_long_run_is_drawn_within_bounds() -> None:
    series = {**SERIES, "per_second": [55] * 3600, "entities": {f"e{number}@1001": [0, number] for number in range(500)}}
    text = render(run(23, entity("jpm.jobs")), series=series)
    assert len(text) < 60_000

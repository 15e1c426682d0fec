"""Events of a run → the contract's summary and the series of the report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from st_export import events
from st_export.observe.record import MAX_STEPS, Latency, Rate, Recorder
from st_export.run.summary import UNFINISHED, Summary

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def of(seconds: float, entity: str = "jpm.jobs", tenant: int = 1001) -> dict[str, Any]:
    return {"at": at(seconds), "tenant": tenant, "entity": entity}


def recorded(*happened: events.Event) -> Recorder:
    recorder = Recorder()
    started = events.RunStarted(at=START, run="r1", command="run", tenants=(1001,), entities=2, requests_per_second=55.0)
    for event in (started, *happened):
        recorder(event)
    return recorder


def request(seconds: float, status: int = 200, took: float = 0.5, entity: str = "jpm.jobs") -> events.RequestFinished:
    return events.RequestFinished(**of(seconds, entity), status=status, wire_bytes=100, seconds=took, will_retry=status != 200)


def committed(seconds: float, start: float, end: float | None) -> events.Committed:
    window = (at(start), None if end is None else at(end))
    manifest = f"_st_export/manifests/jpm.jobs/1001/{int(seconds):08d}-run-0001-x.json"
    return events.Committed(**of(seconds), unit="u", rows=10, files=1, bytes=500, rescued=2, rejected=1, manifest=manifest, window=window)


def test_the_summary_is_the_contracts_document() -> None:
    recorder = recorded(
        events.EntityStarted(**of(1), kind="feed"),
        events.TokenRenewed(at=at(1), tenant=1001, lifetime_seconds=900),
        request(2, status=429),
        request(4),
        events.PageFetched(**of(4), bytes=1000),
        committed(5, start=-60, end=-30),
        committed(6, start=-30, end=0),
        events.EntityFinished(**of(8.5), status="ok"),
        events.EntityFinished(**of(9, "crm.leads"), status="skipped", error="403: Scope validation failed", hint="tick CRM > Leads"),
    )
    document = recorder.summary(run_id="r1", command="run", outcome="complete", exit_code=0, finished_at=at(10), peak_rss_mb=123.44)
    series = document.pop("series")
    empty = dict.fromkeys(("rows", "pages", "files", "bytes_received", "bytes_written", "requests", "retries", "rescued", "rejected"), 0)
    skipped: dict[str, Any] = {
        "name": "crm.leads",
        "kind": None,
        "status": "skipped",
        **empty,
        "window": None,
        "seconds": 0.0,
        "error": "403: Scope validation failed",
        "hint": "tick CRM > Leads",
        "manifests": [],
    }
    jobs = {
        "name": "jpm.jobs",
        "kind": "feed",
        "status": "ok",
        "rows": 20,
        "pages": 1,
        "files": 2,
        "bytes_received": 200,
        "bytes_written": 1000,
        "requests": 2,
        "retries": 1,
        "rescued": 4,
        "rejected": 2,
        "window": ["2026-11-23T01:59:00Z", "2026-11-23T02:00:00Z"],
        "seconds": 7.5,
        "error": None,
        "hint": None,
        "manifests": [f"_st_export/manifests/jpm.jobs/1001/{ordinal:08d}-run-0001-x.json" for ordinal in (5, 6)],
    }
    assert document == {
        "run_id": "r1",
        "command": "run",
        "started_at": "2026-11-23T02:00:00Z",
        "finished_at": "2026-11-23T02:00:10Z",
        "outcome": "complete",
        "exit_code": 0,
        "tenants": [{"id": 1001, "entities": [skipped, jobs]}],
        "totals": {
            "rows": 20,
            "requests": 2,
            "retries": 1,
            "rate_limited": 1,
            "token_requests": 1,
            "bytes_received": 200,
            "bytes_written": 1000,
            "files": 2,
            "seconds": 10.0,
            "peak_rss_mb": 123.4,
        },
    }
    assert series["entities"] == {"jpm.jobs@1001": [1.0, 8.5]}


def test_an_open_window_stays_open_and_no_commit_means_none() -> None:
    recorder = recorded(committed(1, start=-60, end=-30), committed(2, start=-30, end=None))
    document = recorder.summary(run_id="r1", command="run", outcome="complete", exit_code=0)
    assert document["tenants"][0]["entities"][0]["window"] == ["2026-11-23T01:59:00Z", None]


def test_the_window_that_was_asked_stands_before_the_parts_it_was_read_in() -> None:
    recorder = recorded(
        events.WindowOpened(**of(0), window=(None, at(0))), committed(1, start=-60, end=-30), committed(2, start=-30, end=None)
    )
    document = recorder.summary(run_id="r1", command="run", outcome="complete", exit_code=0)
    assert document["tenants"][0]["entities"][0]["window"] == [None, "2026-11-23T02:00:00Z"]


def test_an_entity_that_did_not_end_says_so() -> None:
    recorder = recorded(events.EntityStarted(**of(1), kind="feed"))
    for outcome, status in (("stopped", "ok"), ("failed", "failed")):
        document = recorder.summary(run_id="r1", command="run", outcome=outcome, exit_code=0, finished_at=at(4))  # type: ignore[arg-type]
        [entity] = document["tenants"][0]["entities"]
        assert (entity["status"], entity["error"], entity["seconds"]) == (status, UNFINISHED, 3.0)


def test_requests_are_counted_in_the_second_they_were_sent() -> None:
    series = recorded(request(1.2, took=0.5), request(1.9, took=0.1), request(3.4, took=2.0, status=429)).series()
    assert (series["per_second"], series["limit"], series["statuses"]) == ([1, 2], 55.0, {"200": 2, "429": 1})


def test_the_rate_stays_bounded_and_keeps_every_request() -> None:
    rate = Rate()
    for second in range(0, MAX_STEPS * 5, 2):
        rate.add(second)
    steps = rate.document()
    assert len(steps) <= MAX_STEPS
    assert (rate.step_seconds, sum(steps) * rate.step_seconds) == (8, MAX_STEPS * 5 // 2)


def test_percentiles_are_right_within_two_percent() -> None:
    latency = Latency()
    assert latency.document() == {"p50": None, "p90": None, "p99": None, "max": None}
    for milliseconds in range(1, 1001):
        latency.add(milliseconds / 1000)
    document = latency.document()
    for name, right in (("p50", 500), ("p90", 900), ("p99", 990)):
        assert abs((document[name] or 0) - right) <= right * 0.021
    assert document["max"] == 1000.0


def test_a_summary_before_any_event_is_empty() -> None:
    document = Summary().document(run_id="r", command="run", outcome="failed", exit_code=2, peak_rss_mb=1)
    assert (document["started_at"], document["tenants"], document["totals"]["seconds"]) == (None, [], 0.0)

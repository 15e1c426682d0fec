"""Log lines: text, JSON with stable keys, levels; and that no secret passes in any spelling."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from st_export import events as happened
from st_export.config.redaction import redact
from st_export.observe.logs import LogWriter, log_line
from st_export.observe.wording import Level, event_level, event_message, event_name, event_place

AT = datetime(2026, 11, 25, 2, 0, 1, 500000, tzinfo=UTC)
SECRET = 'a+b/c=d&e%20f#g$h${HOME}"i'
JOBS: dict[str, Any] = {"at": AT, "tenant": 1001, "entity": "jpm.jobs"}
EVENTS: list[tuple[happened.Event, Level, str]] = [
    (happened.RunStarted(at=AT, run="r1", command="run", tenants=(1, 2), entities=216, requests_per_second=55.0), "info",
     "run r1 started: 216 entities of 2 tenants, at most 55 requests/s"),
    (happened.RunFinished(at=AT, run="r1", outcome="partial", exit_code=4), "info", "run r1 ended: partial, exit code 4"),
    (happened.EntityStarted(**JOBS, kind="feed"), "debug", "started (feed)"),
    (happened.EntityStarted(**JOBS, kind="list", rows_expected=57707), "debug", "started (list), 57,707 rows expected"),
    (happened.WindowOpened(**JOBS, window=(None, AT)), "debug", "brings what was modified ever, before 2026-11-25T02:00:01Z"),
    (happened.WindowOpened(**JOBS, window=(AT, AT)), "debug",
     "brings what was modified from 2026-11-25T02:00:01Z on, before 2026-11-25T02:00:01Z"),
    (happened.RequestFinished(**JOBS, status=200, wire_bytes=5, seconds=0.5, will_retry=False), "debug", "answer 200 after 0.50s, 5 bytes"),
    (happened.RequestFinished(**JOBS, status=0, wire_bytes=0, seconds=1.0, will_retry=True, reason="reset"), "debug",
     "answer none after 1.00s, 0 bytes, will be repeated: reset"),
    (happened.PageFetched(**JOBS, bytes=7), "debug", "page of 7 bytes"),
    (happened.PageDecoded(**JOBS, rows=1, rescued=0, rejected=0), "debug", "1 row decoded"),
    (happened.TokenRenewed(at=AT, tenant=1001, lifetime_seconds=900.0), "debug", "token renewed for 15m 00s"),
    (happened.TenantHeldBack(at=AT, tenant=1001, seconds=50.0, reason="rate limited"), "info", "all calls are held back 50s: rate limited"),
    (happened.TenantHeldBack(at=AT, tenant=1001, seconds=2.0, reason="503"), "debug", "all calls are held back 2.0s: 503"),
    (happened.Waiting(at=AT, tenant=1001, entity="report.a", seconds=43.0, reason="once a minute"), "info", "waits 43s: once a minute"),
    (happened.CommitStepped(**JOBS, unit="run-0001-x", step="files"), "debug", "run-0001-x: files"),
    (happened.Committed(**JOBS, unit="u", rows=1200, files=1, bytes=5_000_000, rescued=0, rejected=0, manifest="m"), "debug",
     "u committed: 1,200 rows, 1 file, 5.0 MB"),
    (happened.EntityFinished(**JOBS, status="ok"), "info", "ok"),
    (happened.EntityFinished(**JOBS, status="failed", error="it broke", hint="mend it"), "error", "failed: it broke (hint: mend it)"),
    (happened.EntityFinished(**JOBS, status="skipped", error="403"), "warning", "skipped: 403"),
    (happened.Noted(at=AT, level="warning", text="a parent is gone", tenant=1001), "warning", "a parent is gone"),
]  # fmt: skip


def test_every_kind_of_event_has_words() -> None:
    kinds = {kind for kind in vars(happened).values() if isinstance(kind, type) and issubclass(kind, happened.Event)}
    assert kinds - {happened.Event, happened.EntityEvent} == {type(event) for event, _, _ in EVENTS}


@pytest.mark.parametrize(("event", "level", "message"), EVENTS, ids=lambda value: type(value).__name__)
def test_an_event_has_a_level_and_a_sentence(event: happened.Event, level: Level, message: str) -> None:
    assert (event_level(event), event_message(event)) == (level, message)


@pytest.mark.parametrize("event", [event for event, _, _ in EVENTS], ids=lambda event: type(event).__name__)
def test_a_json_line_has_stable_keys(event: happened.Event) -> None:
    stream = io.StringIO()
    LogWriter(stream, log_format="json", level="debug")(event)
    line = json.loads(stream.getvalue())
    assert list(line)[:4] == ["time", "level", "event", "message"]
    assert (line["time"], line["event"]) == ("2026-11-25T02:00:01.500000Z", event_name(event))
    assert set(list(line)[4:]) <= {field.name for field in fields(event)} - {"at", "level", "text"}


def test_a_json_line_is_whole() -> None:
    stream = io.StringIO()
    LogWriter(stream, log_format="json")(happened.EntityFinished(**JOBS, status="failed", error="it broke"))
    assert stream.getvalue() == (
        '{"time":"2026-11-25T02:00:01.500000Z","level":"error","event":"entity_finished","message":"failed: it broke",'
        '"tenant":1001,"entity":"jpm.jobs","status":"failed","error":"it broke"}\n'
    )


def test_a_text_line_has_time_level_and_place() -> None:
    stream = io.StringIO()
    writer = LogWriter(stream)
    writer(happened.Noted(at=AT, level="info", text="hello"))
    writer(happened.EntityFinished(**JOBS, status="skipped", error="403"))
    assert stream.getvalue() == "02:00:01 info    hello\n02:00:01 warning tenant 1001, jpm.jobs: skipped: 403\n"


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_only_what_matters_enough_is_written(level: Level, lines: int) -> None:
    stream = io.StringIO()
    writer = LogWriter(stream, level=level)
    for each in ("debug", "info", "warning", "error"):
        writer(happened.Noted(at=AT, level=each, text="x"))
    assert stream.getvalue().count("\n") == lines


def test_a_place_is_tenant_and_entity() -> None:
    assert event_place(happened.Waiting(at=AT, tenant=7, entity=None, seconds=9.0, reason="")) == "tenant 7"
    assert event_place(happened.RunFinished(at=AT, run="r", outcome="complete", exit_code=0)) == ""


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(quote(SECRET, safe=""), safe=""),
        quote(SECRET, safe="").lower().replace("home", "HOME"),
        json.dumps(SECRET),
        repr(SECRET),
        basic(SECRET),
        basic(f"client:{SECRET}"),
        basic(f"client1:{SECRET}:more"),
        basic(f"client12:{SECRET}"),
        base64.urlsafe_b64encode(f"c:{SECRET}".encode()).decode(),
        f"https://x/?k={quote(SECRET, safe='')}&z=1",
    ],
)
def test_no_secret_passes_in_any_spelling(text: str) -> None:
    shown = redact(f"before {text} after", ("another-secret", SECRET))
    assert (shown.startswith("before "), shown.endswith(" after"), "[redacted]" in shown) == (True, True, True)
    kept = [form for form in (SECRET, quote(SECRET, safe=""), basic(SECRET)[4:-4], SECRET[:12]) if form in shown]
    assert kept == []


def test_bearer_tokens_do_not_pass_and_other_text_does() -> None:
    assert redact("Authorization: Bearer eyJhbGciOi.J9-_x", ()) == "Authorization: Bearer [redacted]"
    assert redact("the bearer of news; nothing secret here", ("",)) == "the bearer of news; nothing secret here"


def test_a_log_writer_redacts() -> None:
    stream = io.StringIO()
    for log_format in ("text", "json"):
        LogWriter(stream, log_format=log_format, secrets=(SECRET,))(happened.Noted(at=AT, level="error", text=f"refused {SECRET}"))
    assert ("HOME" in stream.getvalue(), stream.getvalue().count("refused [redacted]")) == (False, 2)


def test_a_log_line_stands_alone() -> None:
    assert log_line("error", "error", "wrong", {"hint": "mend"}, AT) == (
        '{"time":"2026-11-25T02:00:01.500000Z","level":"error","event":"error","message":"wrong","hint":"mend"}'
    )

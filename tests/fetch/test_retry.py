"""Waits that a service asks for, refusals of every form, and the state of a call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from st_export.fetch.refusal import Refusal, read_refusal
from st_export.fetch.retry import CallFailed, Failure, RetryPolicy, Tries, asked_wait

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
DATE = "Mon, 23 Nov 2026 12:00:10 GMT"


@pytest.mark.parametrize(
    ("header", "text", "seconds"),
    [
        ("4", "Try again in 50 seconds.", 4),
        ("1.5", "", 1.5),
        (" 0 ", "", 0),
        ("Mon, 23 Nov 2026 12:00:40 GMT", "", 30),
        ("Mon, 23 Nov 2026 11:00:00 GMT", "", 0),
        (None, "Rate limit is exceeded. Try again in 50 seconds.", 50),
        ("soon", "Rate limit is exceeded. Try again in 2.5 seconds.", 2.5),
        ("-3", "answered 429, wait 250 ms", 0.25),
        ("nan", "Retry in 2 minutes", 120),
        ("inf", "Quota is back in 1 hour", 3600),
        (None, "429: please retry after 7", 7),
        (None, "HTTP 429 Service is busy", None),
        (None, "", None),
    ],
)
def test_the_wait_that_is_asked_for(header: str | None, text: str, seconds: float | None) -> None:
    assert asked_wait(header, DATE, text, NOW) == seconds


def test_a_date_without_the_answers_own_is_read_against_the_services_clock() -> None:
    assert asked_wait("Mon, 23 Nov 2026 12:00:40 GMT", None, "", NOW) == 40


@pytest.mark.parametrize(
    ("status", "body", "refusal"),
    [
        (
            400,
            b'\xef\xbb\xbf{"type": "x", "title": "Bad sort", "traceId": "00-a", "errors": {"sort": ["no", "never"], "": ["y"]}}',
            Refusal(400, "Bad sort", "sort: no, never; : y", "00-a"),
        ),
        (404, b'{"statusCode": 404, "message": "Unable to match"}', Refusal(404, "Unable to match")),
        (401, b'{"Title": "A", "Detail": "A", "TraceId": 5, "errors": ["b", 1]}', Refusal(401, "A", "b; 1")),
        (502, b"<html><TITLE>Bad\n gateway</TITLE>", Refusal(502, "Bad gateway", is_html=True)),
        (503, b"<!doctype html><p>x", Refusal(503, "an HTML page", is_html=True)),
        (500, b"\xff\x1b[31mred", Refusal(500, "\ufffd [31mred")),
        (500, b"", Refusal(500, "")),
        (400, b"[1, null]", Refusal(400, "[1, None]")),
        (400, b'{"title": {"a": 1}, "errors": 5}', Refusal(400, "")),
    ],
)
def test_a_refusal_is_read_whatever_its_form(status: int, body: bytes, refusal: Refusal) -> None:
    assert read_refusal(status, body) == refusal


def test_a_refusal_is_short_and_without_secrets() -> None:
    refusal = read_refusal(400, b'{"title": "key k-123 ' + b"x" * 5000 + b'"}', secrets=("", "k-123"))
    assert refusal.title.startswith("key *** xxx")
    assert len(refusal.title) == 601


def pauses(policy: RetryPolicy, failures: list[CallFailed], *, shrinkable: bool = False) -> list[Any]:
    tries = Tries(policy, shrinkable=shrinkable, now_seconds=lambda: 0.0)
    return [tries.next_pause(failed) for failed in failures]


def failed(failure: Failure, status: int = 0, *, seconds: float = 0.0, asked: float | None = None, is_probe: bool = False) -> CallFailed:
    made = CallFailed(failure, "x", status=status, asked_seconds=asked)
    made.seconds, made.is_probe = seconds, is_probe
    return made


def test_probes_of_a_dead_service_are_not_tries() -> None:
    policy = RetryPolicy(attempts=3)
    assert pauses(policy, [failed("status", 503, is_probe=True)] * 20) == [True] * 20
    assert pauses(policy, [failed("status", 500, is_probe=True)] * 3) == [True, True, False]
    assert pauses(policy, [failed("transport")] * 3) == [True, True, False]


def test_a_heavy_page_is_handed_back_early() -> None:
    policy = RetryPolicy()
    assert pauses(policy, [failed("timeout")], shrinkable=True) == [False]
    assert pauses(policy, [failed("status", 504, seconds=99)], shrinkable=True) == [False]
    assert pauses(policy, [failed("status", 504), failed("cut_off")], shrinkable=True) == [True, False]
    assert pauses(policy, [failed("status", 504, is_probe=True)] * 3, shrinkable=True) == [True] * 3
    assert pauses(policy, [failed("status", 503)] * 3, shrinkable=True) == [True] * 3


def test_asked_waits_go_first_up_to_ten_minutes() -> None:
    assert pauses(RetryPolicy(), [failed("status", 503, asked=600), failed("throttled", 429, asked=601)]) == [600, False]


def test_an_untrusted_certificate_is_not_tried_again() -> None:
    assert pauses(RetryPolicy(), [failed("untrusted")]) == [False]


def test_a_token_found_dead_by_another_call_is_not_a_refusal() -> None:
    stale = failed("unauthorized", 401)
    stale.is_stale_token = True
    assert pauses(RetryPolicy(), [failed("unauthorized", 401), stale, stale, failed("unauthorized", 401)]) == [0.0, 0.0, 0.0, False]


def test_a_429_that_asks_for_nothing_holds_ever_longer_and_a_503_shortly() -> None:
    policy = RetryPolicy()
    assert [policy.hold_for(failed("throttled", 429), tries) for tries in (1, 2, 3, 50)] == [1, 2, 4, 60]
    assert [policy.hold_for(failed("status", 503), tries) for tries in (1, 9)] == [0.25, 0.25]
    assert policy.hold_for(failed("status", 503, asked=7), 1) == 7

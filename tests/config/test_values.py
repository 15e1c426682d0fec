"""Durations, dates and URLs as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from st_export.config.values import duration_seconds, moment, service_url


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("1.5h", 5400.0),
        ("15m", 900.0),
        ("26h", 93600.0),
        ("7d", 604800.0),
        ("1h 30m", 5400.0),
        ("500ms", 0.5),
        (" 2w ", 1209600.0),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5x", "-3s", "1h30", "h1", "1 2", "1e3", "nan", "inf", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_seconds(text)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-01",
        "2026-11-01T00:00",
        "2026-11-01T00:00:00Z",
        "2026-10-31T20:00:00-04:00",
        date(2026, 11, 1),
        datetime(2026, 11, 1),  # noqa: DTZ001 - without a zone it means UTC
        datetime(2026, 11, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_date_or_time_is_a_moment_in_utc(value: object) -> None:
    assert moment(value) == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "yesterday", "20261101", "2026-W45-7", "2026-13-01", "2026-02-30", "2026-11-01T25:00", 20261101])
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a date|does not exist"):
        moment(value)


@pytest.mark.parametrize(
    "url",
    ["https://api.servicetitan.io/", "http://127.0.0.1:8911", "http://localhost:1", "http://[::1]:8911", "http://127.8.9.1"],
)
def test_a_url_of_the_service_is_https_or_loopback(url: str) -> None:
    assert service_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://api.servicetitan.io", "must begin with `https://`"),
        ("http://127.0.0.1.example.com", "must begin with `https://`"),
        ("http://localhost.example.com", "must begin with `https://`"),
        ("http://[::2]", "must begin with `https://`"),
        ("https://user:word@api.servicetitan.io", "must be a plain URL"),
        ("https://api.servicetitan.io?key=1", "must be a plain URL"),
        ("ftp://api.servicetitan.io", "is not a URL"),
        ("api.servicetitan.io", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://host:port", "is not a URL"),
        ("http://[::1", "is not a URL"),
    ],
)
def test_another_url_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        service_url(url)

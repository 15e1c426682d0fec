"""Single values as people write them: durations, dates, URLs. Pure functions from text to a value; the caller knows where it stands."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from ipaddress import ip_address
from urllib.parse import urlsplit

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration such as `90`, `90s`, `15m`, `1h 30m`, `26h`, `7d`; a bare number means seconds.

    Raises:
        ValueError: The text is no duration.

    """
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        return float(stripped)
    seconds, end = 0.0, 0
    for part in _DURATION_PART.finditer(stripped):
        if part.start() != end:
            break
        seconds += float(part[1]) * _UNIT_SECONDS[part[2]]
        end = part.end()
    if not stripped or end != len(stripped):
        msg = "is not a duration; write it as `90s`, `15m`, `26h`, `7d` or `1h 30m`"
        raise ValueError(msg)
    return seconds


def moment(value: object) -> datetime:
    """Return the UTC moment of a date, a time, or text in ISO 8601: a date is its midnight in UTC, a time without zone is UTC.

    Raises:
        ValueError: The value is no date and no time.

    """
    if isinstance(value, str):
        value = _moment_of_text(value.strip())
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    msg = "is not a date; write it as `2026-11-01` or `2026-11-01T06:00:00Z`"
    raise ValueError(msg)


def _moment_of_text(text: str) -> datetime:
    # fromisoformat also takes week dates and `20261101`: one spelling is enough, and a typo should not pass as another one
    if not _DAY.match(text):
        msg = "is not a date; write it as `2026-11-01` or `2026-11-01T06:00:00Z`"
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        msg = "is a day or time that does not exist; write it as `2026-11-01` or `2026-11-01T06:00:00Z`"
        raise ValueError(msg) from None


def is_loopback(host: str | None) -> bool:
    """Return whether a host name or address is this machine: `localhost`, `127.0.0.0/8`, `::1`; no host is not."""
    if host == "localhost":
        return True
    try:
        return host is not None and ip_address(host).is_loopback
    except ValueError:
        return False


def service_url(text: str) -> str:
    """Return a URL of the service without a slash at its end; https, or plain http where the host is this machine.

    Raises:
        ValueError: It is no such URL, or would send credentials in the clear.

    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        msg = "is not a URL; write it as `https://…`"
        raise ValueError(msg)
    if parts.username or parts.password or parts.query or parts.fragment:
        msg = "must be a plain URL, without user, password, `?` or `#`"
        raise ValueError(msg)
    if parts.scheme == "http" and not is_loopback(host):
        msg = "must begin with `https://`; plain http is for this machine only (127.0.0.1, localhost)"
        raise ValueError(msg)
    return text.strip().rstrip("/")

"""What is repeated, when, and how often: a policy as a value, and the state of one call under it.

stamina runs the attempts and makes the jittered exponential pauses; what the service asks for goes before them: the
`Retry-After` header, else the number in the body's sentence. Nothing global is set here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

import stamina

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from st_export.errors import StExportError

Failure = Literal["throttled", "status", "transport", "unconnected", "untrusted", "cut_off", "timeout", "unreadable", "unauthorized"]
"""Why an attempt failed: 429; 408 or 5xx; a broken, impossible or untrusted connection; a body cut off in transport; no answer in
time; a whole body that is not what was asked for; 401."""

SLOW_SECONDS = 20.0
"""A 504 after less than this is an outage, after more the page was too heavy. Source: the service gives up after 100 seconds."""

_SENTENCE = re.compile(
    r"(?P<number>\d{1,9}(?:\.\d{1,6})?)\s*(?P<unit>milliseconds?|msec|ms|seconds?|secs?|s|minutes?|mins?|hours?)\b", re.IGNORECASE
)
_AGAIN = re.compile(r"(?:again|retry|wait)\D{0,30}?(?P<number>\d{1,9}(?:\.\d{1,6})?)", re.IGNORECASE)
_UNITS = {"mi": 60.0, "ms": 0.001, "ho": 3600.0}


class CallFailed(Exception):
    """One attempt failed in a way that a repeat may mend. Internal to fetching: what leaves it are the errors of `errors`.

    `asked_seconds` is what the service asked to wait; `body` what came of an unreadable page; `error` what the call ends with if it
    is not repeated, where that is known already. The client adds how many seconds the attempt took and whether it was a probe.
    """

    def __init__(
        self,
        failure: Failure,
        reason: str,
        *,
        status: int = 0,
        asked_seconds: float | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(reason)
        self.failure: Failure = failure
        self.reason = reason
        self.status = status
        self.asked_seconds = asked_seconds
        self.body = body
        self.error: StExportError | None = None
        self.seconds = 0.0
        self.is_probe = False
        self.is_stale_token = False

    @property
    def is_outage(self) -> bool:
        """Whether it speaks against the service as a whole, not against this call alone."""
        return self.failure in ("transport", "unconnected", "timeout", "cut_off") or (self.failure == "status" and self.status >= 500)

    @property
    def is_slow(self) -> bool:
        """Whether time ran out, here or at the gateway: a smaller page may pass."""
        return self.failure == "timeout" or (self.status == 504 and self.seconds >= SLOW_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long a call is repeated. The defaults outlast several minutes of an outage.

    Args:
        attempts: tries that may fail, 429 and probes of a dead service not counted. Source: a Singer tap needed 10.
        throttled_attempts: answers 429 that a call may meet.
        early_attempts: cut-off bodies or quick 504s after which a shrinkable page is handed back to be asked smaller.
        initial_seconds: first pause; each further one is twice as long.
        longest_seconds: longest pause of our own.
        jitter_seconds: up to so much is added to each pause.
        longest_asked_seconds: a longer wait asked by the service fails the call.
        hold_seconds: a 429 that asks for nothing holds the tenant back so long, doubled with each one the call meets, up to a minute.
        hiccup_seconds: a 503 that asks for nothing holds the tenant back so long.
        patience_seconds: no new try after so long in all.

    """

    attempts: int = 10
    throttled_attempts: int = 100
    early_attempts: int = 2
    initial_seconds: float = 0.5
    longest_seconds: float = 60.0
    jitter_seconds: float = 1.0
    longest_asked_seconds: float = 600.0
    hold_seconds: float = 1.0
    hiccup_seconds: float = 0.25
    patience_seconds: float = 1800.0

    def hold_for(self, failed: CallFailed, tries: int) -> float:
        """Return how long a 429 or 503 holds the tenant back, in seconds; `tries` counts from 1. Source: fact sheet, section 9."""
        if failed.asked_seconds is not None:
            return failed.asked_seconds
        if failed.status != 429:
            # Alone among good answers it is a hiccup; the breaker sees to a service that gives nothing else.
            return self.hiccup_seconds
        return float(min(60.0, self.hold_seconds * 2 ** min(tries - 1, 6)))

    def attempts_of(self, decide: Callable[[Exception], bool | float]) -> AsyncIterator[stamina.Attempt]:
        """Return stamina's attempts; `decide` answers each failure: False to end, a pause in seconds, True for the next pause of ours."""
        context = stamina.retry_context(
            on=decide,
            attempts=None,
            timeout=None,
            wait_initial=self.initial_seconds,
            wait_max=self.longest_seconds,
            wait_jitter=self.jitter_seconds,
        )
        return aiter(context)


class Tries:
    """One call under the policy: counts its failures and says whether, and after which pause, it goes on.

    Args:
        policy: the numbers.
        shrinkable: the caller can ask for a smaller page, and wants to know early.
        now_seconds: a monotonic clock.

    """

    def __init__(self, policy: RetryPolicy, *, shrinkable: bool, now_seconds: Callable[[], float]) -> None:
        self._policy = policy
        self._shrinkable = shrinkable
        self._now_seconds = now_seconds
        self._started = now_seconds()
        self.failures = 0
        self.throttles = 0
        self.early = 0
        self.refusals = 0
        self.repeats = 0

    def next_pause(self, failed: CallFailed) -> bool | float:
        """Count a failure; return False if it was the last one, a pause in seconds that was asked for, or True for one of ours."""
        pause = self._judge(failed)
        if pause is not False:
            self.repeats += 1
        return pause

    def _judge(self, failed: CallFailed) -> bool | float:
        if failed.failure == "untrusted" or self._now_seconds() - self._started > self._policy.patience_seconds:
            return False
        if failed.failure == "unauthorized":
            return self._replay(failed)
        if failed.asked_seconds is not None and failed.asked_seconds > self._policy.longest_asked_seconds:
            return False
        if self._shrinkable and self._is_too_heavy(failed):
            return False
        if failed.failure == "throttled":
            self.throttles += 1
            goes_on = self.throttles < self._policy.throttled_attempts
        else:
            self.failures += 0 if failed.is_probe and failed.status != 500 else 1
            goes_on = self.failures < self._policy.attempts
        if not goes_on:
            return False
        # A service that asks for no wait at all, again and again, gets one.
        return True if failed.asked_seconds is None else max(failed.asked_seconds, min(5.0, 0.1 * self.throttles))

    def _replay(self, failed: CallFailed) -> bool | float:
        # A fresh token that another call found dead meanwhile says nothing about this call.
        self.refusals += 0 if failed.is_stale_token else 1
        self.throttles += 1
        return 0.0 if self.refusals < 2 and self.throttles < self._policy.throttled_attempts else False

    def _is_too_heavy(self, failed: CallFailed) -> bool:
        if failed.is_slow:
            return True
        # While the service is down as a whole, a quick failure tells nothing about this page.
        if not failed.is_probe and (failed.status == 504 or failed.failure in ("cut_off", "unreadable")):
            self.early += 1
        return self.early >= self._policy.early_attempts


def asked_wait(retry_after: str | None, date: str | None, text: str, now: datetime) -> float | None:
    """Return the seconds that a refusal asks to wait, None if it does not say.

    Args:
        retry_after: the `Retry-After` header: seconds, fractional too, or an HTTP date.
        date: the answer's own `Date` header, against which an HTTP date is read; without it `now` counts.
        text: the body's sentence, like `Rate limit is exceeded. Try again in 50 seconds.`
        now: the service's time.

    Source: fact sheet, section 3.

    """
    if retry_after is not None and (seconds := _header_seconds(retry_after.strip(), date, now)) is not None:
        return seconds
    if match := _SENTENCE.search(text):
        unit = match["unit"].lower()
        return float(match["number"]) * (0.001 if unit.startswith(("ms", "milli")) else _UNITS.get(unit[:2], 1.0))
    if match := _AGAIN.search(text):
        return float(match["number"])
    return None


def http_moment(text: str | None) -> datetime | None:
    """Return the moment of an HTTP date, aware UTC; None if it is none."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _header_seconds(retry_after: str, date: str | None, now: datetime) -> float | None:
    try:
        seconds = float(retry_after)
    except ValueError:
        moment = http_moment(retry_after)
        return None if moment is None else max(0.0, (moment - (http_moment(date) or now)).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None

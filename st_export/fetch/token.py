"""The one owner of a tenant's token: fetched once however many wait, renewed ahead of its end, dead tokens never handed out.

Client credentials as a form POST; no scope, no refresh token. Source: developer.servicetitan.io, OAuth 2.0; what the field saw
beside it is in the fact sheet, section 1. Token requests have a limit of their own and do not pass the API's limiter.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import anyio
import orjson

from st_export.errors import ServiceUnavailable, StExportError, TenantRefused
from st_export.events import Events, TokenRenewed, Waiting
from st_export.fetch.body import BodyUnreadable, chunks_of, plain_bytes
from st_export.fetch.limiter import NOTABLE_WAIT_SECONDS
from st_export.fetch.refusal import kind_of, read_refusal
from st_export.fetch.retry import CallFailed, RetryPolicy, Tries, asked_wait, http_moment
from st_export.fetch.session import require_https

if TYPE_CHECKING:
    import aiohttp
    from pydantic import SecretStr
    from yarl import URL

    from st_export.clock import Clock, ServiceClock
    from st_export.fetch.session import Session
    from st_export.flow import Json

UNTOLD_LIFE_SECONDS = 900.0
"""Life of a token whose answer does not tell it. Source: fact sheet, section 1."""

LEAST_LIFE_SECONDS = 0.5
"""A life of 0 is taken as this: within the second of slack that clocks need, and no token a call."""

REQUEST_SECONDS = 30.0
AHEAD_AGAIN_SECONDS = 5.0
ANSWER_BYTES = 1 << 20
_BLANKS = " \t\r\n\f\v\u00a0\u200b\ufeff"
_OAUTH_WORD = re.compile(r"[a-z_]{1,40}")


def stripped(secret: SecretStr) -> str:
    """Return a secret without the blanks and line ends that a paste leaves at its ends; inside nothing is touched."""
    return secret.get_secret_value().strip().strip(_BLANKS)


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its life on our monotonic clock, counted from before it was asked for, so never too long."""

    header: str = field(repr=False)
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicy:
    """How patient the owner is.

    Args:
        retry: pauses and patience while the endpoint is out of order.
        unreachable_seconds: patience while its host has never been reached: more likely a wrong name than an outage.
        again_seconds: after the patience was spent, callers fail at once for so long.

    """

    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=60, longest_seconds=30.0, patience_seconds=780.0))
    unreachable_seconds: float = 30.0
    again_seconds: float = 30.0


class TokenOwner:
    """Owns the token of one tenant.

    Args:
        session: the run's session.
        tenant: whose token it is.
        auth_url: the token endpoint.
        client_id: as the portal shows it; blanks at its ends are stripped.
        client_secret: likewise; sent byte for byte.
        events: where `TokenRenewed` and `Waiting` go.
        clock: gives the monotonic seconds.
        policy: how patient it is.
        service_clock: learns the service's time from the first token's answer, which comes before all others.

    Raises:
        ConfigError: the endpoint is neither https nor on loopback.

    """

    def __init__(
        self,
        session: Session,
        *,
        tenant: int,
        auth_url: str,
        client_id: SecretStr,
        client_secret: SecretStr,
        events: Events,
        clock: Clock,
        policy: TokenPolicy | None = None,
        service_clock: ServiceClock | None = None,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._url: URL = require_https(auth_url)
        self._client_id = client_id
        self._client_secret = client_secret
        self._events = events
        self._clock = clock
        self._policy = policy or TokenPolicy()
        self._service_clock = service_clock
        self._lock = anyio.Lock()
        self._token: Token | None = None
        self._error: StExportError | None = None
        self._error_until = math.inf
        self._ahead_again_at = 0.0
        self._was_reached = False
        self.requests = 0
        """Token requests sent so far."""

    async def header(self) -> str:
        """Return the `Authorization` header for an attempt that leaves now; fetches or renews the token where needed.

        Raises:
            TenantRefused: the endpoint refuses the credentials.
            ServiceUnavailable: the endpoint did not answer usefully before the patience was spent.

        """
        token = self._token
        now = self._clock.monotonic_seconds()
        if token is not None and now < token.renew_at:
            return token.header
        if token is not None and now < token.expires_at:
            # One caller renews; the others go on with the old token, which is still good.
            if self._lock.locked() or now < self._ahead_again_at:
                return token.header
            await self._renew_ahead()
        return await self._fresh_header()

    def is_current(self, header: str) -> bool:
        """Return whether a header is that of the token which is handed out now."""
        return self._token is not None and self._token.header == header

    def refuse(self, header: str) -> None:
        """Take note that the service refused (401) this header; the next `header` renews the token, once for all."""
        if self.is_current(header):
            self._token = None

    def secrets(self) -> tuple[str, ...]:
        """Return what must not appear in any text, the token in use included."""
        bearer = (self._token.header.removeprefix("Bearer "),) if self._token else ()
        return (stripped(self._client_secret), stripped(self._client_id), *bearer)

    async def _fresh_header(self) -> str:
        async with self._lock:
            token = self._token
            if token is not None and self._clock.monotonic_seconds() < token.expires_at:
                return token.header
            if self._error is not None and self._clock.monotonic_seconds() < self._error_until:
                raise type(self._error)(self._error.message, hint=self._error.hint, tenant=self._tenant)
            try:
                self._token = await self._fetch_patiently()
            except TenantRefused as error:
                self._error = error
                raise
            except ServiceUnavailable as error:
                self._error, self._error_until = error, self._clock.monotonic_seconds() + self._policy.again_seconds
                raise
            return self._token.header

    async def _renew_ahead(self) -> None:
        async with self._lock:
            token = self._token
            if token is not None and self._clock.monotonic_seconds() < token.renew_at:
                return
            try:
                self._token = await self._fetch()
            except CallFailed:
                # The old one is still good: no wait, another try in a moment, and patience only when it has ended.
                self._ahead_again_at = self._clock.monotonic_seconds() + AHEAD_AGAIN_SECONDS

    async def _fetch_patiently(self) -> Token:
        started = self._clock.monotonic_seconds()
        tries = Tries(self._policy.retry, shrinkable=False, now_seconds=self._clock.monotonic_seconds)

        def decide(error: Exception) -> bool | float:
            if not isinstance(error, CallFailed):
                return False
            waited = self._clock.monotonic_seconds() - started
            if not self._was_reached and waited > self._policy.unreachable_seconds:
                return False
            pause = tries.next_pause(error)
            self._announce_wait(error, attempt.next_wait if pause is True else float(pause))
            return pause

        try:
            async for attempt in self._policy.retry.attempts_of(decide):
                with attempt:
                    return await self._fetch()
        except CallFailed as failed:
            raise self._spent(failed) from failed
        raise AssertionError("stamina returns or raises")

    async def _fetch(self) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": stripped(self._client_id),
            "client_secret": stripped(self._client_secret),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "Accept-Encoding": "gzip"}
        asked_at = self._clock.monotonic_seconds()
        self.requests += 1
        with anyio.CancelScope(deadline=anyio.current_time() + REQUEST_SECONDS):
            response = await self._session.request("POST", self._url, headers=headers, body=urlencode(form).encode())
            self._was_reached = True
            self._learn_time(response)
            async with response:
                return await self._read(response, asked_at)
        raise CallFailed("timeout", f"the token endpoint did not answer within {REQUEST_SECONDS:.0f} seconds")

    def _learn_time(self, response: aiohttp.ClientResponse) -> None:
        moment = http_moment(response.headers.get("Date")) if response.status < 500 else None
        if moment is not None and self._service_clock is not None and not self._service_clock.is_known:
            self._service_clock.learn(moment)

    async def _read(self, response: aiohttp.ClientResponse, asked_at: float) -> Token:
        try:
            wire = b"".join([chunk async for chunk in chunks_of(response, cap_bytes=ANSWER_BYTES)])
            encoding = response.headers.get("Content-Encoding", "").lower()
            body = plain_bytes(wire, encoding=encoding, charset=response.charset, cap_bytes=ANSWER_BYTES)
        except BodyUnreadable as error:
            raise CallFailed("unreadable", f"the token endpoint's answer is unreadable: {error}", status=response.status) from error
        kind = kind_of(response.status)
        if kind == "ok":
            return self._token_of(body, asked_at)
        if kind in ("throttled", "status"):
            refusal = read_refusal(response.status, body, secrets=self.secrets())
            wait = asked_wait(response.headers.get("Retry-After"), response.headers.get("Date"), refusal.title, self._clock.now())
            reason = f"the token endpoint answered {response.status}: {refusal.text()}"
            raise CallFailed("throttled" if kind == "throttled" else "status", reason, status=response.status, asked_seconds=wait)
        raise self._refusal(response.status, body)

    def _token_of(self, body: bytes, asked_at: float) -> Token:
        try:
            answer: Json = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise CallFailed("unreadable", "the token endpoint answered with something that is not JSON", status=200) from error
        text = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(text, str) or not text.strip().isprintable() or not text.strip():
            raise CallFailed("unreadable", "the token endpoint answered without a token", status=200)
        life = life_seconds(answer.get("expires_in"))
        ahead = ahead_seconds(life)
        self._error = None
        self._events.emit(TokenRenewed(at=self._clock.now(), tenant=self._tenant, lifetime_seconds=life))
        # A second before its end a long-lived token is not handed out any more: a call may wait at the wire.
        rest = min(1.0, ahead / 3) if ahead >= 3 else 0.0
        return Token(f"Bearer {text.strip()}", renew_at=asked_at + life - ahead, expires_at=asked_at + life - rest)

    def _refusal(self, status: int, body: bytes) -> TenantRefused:
        # Only the protocol's own word is told: the text of the endpoint may echo the client id.
        try:
            answer: Json = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        word = answer.get("error") if isinstance(answer, dict) else None
        word = word if isinstance(word, str) and _OAUTH_WORD.fullmatch(word) else None
        if word == "invalid_client" or (word is None and status == 401):
            message = f"the token endpoint refuses client_id and client_secret ({status} {word or 'unauthorized'})"
            hint = "check that both belong to this tenant and to this environment, and that neither was cut off or replaced since"
        elif word is not None:
            message = f"the token endpoint refuses the request ({status} {word})"
            hint = "check client_id, client_secret and environment; the app must be connected to this tenant"
        else:
            message = f"the token endpoint answered {status}"
            hint = "check environment and auth_url: this does not look like the token endpoint"
        return TenantRefused(message, hint=hint, tenant=self._tenant)

    def _spent(self, failed: CallFailed) -> ServiceUnavailable:
        asked = failed.asked_seconds
        if asked is not None and asked > self._policy.retry.longest_asked_seconds:
            message = f"the token endpoint asks to wait {asked:,.0f} seconds: {failed.reason}"
        else:
            message = f"no token could be fetched: {failed.reason}"
        hint = "check auth_url, the network, HTTPS_PROXY and the service's status page; the same command goes on where it stopped"
        if failed.failure == "untrusted":
            hint = "set SSL_CERT_FILE to the certificates to trust; verification cannot be switched off"
        return ServiceUnavailable(message, hint=hint, tenant=self._tenant)

    def _announce_wait(self, failed: CallFailed, seconds: float) -> None:
        if seconds >= NOTABLE_WAIT_SECONDS:
            event = Waiting(
                at=self._clock.now(), tenant=self._tenant, entity=None, seconds=seconds, reason=f"no token yet: {failed.reason}"
            )
            self._events.emit(event)


def life_seconds(told: Json) -> float:
    """Return a token's life from `expires_in`: a number or a number as text; 900 where it is missing or makes no sense."""
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return UNTOLD_LIFE_SECONDS
    try:
        life = float(told)
    except (ValueError, OverflowError):
        return UNTOLD_LIFE_SECONDS
    return max(life, LEAST_LIFE_SECONDS) if math.isfinite(life) else UNTOLD_LIFE_SECONDS


def ahead_seconds(life: float) -> float:
    """Return how long before its end a token of this life is renewed.

    A renewal ahead costs tokens: it must stay small beside the life, as tokens are counted (run time / life + 2). Of 900
    seconds it is 45; a life under a minute is used almost to its end.
    """
    return min(45.0, life * 0.05) if life >= 60 else life * 0.02

"""One tenant's calls to the API: each attempt through breaker, limiter and token, its answer read, checked and told.

What leaves this module is an answer or one of the errors of `errors`; each says tenant and entity. It logs nothing and leaves
out which pages to ask for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from anyio import get_cancelled_exc_class
from yarl import URL

from st_export.clock import Clock, ServiceClock
from st_export.errors import ConfigError, EntityRefused, PageTimedOut, PageUnreadable, RequestRejected, StExportError
from st_export.events import RequestFinished, Waiting
from st_export.fetch.answer import Answer, Download
from st_export.fetch.attempt import Attempt, Call, ClientOptions
from st_export.fetch.body import BodyUnreadable, beginning_of, chunks_of
from st_export.fetch.limiter import NOTABLE_WAIT_SECONDS, Recalled
from st_export.fetch.pagebody import read_page
from st_export.fetch.refusal import REFUSAL_BYTES, error_of, exhausted, kind_of, read_refusal, scrubbed_bytes
from st_export.fetch.retry import CallFailed, Tries, asked_wait, http_moment
from st_export.fetch.session import require_https
from st_export.fetch.token import stripped

if TYPE_CHECKING:
    import aiohttp
    from pydantic import SecretStr

    from st_export.events import Events
    from st_export.fetch.answer import Sink
    from st_export.fetch.breaker import Breaker
    from st_export.fetch.budget import Room
    from st_export.fetch.limiter import Limiter, ReportGate
    from st_export.fetch.refusal import Refusal
    from st_export.fetch.retry import Failure
    from st_export.fetch.session import Session
    from st_export.fetch.token import TokenOwner
    from st_export.flow import Request

T = TypeVar("T")

USER_AGENT = "st-export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a tenant's API is reached: address, key, and the parts that all its calls share."""

    tenant: int
    api_url: str
    app_key: SecretStr
    token: TokenOwner
    limiter: Limiter
    breaker: Breaker


Reader = Callable[["aiohttp.ClientResponse", Attempt], Awaitable[T]]
"""Reads a good answer into what the call is for."""

Opener = Callable[[Attempt], Awaitable["aiohttp.ClientResponse"]]
"""Sends an attempt and returns its answer, body still to be read."""


class Client:
    """Sends one tenant's requests.

    Args:
        session: the run's session.
        access: the tenant's address, key and shared parts.
        events: where `RequestFinished` and `Waiting` go.
        clock: the machine's clock.
        service_clock: learns the service's time from the answers.
        options: limits of a call.

    Raises:
        ConfigError: the address is neither https nor on loopback, or the app key cannot stand in a header.

    """

    def __init__(
        self,
        session: Session,
        access: Access,
        *,
        events: Events,
        clock: Clock,
        service_clock: ServiceClock | None = None,
        options: ClientOptions | None = None,
    ) -> None:
        self._session = session
        self._access = access
        self._tenant = access.tenant
        self._base = str(require_https(access.api_url)).rstrip("/")
        self._origin = URL(self._base).origin()
        self._app_key = stripped(access.app_key)
        if not self._app_key.isprintable():
            raise ConfigError("app_key has line ends or control characters inside", hint="copy it anew", tenant=access.tenant)
        self._events = events
        self._clock = clock
        self._service_clock = service_clock or ServiceClock(clock)
        self._options = options or ClientOptions()

    async def send(
        self,
        request: Request,
        *,
        accept: Callable[[bytes], T],
        unreadable: tuple[type[Exception], ...] = (ValueError,),
        max_in_flight: int | None = None,
        gate: ReportGate | None = None,
        room: Room | None = None,
    ) -> Answer[T]:
        """Send a request, repeat it as the policy says, and return its answer.

        Args:
            request: what to ask.
            accept: makes a value of the body (plain UTF-8); runs in a thread if the body is large, once an attempt.
            unreadable: what `accept` raises for a body that is not what was asked for; such an attempt is repeated.
            max_in_flight: the most calls of this entity under way at once.
            gate: for reports: every attempt waits for the report's turn, and a 429 holds the report back, not the tenant.
            room: where the body's bytes count from before it is read; given back where an attempt fails.

        Raises:
            EntityRefused: 403 or 404, or 401 again with a fresh token.
            RequestRejected: another 4xx, or a redirect.
            PageTimedOut: 504 or no answer in time; at once, if the request is shrinkable.
            PageUnreadable: bodies stayed cut off or unreadable; after two, if the request is shrinkable.
            ServiceUnavailable: the tries are spent, or the service asks for too long a wait.
            TenantRefused: the token endpoint refuses the credentials.

        """

        async def read(response: aiohttp.ClientResponse, attempt: Attempt) -> Answer[T]:
            answered_at = self._clock.now()
            value, body = await read_page(response, attempt, accept=accept, unreadable=unreadable, room=room)
            return Answer(value, body, answered_at, attempt.wire_bytes, call.tries.repeats)

        call = self._call(request, max_in_flight, gate)
        return await self._repeat(call, lambda attempt: self._open(request, attempt), read)

    async def authorize(self) -> None:
        """Fetch the tenant's token where there is none that is good. Raises `TenantRefused`, `ServiceUnavailable`."""
        await self._access.token.header()

    async def download(self, request: Request, sink: Sink, *, max_in_flight: int | None = None) -> Download:
        """Stream a binary into a sink; redirects to another origin lose both secrets. Errors as of `send`.

        Raises:
            PageUnreadable: the file has more bytes than the cap, or stayed cut off.

        """

        async def read(response: aiohttp.ClientResponse, attempt: Attempt) -> Download:
            content_type = response.headers.get("Content-Type")
            await sink.begin(content_type)
            attempt.streams()
            size = 0
            try:
                async for chunk in chunks_of(response, cap_bytes=self._options.file_bytes, progress=attempt.progressed):
                    size += len(chunk)
                    await sink.write(chunk)
            except BodyUnreadable as error:
                raise CallFailed("unreadable", str(error)) from error
            return Download(content_type, size, call.tries.repeats)

        call = self._call(request, max_in_flight, None)
        return await self._repeat(call, lambda attempt: self._follow(request, attempt), read)

    def _call(self, request: Request, max_in_flight: int | None, gate: ReportGate | None) -> Call:
        tries = Tries(self._options.policy, shrinkable=request.shrinkable, now_seconds=self._clock.monotonic_seconds)
        return Call(request, tries, max_in_flight, gate)

    async def _repeat(self, call: Call, opener: Opener, reader: Reader[T]) -> T:
        def decide(error: Exception) -> bool | float:
            return self._decide(call, error, attempt.next_wait) if isinstance(error, CallFailed) else False

        try:
            async for attempt in self._options.policy.attempts_of(decide):
                with attempt:
                    return await self._admit(call, opener, reader)
        except CallFailed as failed:
            raise self._verdict(call, failed) from failed
        raise AssertionError("stamina returns or raises")

    async def _admit(self, call: Call, opener: Opener, reader: Reader[T]) -> T:
        breaker = self._access.breaker
        while True:
            is_probe = await breaker.enter(call.request.entity)
            try:
                async with AsyncExitStack() as places:
                    turn = await places.enter_async_context(call.gate.turn(call.request.entity)) if call.gate else None
                    slot = self._access.limiter.slot(call.request.entity, call.max_in_flight)
                    departure = await places.enter_async_context(slot)
                    if breaker.is_open and not is_probe:
                        continue
                    call.attempt = Attempt(departure, turn, self._clock, self._options)
                    answer = await self._exchange(call, call.attempt, opener, reader)
                    breaker.succeeded()
                    is_probe = False
                    return answer
            except Recalled:
                continue
            except CallFailed as failed:
                failed.is_probe, is_probe = is_probe, False
                self._tell_breaker(call, failed)
                raise
            except (EntityRefused, RequestRejected):
                is_probe = False
                breaker.succeeded()
                raise
            finally:
                breaker.abandoned(was_probe=is_probe)

    async def _exchange(self, call: Call, attempt: Attempt, opener: Opener, reader: Reader[T]) -> T:
        try:
            with attempt.scope:
                async with await opener(attempt) as response:
                    attempt.status = response.status
                    self._learn_time(response)
                    if kind_of(response.status) != "ok":
                        raise await self._refused(call, response, attempt)
                    answer = await reader(response, attempt)
                    self._tell(call.request, attempt, will_retry=False)
                    return answer
            raise attempt.timed_out()
        except CallFailed as failed:
            failed.status = failed.status or attempt.status
            failed.seconds = attempt.seconds()
            failed.body = failed.body or b"".join(attempt.received)
            raise
        except StExportError as error:
            self._tell(call.request, attempt, will_retry=False, reason=error.message)
            raise
        except get_cancelled_exc_class():
            self._tell(call.request, attempt, will_retry=False, reason="cancelled")
            raise
        finally:
            attempt.received.clear()

    async def _open(self, request: Request, attempt: Attempt) -> aiohttp.ClientResponse:
        attempt.authorization = await self._access.token.header()
        headers = {**self._secret_headers(attempt), "Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": USER_AGENT}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        return await self._session.request(request.method, self._url(request), headers=headers, body=request.body, leaves=attempt)

    async def _follow(self, request: Request, attempt: Attempt) -> aiohttp.ClientResponse:
        attempt.authorization = await self._access.token.header()
        # Binaries are stored as they come: they must come as they are.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        return await self._session.follow(self._url(request), headers=headers, secrets=self._secret_headers(attempt), leaves=attempt)

    def _secret_headers(self, attempt: Attempt) -> dict[str, str]:
        return {"Authorization": attempt.authorization, "ST-App-Key": self._app_key}

    def _url(self, request: Request) -> URL:
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in request.query)
        return URL(f"{self._base}{quote(request.path)}{'?' + query if query else ''}", encoded=True)

    async def _refused(self, call: Call, response: aiohttp.ClientResponse, attempt: Attempt) -> StExportError | CallFailed:
        status, headers = response.status, response.headers
        body = await beginning_of(response, cap_bytes=REFUSAL_BYTES, progress=attempt.progressed)
        refusal = read_refusal(status, body, location=headers.get("Location"), secrets=self._secrets())
        # After a redirect elsewhere an answer says nothing about the tenant, and without the secrets nothing about its token.
        is_ours = response.url.origin() == self._origin and "Authorization" in response.request_info.headers
        kind = kind_of(status)
        if kind == "unauthorized" and is_ours:
            return self._unauthorized(call, refusal, attempt)
        if kind not in ("throttled", "status") and response.url.origin() != self._origin:
            text = f"{call.request.describe()} leads to another server, which answered {status}: {refusal.text()}"
            return RequestRejected(text, status=status, tenant=self._tenant, entity=str(call.request.entity))
        if kind not in ("throttled", "status"):
            return error_of(refusal, call.request, self._tenant)
        asked = asked_wait(headers.get("Retry-After"), headers.get("Date"), refusal.title, self._service_clock.now())
        failure: Failure = "throttled" if kind == "throttled" else "status"
        failed = CallFailed(failure, f"answered {status}: {refusal.text()}", status=status, asked_seconds=asked)
        if is_ours and status in (429, 503):
            self._hold(call, failed, attempt)
        return failed

    def _unauthorized(self, call: Call, refusal: Refusal, attempt: Attempt) -> CallFailed:
        failed = CallFailed("unauthorized", f"answered 401: {refusal.text()}", status=401)
        failed.error = error_of(refusal, call.request, self._tenant)
        if call.tries.refusals:
            failed.is_stale_token = not self._access.token.is_current(attempt.authorization)
        else:
            self._access.token.refuse(attempt.authorization)
        return failed

    def _hold(self, call: Call, failed: CallFailed, attempt: Attempt) -> None:
        seconds = self._options.policy.hold_for(failed, call.tries.throttles + 1)
        if seconds > self._options.policy.longest_asked_seconds:
            return
        if attempt.turn is not None and failed.failure == "throttled":
            attempt.turn.hold(seconds)
        else:
            self._access.limiter.hold(seconds, failed.reason)

    def _decide(self, call: Call, failed: CallFailed, own_pause_seconds: float) -> bool | float:
        pause = call.tries.next_pause(failed)
        if pause is not False and failed.is_outage and self._access.breaker.is_spent:
            pause = False
        elif pause is True and failed.is_probe:
            # The breaker already says when the next probe may go.
            pause = 0.0
        will_retry = pause is not False
        if call.attempt is not None:
            self._tell(call.request, call.attempt, will_retry=will_retry, reason=failed.reason)
        seconds = own_pause_seconds if pause is True else float(pause)
        if will_retry and seconds >= NOTABLE_WAIT_SECONDS:
            entity = str(call.request.entity)
            self._events.emit(Waiting(at=self._clock.now(), tenant=self._tenant, entity=entity, seconds=seconds, reason=failed.reason))
        return pause

    def _tell_breaker(self, call: Call, failed: CallFailed) -> None:
        breaker = self._access.breaker
        if failed.failure == "untrusted" or (call.request.shrinkable and failed.is_slow):
            breaker.abandoned(was_probe=failed.is_probe)
        elif failed.is_outage:
            breaker.failed(failed.reason, was_probe=failed.is_probe, was_reached=failed.failure != "unconnected")
        else:
            breaker.succeeded()

    def _tell(self, request: Request, attempt: Attempt, *, will_retry: bool, reason: str | None = None) -> None:
        if attempt.left_at is None or attempt.is_told:
            return
        attempt.is_told = True
        self._events.emit(
            RequestFinished(
                at=self._clock.now(),
                tenant=self._tenant,
                entity=str(request.entity),
                status=attempt.status,
                wire_bytes=attempt.wire_bytes,
                seconds=attempt.seconds(),
                will_retry=will_retry,
                reason=reason,
            )
        )

    def _verdict(self, call: Call, failed: CallFailed) -> StExportError:
        request, tenant, entity = call.request, self._tenant, str(call.request.entity)
        longest = self._options.policy.longest_asked_seconds
        if failed.error is not None:
            return failed.error
        if failed.is_outage and self._access.breaker.is_spent:
            return self._access.breaker.verdict(entity)
        if failed.failure == "timeout" or (failed.status == 504 and request.shrinkable):
            message = f"{request.describe()}: {failed.reason} ({failed.seconds:.0f} s)"
            return PageTimedOut(message, hint="a smaller page or window may pass", tenant=tenant, entity=entity)
        if failed.failure in ("cut_off", "unreadable"):
            message = f"{request.describe()} stayed unreadable over {call.tries.repeats + 1} tries: {failed.reason}"
            body = scrubbed_bytes(failed.body, self._secrets())
            return PageUnreadable(message, body=body, request=request.describe(), tenant=tenant, entity=entity)
        return exhausted(failed, request, tenant, longest_asked_seconds=longest, tries=call.tries.repeats + 1)

    def _secrets(self) -> tuple[str, ...]:
        return (*self._access.token.secrets(), self._app_key)

    def _learn_time(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 500 and response.url.origin() == self._origin and (moment := http_moment(response.headers.get("Date"))):
            self._service_clock.learn(moment)

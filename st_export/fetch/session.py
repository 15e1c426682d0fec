"""The HTTP session of a run: one pool of connections for all tenants, TLS always verified, nothing followed or repeated.

The proxy is looked up once an origin and handed to each request, as aiohttp's own look-up (`trust_env`) costs a thread hop a
request and would mix a `.netrc` into calls that bear their own credentials. Everything that aiohttp raises becomes
`CallFailed` at one border, `failure_of`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import aiohttp
from yarl import URL

from st_export.config.values import is_loopback
from st_export.errors import ConfigError
from st_export.fetch.retry import CallFailed

if TYPE_CHECKING:
    from types import SimpleNamespace

    from st_export.fetch.retry import Failure

READ_BUFFER_BYTES = 128 << 10
"""Of an answer that waits for room twice as much is taken from the wire. Eight times that is no faster: 20 MB for 18 that wait."""

CONNECT_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 60.0
HOPS = 5
"""The most redirects that a download follows."""


class Leaves(Protocol):
    """What a request may bear as its trace context: it is awaited when the connection is there, right before the wire."""

    async def leave(self) -> None:
        """Wait for the turn at the wire."""


class ConnectionLost(aiohttp.ClientConnectionError):
    """A connection broke under a request. A type of its own, so that aiohttp does not repeat the request below the limiter."""


def require_https(url: str) -> URL:
    """Return the URL parsed, if it is https, or http to loopback.

    Raises:
        ConfigError: it is neither, has credentials in it, or is no URL at all.

    """
    try:
        parsed = URL(url)
    except ValueError as error:
        raise ConfigError(f"`{url}` is no URL: {error}", hint="write it as https://host/path") from error
    if parsed.user or parsed.password:
        raise ConfigError("a URL of the service bears a user or password", hint="put credentials into client_id, client_secret, app_key")
    if parsed.host and (parsed.scheme == "https" or (parsed.scheme == "http" and is_loopback(parsed.host))):
        return parsed
    raise ConfigError(f"`{url}` is not https", hint="plain http is allowed to loopback only (127.0.0.1, localhost, ::1)")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where requests of one origin go through, and its own credentials."""

    url: URL | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def proxy_for(url: URL) -> Proxy:
    """Return the proxy that HTTPS_PROXY and NO_PROXY give for a URL; plain http stays on this machine and never takes one."""
    if url.scheme != "https" or url.host is None:
        return Proxy()
    text = urllib.request.getproxies().get("https")
    if not text or urllib.request.proxy_bypass(f"{url.host}:{url.port}") or urllib.request.proxy_bypass(url.host):
        return Proxy()
    proxy = URL(text if "://" in text else f"http://{text}")
    headers = {"Proxy-Authorization": aiohttp.encode_basic_auth(proxy.user, proxy.password or "")} if proxy.user else {}
    return Proxy(proxy.with_user(None), headers)


class Session:
    """The run's HTTP session; an async context manager.

    Args:
        connections: the most connections at once, over all tenants; at least the sum of what the limiters let into flight.
        timeout_seconds: what a connection may take to come up, at most 30 seconds of it.
        is_encrypted: whether the service speaks https; without it the authorities of SSL_CERT_FILE are not read once more, which takes
            35 ms: aiohttp trusted them when it was imported, which serves a redirect to https.

    """

    def __init__(self, *, connections: int, timeout_seconds: float, is_encrypted: bool = True) -> None:
        self._connections = connections
        self._is_encrypted = is_encrypted
        self._connect_seconds = min(CONNECT_SECONDS, timeout_seconds)
        self._proxies: dict[URL, Proxy] = {}
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the session; SSL_CERT_FILE is read here.

        Raises:
            ConfigError: the file of SSL_CERT_FILE cannot be read.

        """
        try:
            # aiohttp has made a context of the system's authorities already; another one takes 30 ms.
            has_own = self._is_encrypted and os.environ.keys() & {"SSL_CERT_FILE", "SSL_CERT_DIR"}
            context = await asyncio.to_thread(_trust) if has_own else True
        except OSError as error:
            raise ConfigError(f"the certificates cannot be read: {error}", hint="check SSL_CERT_FILE and SSL_CERT_DIR") from error
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_leave)
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=context, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
            middlewares=(_send_once,),
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def request(
        self, method: str, url: URL, *, headers: dict[str, str], body: bytes | None = None, leaves: Leaves | None = None
    ) -> aiohttp.ClientResponse:
        """Send one request and return its answer with the body still to be read; the caller releases it. No redirect is followed.

        A `Recalled` of `leaves` passes through.

        Args:
            method: GET or POST.
            url: where to, already encoded.
            headers: all headers, secrets included.
            body: of a POST.
            leaves: awaited when the connection is there, right before the bytes leave.

        Raises:
            CallFailed: the connection could not be made or broke.

        """
        if self._client is None:
            raise RuntimeError("the session is not open")
        origin = url.origin()
        if (proxy := self._proxies.get(origin)) is None:
            proxy = self._proxies[origin] = proxy_for(url)
        try:
            return await self._client.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                proxy=proxy.url,
                proxy_headers=proxy.headers,
                trace_request_ctx=leaves,
            )
        except aiohttp.ClientResponseError as error:
            # Not chained: its repr shows the headers of the request.
            raise failure_of(error) from None
        except FOREIGN as error:
            raise failure_of(error) from error

    async def follow(self, url: URL, *, headers: dict[str, str], secrets: dict[str, str], leaves: Leaves) -> aiohttp.ClientResponse:
        """GET with redirects followed by hand, for binaries; the secrets stay with the first origin and never come back.

        Returns the first answer that is no redirect, or that redirects to where it must not be followed: to plain http, or further
        than five hops. `leaves` is awaited for each request to the first origin. Source: fact sheet, section 7, Binary.

        Raises:
            CallFailed: a connection failed.

        """
        home = url.origin()
        trusted = True
        for hop in range(HOPS + 1):
            at_home = url.origin() == home
            trusted = trusted and at_home
            sent = {**headers, **secrets} if trusted else headers
            response = await self.request("GET", url, headers=sent, leaves=leaves if at_home else None)
            target = _target(response, home)
            if target is None or hop == HOPS:
                return response
            response.release()
            url = target
        raise AssertionError("the last hop returns")


def _trust() -> ssl.SSLContext:
    # Verifies certificates and host names, with the authorities of SSL_CERT_FILE and SSL_CERT_DIR.
    context = ssl.create_default_context()
    if path := os.environ.get("SSL_CERT_FILE"):
        # OpenSSL says nothing of a file that it cannot read.
        context.load_verify_locations(path)
    return context


def _target(response: aiohttp.ClientResponse, home: URL) -> URL | None:
    location = response.headers.get("Location")
    if response.status not in (301, 302, 303, 307, 308) or not location:
        return None
    try:
        # Signed: it must arrive as it was written.
        target = response.url.join(URL(location, encoded=True))
        allowed = target.scheme == "https" or (target.scheme == "http" and is_loopback(target.host) and is_loopback(home.host))
    except ValueError:
        return None
    return target if allowed and target.host else None


async def _leave(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams) -> None:
    # aiohttp awaits this before it writes the headers; a test on arrivals holds it to that.
    leaves: Leaves | None = context.trace_request_ctx
    if leaves is not None:
        await leaves.leave()


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost(str(error) or type(error).__name__) from error


_MEANINGS: tuple[tuple[type[Exception], Failure, str], ...] = (
    (aiohttp.ClientConnectorCertificateError, "untrusted", "the service's certificate is not trusted"),
    (aiohttp.ClientConnectorDNSError, "unconnected", "the host name cannot be resolved"),
    (aiohttp.ClientConnectorError, "unconnected", "the host cannot be reached"),
    (aiohttp.ConnectionTimeoutError, "unconnected", "the host does not take the connection in time"),
    (aiohttp.ClientHttpProxyError, "unconnected", "the proxy refuses the connection"),
    (aiohttp.ClientPayloadError, "cut_off", "the body was cut off"),
    (TimeoutError, "timeout", "no answer in time"),
    (aiohttp.ClientError, "transport", "the connection broke"),
    (OSError, "transport", "the connection broke"),
)

FOREIGN = (aiohttp.ClientError, TimeoutError, OSError)
"""Everything that the transport raises."""


def failure_of(error: Exception) -> CallFailed:
    """Return what an exception of the transport means to us.

    The text never comes from `repr`, which shows the headers of a request in some of aiohttp's errors.
    """
    for foreign, failure, text in _MEANINGS:
        if isinstance(error, foreign):
            detail = "" if isinstance(error, aiohttp.ClientResponseError | TimeoutError) else str(error)[:300]
            return CallFailed(failure, f"{text} ({detail})" if detail else text)
    return CallFailed("transport", "the connection broke")

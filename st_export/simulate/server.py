"""The look-alike on the wire: an aiohttp server on loopback, one port for the API and tokens, one for the blob store."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from st_export.simulate.answers import problem
from st_export.simulate.control import Control, info
from st_export.simulate.faults import BEFORE, refusal
from st_export.simulate.options import Fault, SimulateOptions
from st_export.simulate.simulation import Simulation
from st_export.simulate.truth import TruthVersion, truth, view_of
from st_export.simulate.wire import reset, send, stall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from st_export.simulate.auth import TenantAccess
    from st_export.simulate.routes import Route
    from st_export.simulate.stats import Seen, Stats

TOKEN_PATH = "/connect/token"  # noqa: S105 - a path
_SHUTDOWN_SECONDS = 0.5


class LookAlike:
    """A running look-alike: where it is, who may read it, and its state."""

    def __init__(self, simulation: Simulation, host: str) -> None:
        self.simulation = simulation
        self._host = host
        self._port = 0
        self._control = Control(simulation, self.info)

    @property
    def api_url(self) -> str:
        """Return the base URL of the API, without a trailing slash."""
        return f"http://{self._host}:{self._port}"

    @property
    def auth_url(self) -> str:
        """Return the URL of the token endpoint."""
        return self.api_url + TOKEN_PATH

    @property
    def tenants(self) -> tuple[TenantAccess, ...]:
        """Return the tenants and their credentials."""
        return tuple(self.simulation.auth.tenants.values())

    @property
    def stats(self) -> Stats:
        """Return what arrived so far."""
        return self.simulation.stats

    def info(self) -> dict[str, Any]:
        """Return URLs, credentials and options as JSON."""
        return info(self.simulation, self.api_url, self.auth_url)

    def view(self, path: str) -> Route:
        """Return the call at a path with placeholders, or the feed (else the list) of a collection."""
        return view_of(path)

    def truth(self, path: str, *, tenant: int | None = None, current_only: bool = False) -> list[TruthVersion]:
        """Return every version of every record that a call shows (path with placeholders, or a collection's name)."""
        owner = self.simulation.tenants[tenant if tenant is not None else next(iter(self.simulation.tenants))]
        return list(truth(owner, view_of(path), current_only=current_only))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request to the API, the token endpoint or the controls."""
        path = request.path
        if path.startswith("/_simulate/"):
            answer = self._control.answer(request.method, path, dict(request.query), await request.read())
            return web.Response(status=answer.status, body=answer.body, content_type="application/json")
        if path == TOKEN_PATH:
            return await self._token(request)
        app_key = request.headers.get("ST-App-Key", "")
        query = _query(request)
        protocol = request.protocol
        arrived = protocol.arrived_at if isinstance(protocol, _Connection) else time.monotonic()
        seen = self.stats.arrive(arrived, request.method, path, query, app_key, path.split("/")[4] if path.count("/") > 3 else "")
        try:
            return await self._api(request, path, query, app_key, seen)
        except BaseException:
            if not seen.status:
                self.stats.answer(seen, 0, 0)
            raise

    async def _api(self, request: web.BaseRequest, path: str, query: dict[str, str], app_key: str, seen: Seen) -> web.StreamResponse:
        simulation = self.simulation
        refusal, struck = simulation.gate(path, request.query_string, app_key, seen.at)
        if "reset" in struck or "stall" in struck:
            self.stats.answer(seen, 0, 0)
            seen.status = -1
            return await (reset(request) if "reset" in struck else stall(request, struck["stall"]))
        answer = refusal
        if answer is None:
            headers = {name.lower(): value for name, value in request.headers.items()}
            body = await request.read() if request.method == "POST" else b""
            answer = await simulation.answer(request.method, path, query, headers, body, struck)
            pause = simulation.latency(answer)
            limit = simulation.options.server_timeout_seconds
            if pause > 0:
                await asyncio.sleep(min(pause, limit))
            answer = simulation.timed_out() if pause > limit else answer
        self.stats.answer(seen, answer.status, len(answer.body))
        return await send(simulation, request, answer, struck if answer.status == 200 else {})

    async def _token(self, request: web.BaseRequest) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()} if request.method == "POST" else {}
        struck = self.simulation.faults.striking_tokens(TOKEN_PATH)
        if "reset" in struck or "stall" in struck:
            return await (reset(request) if "reset" in struck else stall(request, struck["stall"]))
        refused = next((refusal(fault, self.simulation.options) for kind, fault in struck.items() if kind in BEFORE), None)
        answer = refused or self.simulation.auth.token(self.simulation.options, form, request.headers.get("Authorization", ""))
        if answer is None:
            return await reset(request)
        return await send(self.simulation, request, answer, struck if answer.status == 200 else {})

    async def handle_blob(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request to the blob store."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method != "GET":
            return await send(self.simulation, request, problem(405, "Method not allowed"), {})
        return await send(self.simulation, request, self.simulation.blob(request.path, dict(request.query), headers), {})

    async def listen(self, stack: contextlib.AsyncExitStack) -> None:
        """Begin to listen on both ports; the stack ends it."""
        options = self.simulation.options
        self._port = await _serve(stack, self.handle, options.host, options.port)
        blob_port = await _serve(stack, self.handle_blob, options.host, options.blob_port)
        self.simulation.blob_url = f"http://{options.host}:{blob_port}"


class _Connection(web.RequestHandler):
    """A connection that notes when its last bytes came: arrivals are counted when they arrive, not when their turn comes."""

    arrived_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Take the next bytes."""
        self.arrived_at = time.monotonic()
        super().data_received(data)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]  # None is off


async def _serve(stack: contextlib.AsyncExitStack, handler: Any, host: str, port: int) -> int:
    runner = web.ServerRunner(_Server(handler), shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, host, port)
    await site.start()
    return int(runner.addresses[0][1])


def _query(request: web.BaseRequest) -> dict[str, str]:
    """Return the parameters; one that repeats is joined by commas."""
    query: dict[str, str] = {}
    for name, value in request.query.items():
        query[name] = f"{query[name]},{value}" if name in query else value
    return query


@asynccontextmanager
async def serve(options: SimulateOptions | None = None) -> AsyncIterator[LookAlike]:
    """Run a look-alike in the present event loop."""
    options = options or SimulateOptions()
    look_alike = LookAlike(Simulation(options), options.host)
    async with contextlib.AsyncExitStack() as stack:
        await look_alike.listen(stack)
        yield look_alike


def run(options: SimulateOptions) -> None:
    """Run a look-alike until SIGINT or SIGTERM; its URLs and credentials are printed as one line of JSON on stdout first."""
    asyncio.run(_run(options))


def _collect_young_garbage_only() -> None:
    # A search through all that a long run has logged and cached stops the loop for tens of milliseconds: arrivals would be counted late.
    gc.freeze()
    gc.set_threshold(2_000, 10, 1_000_000)


async def _run(options: SimulateOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serve(options) as look_alike:
        _collect_young_garbage_only()
        sys.stdout.write(json.dumps(look_alike.info()) + "\n")
        sys.stdout.flush()
        await stop.wait()


__all__ = ["Fault", "LookAlike", "SimulateOptions", "run", "serve"]

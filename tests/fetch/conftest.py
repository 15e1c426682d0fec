"""A small service on loopback whose answers a test lines up, and a client wired to it."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from pydantic import SecretStr

from st_export.clock import Clock, ServiceClock
from st_export.events import Event, Events
from st_export.fetch.attempt import ClientOptions
from st_export.fetch.breaker import Breaker, BreakerPolicy
from st_export.fetch.client import Access, Client
from st_export.fetch.limiter import Limiter
from st_export.fetch.retry import RetryPolicy
from st_export.fetch.session import Session
from st_export.fetch.token import TokenOwner, TokenPolicy
from st_export.flow import EntityName, Request

Script = Callable[[web.Request], Awaitable[web.StreamResponse]] | web.Response | tuple[int, Any]
FAST = RetryPolicy(initial_seconds=0.001, longest_seconds=0.01, jitter_seconds=0.001, hold_seconds=0.001, hiccup_seconds=0.001)
PATH = "/jpm/v2/tenant/1001/jobs"
GOOD = {"hasMore": False, "data": [{"id": 1}]}


@dataclass
class Service:
    """The service: `script` and `tokens` are answered in order, then the page `GOOD` and fresh tokens."""

    url: str = ""
    script: deque[Script] = field(default_factory=deque)
    tokens: deque[Script] = field(default_factory=deque)
    seen: list[web.Request] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    token_forms: list[dict[str, list[str]]] = field(default_factory=list)
    token_life: object = 900
    valid: dict[str, float] = field(default_factory=dict)
    too_old: list[float] = field(default_factory=list)

    good = GOOD

    @staticmethod
    def html(status: int) -> web.Response:
        return web.Response(status=status, text="<html><head><title>Down for maintenance</title></head></html>", content_type="text/html")

    @staticmethod
    async def reset(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    @staticmethod
    def raw(body: bytes, **headers: str) -> web.Response:
        return web.Response(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def answer_token(self, request: web.Request) -> web.StreamResponse:
        self.token_forms.append(parse_qs((await request.read()).decode(), keep_blank_values=True))
        if self.tokens:
            return await _play(self.tokens.popleft(), request)
        token = f"token-{len(self.token_forms)}"
        self.valid[f"Bearer {token}"] = time.monotonic()
        return web.json_response({"access_token": token, "expires_in": self.token_life, "token_type": "Bearer"})

    async def answer_page(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.arrivals.append(time.monotonic())
        await request.read()
        issued = self.valid.get(request.headers.get("Authorization", ""))
        if issued is None:
            return web.json_response({"title": "Unauthorized", "status": 401}, status=401)
        self.too_old.append(time.monotonic() - issued)
        if self.script:
            return await _play(self.script.popleft(), request)
        return web.json_response(GOOD)


async def _play(step: Script, request: web.Request) -> web.StreamResponse:
    if isinstance(step, web.Response):
        return step
    if isinstance(step, tuple):
        return web.json_response(step[1], status=step[0])
    return await step(request)


@dataclass
class House:
    """Everything around a client, as the assembly would wire it."""

    client: Client
    token: TokenOwner
    limiter: Limiter
    breaker: Breaker
    session: Session
    service_clock: ServiceClock
    told: list[Event]

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    async def get(self, *query: tuple[str, str], shrinkable: bool = False, path: str = PATH) -> Any:
        answer = await self.client.send(Request(EntityName("jpm.jobs"), path, query, shrinkable=shrinkable), accept=json.loads)
        return answer.value


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    running = Service()
    app = web.Application()
    app.router.add_post("/connect/token", running.answer_token)
    app.router.add_route("*", "/{tail:.*}", running.answer_page)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield running
    finally:
        await runner.cleanup()


@asynccontextmanager
async def house_at(url: str, **settings: Any) -> AsyncIterator[House]:
    """Wire a client to a service; `settings` replace single parts."""
    told: list[Event] = []
    events, clock = Events(told.append), Clock()
    limiter = Limiter(settings.get("rate", 500), settings.get("max_in_flight", 32), tenant=1001, events=events, clock=clock)
    breaker = Breaker(
        1001, events=events, clock=clock, policy=settings.get("breaker", BreakerPolicy(first_seconds=0.01, longest_seconds=0.02))
    )
    service_clock = ServiceClock(clock)
    async with Session(connections=64, timeout_seconds=5) as session:
        token = TokenOwner(
            session,
            tenant=1001,
            auth_url=settings.get("auth_url", f"{url}/connect/token"),
            client_id=SecretStr(settings.get("client_id", "client-id-1")),
            client_secret=SecretStr(settings.get("client_secret", "very-secret-1")),
            events=events,
            clock=clock,
            policy=settings.get("token_policy", TokenPolicy(retry=FAST, unreachable_seconds=0.2)),
        )
        access = Access(
            tenant=1001, api_url=url, app_key=SecretStr(settings.get("app_key", "app-key-1")), token=token, limiter=limiter, breaker=breaker
        )
        options = settings.get("options", ClientOptions(timeout_seconds=5, policy=FAST))
        client = Client(session, access, events=events, clock=clock, service_clock=service_clock, options=options)
        yield House(client, token, limiter, breaker, session, service_clock, told)


@pytest.fixture
def wire() -> Callable[..., Any]:
    """The function that wires a client to a service: `async with wire(url, …) as house`."""
    return house_at


@pytest.fixture
def fast() -> RetryPolicy:
    """The default policy without its pauses."""
    return FAST


@pytest.fixture
async def house(service: Service) -> AsyncIterator[House]:
    async with house_at(service.url) as wired:
        yield wired

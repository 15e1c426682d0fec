"""The owner of a token, against a token endpoint on loopback."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiohttp import web

from st_export.errors import ServiceUnavailable, TenantRefused
from st_export.events import TokenRenewed
from st_export.fetch.token import ahead_seconds, life_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fetch.conftest import House, Service

pytestmark = pytest.mark.anyio


async def headers(house: House, callers: int) -> list[str]:
    found: list[str] = []

    async def ask() -> None:
        found.append(await house.token.header())

    async with anyio.create_task_group() as group:
        for _ in range(callers):
            group.start_soon(ask)
    return found


async def test_a_token_is_fetched_once_however_many_wait(service: Service, house: House) -> None:
    assert await headers(house, 50) == ["Bearer token-1"] * 50
    assert len(service.token_forms) == house.token.requests == 1
    assert [(event.tenant, event.lifetime_seconds) for event in house.of(TokenRenewed)] == [(1001, 900.0)]


async def test_a_refused_token_is_renewed_once_for_all(service: Service, house: House) -> None:
    first = await house.token.header()
    for _ in range(10):
        house.token.refuse(first)
    assert await headers(house, 10) == ["Bearer token-2"] * 10
    house.token.refuse(first)
    assert await house.token.header() == "Bearer token-2"
    assert len(service.token_forms) == 2


async def test_a_cancelled_leader_leaves_nobody_waiting(service: Service, house: House) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await anyio.sleep(10)
        return web.Response()

    service.tokens.append(slow)
    with anyio.move_on_after(0.05):
        await headers(house, 3)
    assert await house.token.header() == "Bearer token-2"


async def test_special_characters_arrive_byte_for_byte(service: Service, wire: Callable[..., Any]) -> None:
    secret = 'a+b/c=d&e%20f#g$h${HOME}"i'
    async with wire(service.url, client_secret=f" \t{secret}\r\n", client_id="\ufeffcid-é \n") as house:
        await house.token.header()
    assert service.token_forms == [{"grant_type": ["client_credentials"], "client_id": ["cid-é"], "client_secret": [secret]}]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"error": "invalid_client", "error_description": "client-id-1 unknown"}, "400 invalid_client"),
        (401, {}, "401 unauthorized"),
        (400, {"error": "unsupported_grant_type"}, "400 unsupported_grant_type"),
        (404, {"message": "very-secret-1"}, "answered 404"),
    ],
)
async def test_refused_credentials_are_told_without_them_and_asked_once(
    service: Service, house: House, status: int, body: Any, said: str
) -> None:
    service.tokens.append((status, body))
    for _ in range(3):
        with pytest.raises(TenantRefused, match=said) as caught:
            await house.token.header()
        text = f"{caught.value} {caught.value.hint} {caught.value!r}"
        assert "client-id-1" not in text
        assert "very-secret-1" not in text
        assert caught.value.tenant == 1001
    assert len(service.token_forms) == 1


async def test_an_endpoint_in_trouble_is_never_called_wrong_credentials(service: Service, house: House) -> None:
    broken = service.raw(b'{"access_token": ', Content_Type="application/json")
    troubles: list[Any] = [
        service.reset,
        service.reset,
        service.html(503),
        service.html(200),
        (429, {"title": "Try again in 0.01 seconds"}),
        (200, {}),
        broken,
    ]
    service.tokens.extend(troubles)
    assert await house.token.header() == f"Bearer token-{len(troubles) + 1}"


async def test_a_throttled_endpoint_that_asks_too_much_says_how_long(service: Service, house: House) -> None:
    service.tokens.append(web.json_response({}, status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(ServiceUnavailable, match="wait 3,600 seconds"):
        await house.token.header()


async def test_an_unreachable_endpoint_ends_soon_and_at_once_for_the_next(wire: Callable[..., Any]) -> None:
    async with wire("http://127.0.0.1:1") as house:
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            await house.token.header()
        tries = house.token.requests
        with pytest.raises(ServiceUnavailable):
            await house.token.header()
        assert house.token.requests == tries > 1


@pytest.mark.parametrize("life", [1, "0.6"])
async def test_short_lives_are_used_to_their_end_and_not_beyond(service: Service, wire: Callable[..., Any], life: object) -> None:
    service.token_life = life
    async with wire(service.url, rate=60) as house:
        started = time.monotonic()
        for _ in range(110):
            await house.get()
        took = time.monotonic() - started
    assert max(service.too_old) <= float(str(life)) + 1
    assert len(service.token_forms) <= took / float(str(life)) + 2


async def test_a_life_of_zero_is_no_token_a_call(service: Service, wire: Callable[..., Any]) -> None:
    service.token_life = 0
    async with wire(service.url) as house:
        for _ in range(30):
            await house.get()
    assert len(service.token_forms) <= 2
    assert max(service.too_old) <= 1


async def test_renewal_ahead_does_not_stop_the_flow(service: Service, wire: Callable[..., Any]) -> None:
    service.token_life = 60
    async with wire(service.url) as house:
        old = await house.token.header()
        token = house.token._token
        assert token is not None
        object.__setattr__(token, "renew_at", 0.0)
        service.tokens.append(service.html(503))
        assert await headers(house, 20) == [old] * 20
        assert len(service.token_forms) == 2


def test_lives_as_they_are_told() -> None:
    told = [900, "900", 3.5, None, "soon", True, [], float("nan"), float("inf"), -5, 0, "0"]
    assert [life_seconds(value) for value in told] == [900, 900, 3.5, 900, 900, 900, 900, 900, 900, 0.5, 0.5, 0.5]
    assert [ahead_seconds(life) for life in (900, 100, 3)] == [45, 5, 0.06]

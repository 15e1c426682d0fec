"""The client against answers of every kind."""

from __future__ import annotations

import gzip
import json
import logging
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiohttp import web

from st_export.errors import (
    ConfigError,
    EntityRefused,
    PageTimedOut,
    PageUnreadable,
    RequestRejected,
    ServiceUnavailable,
    StExportError,
    TenantRefused,
)
from st_export.events import RequestFinished, TenantHeldBack
from st_export.fetch.attempt import ClientOptions
from st_export.fetch.limiter import ReportGate
from st_export.flow import EntityName, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.fetch.retry import RetryPolicy
    from tests.fetch.conftest import House, Service

pytestmark = pytest.mark.anyio
GZIP = gzip.compress(b'{"data": [1]}', mtime=0)


async def test_a_request_bears_its_headers_and_an_exact_query(service: Service, house: House) -> None:
    assert await house.get(("sort", "+Id"), ("from", "2026-11-01T00:00:00Z"), ("a b", "ü&=")) == service.good
    seen = service.seen[0]
    assert seen.raw_path == "/jpm/v2/tenant/1001/jobs?sort=%2BId&from=2026-11-01T00%3A00%3A00Z&a%20b=%C3%BC%26%3D"
    names = ("Authorization", "ST-App-Key", "Accept", "Accept-Encoding")
    assert [seen.headers[name] for name in names] == ["Bearer token-1", "app-key-1", "application/json", "gzip"]
    finished = house.of(RequestFinished)
    assert [(event.tenant, event.entity, event.status, event.will_retry) for event in finished] == [(1001, "jpm.jobs", 200, False)]


async def test_no_content_is_no_rows_and_an_empty_body_is_none(service: Service, house: House) -> None:
    service.script.append(web.Response(status=204))
    assert await house.get() == []
    service.script.append(service.raw(b""))
    assert await house.get() == service.good
    assert [event.will_retry for event in house.of(RequestFinished)] == [False, True, False]


async def test_a_post_bears_its_body(service: Service, house: House) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response([request.method, request.content_type, await request.json()])

    service.script.append(echo)
    request = Request(EntityName("report.revenue"), "/reporting/x", method="POST", body=b'{"parameters": []}')
    answer = await house.client.send(request, accept=json.loads)
    assert answer.value == ["POST", "application/json", {"parameters": []}]


async def test_passing_troubles_are_repeated_and_told(service: Service, house: House) -> None:
    cut = service.raw(b'{"data": [', Content_Type="application/json")
    service.script.extend([service.reset, service.html(502), (500, {"title": "oops"}), (408, {}), cut, service.html(200)])
    answer = await house.client.send(Request(EntityName("jpm.jobs"), "/x"), accept=json.loads)
    assert (answer.value, answer.retries) == (service.good, 6)
    told = [(event.status, event.will_retry) for event in house.of(RequestFinished)]
    assert told == [(0, True), (502, True), (500, True), (408, True), (200, True), (200, True), (200, False)]


async def test_nothing_is_repeated_below_the_limiter(service: Service, house: House) -> None:
    await house.get()
    service.script.extend([service.reset, service.reset])
    await house.get()
    assert len(service.seen) == house.limiter.departed == len(house.of(RequestFinished)) == 4


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (403, {"title": "Scope validation failed", "traceId": "tr-1"}, EntityRefused, r"403: Scope validation failed \(trace tr-1\)"),
        (404, {"statusCode": 404, "message": "Unable to match incoming request"}, EntityRefused, "404: Unable to match incoming request"),
        (400, {"title": "Bad", "errors": {"sort": ["not allowed"]}}, RequestRejected, r"400: Bad \[sort: not allowed\]"),
        (409, {"title": "Customer is inactive"}, RequestRejected, "409: Customer is inactive"),
    ],
)
async def test_refusals_are_final_and_say_why(service: Service, house: House, status: int, body: Any, kind: type[Any], said: str) -> None:
    service.script.append((status, body))
    with pytest.raises(kind, match=said) as caught:
        await house.get()
    assert (caught.value.status, caught.value.tenant, caught.value.entity) == (status, 1001, "jpm.jobs")
    assert len(service.seen) == 1
    assert [event.status for event in house.of(RequestFinished)] == [status]


async def test_a_redirect_of_the_api_is_not_followed(service: Service, house: House) -> None:
    service.script.append(web.Response(status=302, headers={"Location": "https://elsewhere.example/secret?sig=1"}))
    with pytest.raises(RequestRejected, match=r"redirects to https://elsewhere\.example, which is not followed"):
        await house.get()


async def test_a_401_renews_once_and_repeats(service: Service, house: House) -> None:
    await house.get()
    service.valid.clear()
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(house.get)
    assert len(service.token_forms) == 2


async def test_a_second_401_refuses_the_entity(service: Service, house: House) -> None:
    service.script.extend([(401, {"title": "No"}), (401, {"title": "No"})])
    with pytest.raises(EntityRefused, match="401: No") as caught:
        await house.get()
    assert (caught.value.status, len(service.seen), len(service.token_forms)) == (401, 2, 2)


async def test_a_429_holds_the_tenant_for_the_sentence_in_the_body(service: Service, house: House) -> None:
    service.script.append((429, {"title": "Rate limit is exceeded. Try again in 0.2 seconds."}))
    await house.get()
    assert service.arrivals[1] - service.arrivals[0] >= 0.2
    assert [event.seconds for event in house.of(TenantHeldBack)] == [0.2]


async def test_a_503_with_retry_after_holds_all_calls_of_the_tenant(service: Service, house: House) -> None:
    service.script.append(web.Response(status=503, headers={"Retry-After": "0.3"}, text="<html></html>"))
    async with anyio.create_task_group() as group:
        group.start_soon(house.get)
        await anyio.sleep(0.1)
        group.start_soon(house.get)
    assert [moment - service.arrivals[0] >= 0.3 for moment in service.arrivals[1:]] == [True, True]


async def test_too_long_a_wait_fails_with_the_wait_in_its_error(service: Service, house: House) -> None:
    service.script.append(web.json_response({}, status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(ServiceUnavailable, match="wait 3,600 seconds"):
        await house.get()
    assert house.limiter.held_seconds == 0


async def test_many_429_in_a_row_do_not_use_up_the_tries(service: Service, house: House) -> None:
    service.script.extend([(429, {"title": "Try again in 0.001 seconds"})] * 5 + [(429, {})] * 8)
    assert await house.get() == service.good


async def test_spent_tries_say_what_was_last(service: Service, house: House) -> None:
    service.script.extend([(500, {"title": "oops", "traceId": "t9"})] * 40)
    with pytest.raises(ServiceUnavailable, match=r"failed 10 times, last: answered 500: oops \(trace t9\)"):
        await house.get()
    assert len(service.seen) == 10


async def test_a_page_that_stays_cut_off_is_kept_raw(service: Service, house: House) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"data": [{"id": 1')
        assert request.transport is not None
        request.transport.close()
        return response

    service.script.extend([cut] * 2)
    with pytest.raises(PageUnreadable) as caught:
        await house.get(("page", "3"), shrinkable=True)
    assert (caught.value.body, caught.value.request) == (b'{"data": [{"id": 1', "GET /jpm/v2/tenant/1001/jobs?page=3")


@pytest.mark.parametrize("shrinkable", [True, False])
async def test_no_answer_in_time_shrinks_at_once_or_is_repeated(
    service: Service, wire: Callable[..., Any], fast: RetryPolicy, shrinkable: bool
) -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await anyio.sleep(5)
        return web.Response()

    service.script.append(silent)
    async with wire(service.url, options=ClientOptions(timeout_seconds=0.1, policy=fast)) as house:
        if shrinkable:
            with pytest.raises(PageTimedOut, match=r"no answer within 0\.1 seconds"):
                await house.get(shrinkable=True)
        else:
            assert await house.get() == service.good


async def test_a_stall_in_mid_body_is_noticed(service: Service, wire: Callable[..., Any], fast: RetryPolicy) -> None:
    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"data"')
        await anyio.sleep(5)
        return response

    service.script.append(stall)
    async with wire(service.url, options=ClientOptions(timeout_seconds=60, stall_seconds=0.1, policy=fast)) as house:
        assert await house.get() == service.good


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"data": [1]}', {"Content_Encoding": "gzip"}),
        (GZIP, {}),
        (GZIP, {"Content_Encoding": "gzip"}),
        (gzip.compress(b'{"data":', mtime=0) + gzip.compress(b" [1]}", mtime=0), {"Content_Encoding": "gzip"}),
        (gzip.compress(GZIP, mtime=0), {"Content_Encoding": "gzip"}),
        (b'\xef\xbb\xbf{"data": [1]}', {"Content_Type": "application/json; charset=utf-16"}),
        (b'{"data": [1]}', {"Content_Type": "text/plain"}),
        (b'{"data": [1]}', {"Content_Type": "application/json; charset=klingon"}),
        ('{"data": [1]}'.encode("utf-16"), {"Content_Type": "application/json"}),
        ('{"data": [1]}'.encode("utf-16-le"), {"Content_Type": "application/json; charset=UTF-8"}),
    ],
)
async def test_mislabelled_bodies_are_read_all_the_same(service: Service, house: House, body: bytes, headers: dict[str, str]) -> None:
    service.script.append(service.raw(body, **headers))
    assert await house.get() == {"data": [1]}
    assert len(service.seen) == 1


@pytest.mark.parametrize("body", [GZIP[:-3], GZIP + b"x", GZIP[:15] + b"\0\0" + GZIP[17:]])
async def test_damaged_compression_is_never_a_shorter_page(service: Service, house: House, body: bytes) -> None:
    service.script.append(service.raw(body, Content_Encoding="gzip"))
    assert await house.get() == service.good
    assert len(service.seen) == 2


@pytest.mark.parametrize("body", [gzip.compress(b" " * 300_000, mtime=0), b" " * 150_000])
async def test_a_bomb_is_stopped_at_the_cap(service: Service, wire: Callable[..., Any], fast: RetryPolicy, body: bytes) -> None:
    service.script.extend([service.raw(body) for _ in range(2)])
    async with wire(service.url, options=ClientOptions(page_bytes=100_000, policy=fast)) as house:
        with pytest.raises(PageUnreadable, match="more than 100,000 bytes"):
            await house.get(shrinkable=True)


async def test_a_large_page_comes_whole(service: Service, house: House) -> None:
    rows = [{"id": number, "text": f"row {number * 7919}"} for number in range(50_000)]
    service.script.append(service.raw(gzip.compress(json.dumps(rows).encode(), 1, mtime=0), Content_Encoding="gzip"))
    answer = await house.client.send(Request(EntityName("jpm.jobs"), "/x"), accept=json.loads)
    assert answer.value == rows
    assert len(answer.body) > 5 * answer.wire_bytes / 2


async def test_the_services_clock_is_learnt(service: Service, house: House) -> None:
    moment = (datetime.now(UTC) - timedelta(minutes=10)).replace(microsecond=0)
    service.script.append(web.json_response({}, headers={"Date": format_datetime(moment, usegmt=True)}))
    await house.get()
    assert moment <= house.service_clock.now() < moment + timedelta(seconds=5)


async def test_a_429_of_a_report_holds_the_report_alone(service: Service, house: House) -> None:
    service.script.append((429, {"title": "Try again in 0.2 seconds."}))
    request = Request(EntityName("report.revenue"), "/reporting/x", method="POST", body=b"{}")
    await house.client.send(request, accept=json.loads, gate=ReportGate(0.01))
    assert service.arrivals[1] - service.arrivals[0] >= 0.2
    assert house.of(TenantHeldBack) == []


async def test_refused_credentials_pass_through(service: Service, house: House) -> None:
    service.tokens.append((400, {"error": "invalid_client"}))
    with pytest.raises(TenantRefused):
        await house.get()
    assert (service.seen, house.of(RequestFinished)) == ([], [])


async def test_secrets_are_in_no_event_error_or_log(service: Service, house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"title": "very-secret-1 app-key-1 token-1 client-id-1", "errors": ["app-key-1"]}
    service.script.extend([(500, echo), service.reset, (429, echo), (400, echo)])
    with pytest.raises(RequestRejected) as caught:
        await house.get()
    errors: list[BaseException | None] = [caught.value, caught.value.__cause__, caught.value.__context__]
    text = " ".join([*(f"{error} {error!r} {vars(error) if error else ''}" for error in errors), repr(house.told), caplog.text])
    text += repr([vars(record) for record in caplog.records])
    assert [secret for secret in ("very-secret-1", "app-key-1", "token-1", "client-id-1") if secret in text] == []


async def test_an_echoing_page_is_kept_without_the_secrets(service: Service, house: House) -> None:
    service.script.extend([service.raw(b"app-key-1 and token-1, no JSON") for _ in range(2)])
    with pytest.raises(PageUnreadable) as caught:
        await house.get(shrinkable=True)
    assert caught.value.body == b"*** and ***, no JSON"


async def test_plain_http_is_for_loopback_only(wire: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="not https"):
        async with wire("http://api.servicetitan.example", auth_url="http://127.0.0.1:1/token"):
            pass


async def test_an_accept_that_fails_otherwise_passes_through(house: House) -> None:
    def accept(_: bytes) -> None:
        raise StExportError("ours")

    with pytest.raises(StExportError, match="ours"):
        await house.client.send(Request(EntityName("jpm.jobs"), "/x"), accept=accept)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_storm_of_faults_loses_no_call(service: Service, house: House, seed: int) -> None:
    async def revoke(_: web.Request) -> web.StreamResponse:
        service.valid.clear()
        return web.json_response({}, status=401)

    async def mislabel(_: web.Request) -> web.StreamResponse:
        return service.raw(gzip.compress(json.dumps(service.good).encode(), mtime=0))

    async def cut(_: web.Request) -> web.StreamResponse:
        return service.raw(GZIP[:-5], Content_Encoding="gzip")

    def fault() -> Any:
        throttle = (429, {"title": "Try again in 0.01 seconds"})
        return dice.choice([service.html(503), service.html(502), service.reset, throttle, mislabel, cut])

    dice = random.Random(seed)
    steps: list[Any] = [fault() if dice.random() < 0.2 else (200, service.good) for _ in range(400)]
    for place in (10, 170, 330):  # far apart: a call that meets two of them is refused
        steps[place] = revoke
    service.script.extend(steps)
    answers: list[Any] = []

    async def ask() -> None:
        answers.extend([await house.get() for _ in range(10)])

    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(ask)
    assert answers == [service.good] * 300
    assert len(service.seen) == len(house.of(RequestFinished)) == house.limiter.departed
    assert len(service.token_forms) == 4

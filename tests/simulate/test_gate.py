from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.anyio
UNITS = "/settings/v2/tenant/{tenant}/business-units"


async def test_a_token_comes_by_form_and_by_basic(reading: Any) -> None:
    async with reading() as reader:
        document = await reader.log_in()
        assert (document["expires_in"], document["token_type"]) == (900, "Bearer")
        access = reader.look_alike.tenants[0]
        basic = aiohttp.encode_basic_auth(access.client_id, access.client_secret)
        form = {"grant_type": "client_credentials"}
        async with reader.session.post(reader.look_alike.auth_url, data=form, headers={"Authorization": basic}) as answer:
            assert answer.status == 200


async def test_wrong_credentials_are_an_invalid_client(reading: Any) -> None:
    async with reading() as reader:
        form = {"grant_type": "client_credentials", "client_id": "client-1001", "client_secret": "no"}
        async with reader.session.post(reader.look_alike.auth_url, data=form) as answer:
            assert (answer.status, await answer.json()) == (400, {"error": "invalid_client"})


async def test_secrets_arrive_byte_for_byte(reading: Any) -> None:
    async with reading() as reader:
        reader.simulation.auth.set_secret(1001, 'a+b/c=d&e%20f#g$h${HOME}"i')
        assert "access_token" in await reader.log_in()


async def test_odd_token_answers_come_in_their_order(reading: Any) -> None:
    async with reading() as reader:
        reader.simulation.auth.odd_answers.extend(["no-expiry", "text-expiry", "zero-expiry"])
        documents = [await reader.log_in() for _ in range(4)]
        assert [each.get("expires_in") for each in documents] == [None, "900", 0, 900]
        reader.simulation.auth.odd_answers.extend(["html503", "throttle", "reset"])
        statuses = []
        for _ in range(2):
            async with reader.session.post(reader.look_alike.auth_url, data={}) as answer:
                statuses.append(answer.status)
        assert statuses == [503, 429]
        with pytest.raises(aiohttp.ClientConnectionError):
            await reader.log_in()


async def test_a_token_dies_after_its_life_and_when_revoked(reading: Any) -> None:
    async with reading(token_life_seconds=0.0) as reader:
        assert (await reader.ask(UNITS))[0] == 401
        reader.simulation.set_options(token_life_seconds=900.0)
        await reader.log_in()
        assert (await reader.ask(UNITS))[0] == 200
        reader.simulation.auth.expire_tokens()
        assert (await reader.ask(UNITS))[0] == 401


async def test_refusals(reading: Any) -> None:
    async with reading(tenants=(1001, 1002)) as reader:
        assert (await reader.ask(UNITS.replace("{tenant}", "1002")))[0] == 403
        status, document, _ = await reader.ask("/salestech/v2/tenant/1001/estimates")
        assert (status, document["message"]) == (404, "Unable to match incoming request to an operation.")
        assert (await reader.ask(UNITS + "/"))[0] == 404
        reader.simulation.forbid("*/export/bookings")
        status, document, _ = await reader.ask("/crm/v2/tenant/{tenant}/export/bookings")
        assert status == 403
        assert "Scope validation failed" in document["message"]
        assert (await reader.ask("/crm/v2/tenant/{tenant}/bookings"))[0] == 200
        reader.headers["ST-App-Key"] = "wrong"
        assert (await reader.ask(UNITS))[0] == 401


async def test_tenants_have_records_of_their_own(reading: Any) -> None:
    async with reading(tenants=(1001, 1002)) as reader:
        first = await reader.get(UNITS)
        await reader.log_in(1)
        assert (await reader.get(UNITS.replace("{tenant}", "1002")))["data"] != first["data"]


async def test_more_than_the_limit_in_a_second_is_refused(reading: Any) -> None:
    async with reading(requests_per_second=10, retry_after_seconds=50) as reader:
        answers = await asyncio.gather(*(reader.ask(UNITS) for _ in range(14)))
        refused = [each for each in answers if each[0] == 429]
        stats = reader.look_alike.stats
    assert len(refused) == 4
    assert refused[0][1]["title"] == "Rate limit is exceeded. Try again in 50 seconds."
    assert refused[0][2]["Retry-After"] == "50"
    assert (stats.rate_limited, stats.worst_second, stats.requests) == (4, 14, 14)


async def test_the_wait_stands_where_it_is_told_to(reading: Any) -> None:
    async with reading(requests_per_second=1, retry_after="body") as reader:
        answers = [await reader.ask(UNITS) for _ in range(2)]
        assert "Retry-After" not in answers[1][2]
        assert "Try again in 1 seconds." in answers[1][1]["title"]


async def test_the_date_is_the_look_alike_s_clock_with_its_skew(reading: Any) -> None:
    async with reading(clock_skew_seconds=600) as reader:
        _, _, headers = await reader.ask(UNITS)
        assert headers["Date"].startswith("Fri, 20 Nov 2026 03:10:")
        reader.simulation.clock.advance(3_600)
        _, _, headers = await reader.ask(UNITS)
        assert headers["Date"].startswith("Fri, 20 Nov 2026 04:10:")


async def test_gzip_where_it_is_asked_for(reading: Any) -> None:
    async with reading() as reader:
        _, _, headers = await reader.ask("/jpm/v2/tenant/{tenant}/jobs")
        assert headers["Content-Encoding"] == "gzip"
        reader.headers["Accept-Encoding"] = "identity"
        assert "Content-Encoding" not in (await reader.ask("/jpm/v2/tenant/{tenant}/jobs"))[2]


async def test_too_long_a_page_is_a_gateway_time_out(reading: Any) -> None:
    async with reading(latency_per_thousand_rows=1.0, server_timeout_seconds=0.02) as reader:
        assert (await reader.ask("/jpm/v2/tenant/{tenant}/jobs", pageSize="50"))[0] == 504
        assert (await reader.ask("/jpm/v2/tenant/{tenant}/jobs", pageSize="5"))[0] == 200

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import aiohttp
import orjson
import pytest

from st_export.simulate.options import Fault

pytestmark = pytest.mark.anyio
JOBS = "/jpm/v2/tenant/{tenant}/jobs"
FEED = "/jpm/v2/tenant/{tenant}/export/jobs"


async def raw(reader: Any, path: str = JOBS) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body as they came over the wire."""
    url = reader.look_alike.api_url + path.replace("{tenant}", "1001")
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(url, headers=reader.headers) as answer:
        return dict(answer.headers), await answer.read()


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (Fault("error-json"), 500, "application/problem+json"),
        (Fault("error-html", status=502), 502, "text/html"),
        (Fault("maintenance"), 503, "text/html"),
        (Fault("rate-limited", seconds=4), 429, "application/problem+json"),
        (Fault("unauthorized"), 401, "application/problem+json"),
        (Fault("forbidden"), 403, "application/json"),
        (Fault("not-found"), 404, "application/problem+json"),
        (Fault("conflict"), 409, "application/problem+json"),
    ],
)
async def test_refusing_faults(reading: Any, fault: Fault, status: int, kind: str) -> None:
    async with reading() as reader:
        reader.simulation.faults.set((fault,))
        answer = await reader.ask(JOBS)
        assert (answer[0], answer[2]["Content-Type"].split(";")[0]) == (status, kind)


@pytest.mark.parametrize("fault", [Fault("reset"), Fault("reset-in-body"), Fault("stall", seconds=0.01)])
async def test_broken_connections(reading: Any, fault: Fault) -> None:
    async with reading(faults=(fault,)) as reader:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await reader.ask(JOBS)
        reader.simulation.faults.set(())
        assert (await reader.ask(JOBS))[0] == 200


async def test_a_stall_says_nothing(reading: Any) -> None:
    async with reading(faults=(Fault("stall"),)) as reader:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.ask(JOBS), 0.1)


async def test_bodies_that_are_cut(reading: Any) -> None:
    async with reading(gzip=False) as reader:
        _, whole = await raw(reader)
        reader.simulation.faults.set((Fault("cut", times=1), Fault("gateway-cut", size=1_000, after=1)))
        assert (await raw(reader))[1] == whole[: len(whole) // 2]
        assert (await raw(reader))[1] == whole[:1_000]


async def test_mislabelled_bodies(reading: Any) -> None:
    async with reading() as reader:
        _, packed = await raw(reader)
        whole = gzip.decompress(packed)
        found = {}
        for kind in (
            "mislabelled-gzip",
            "unlabelled-gzip",
            "gzip-members",
            "bom",
            "wrong-charset",
            "wrong-content-type",
            "no-content-type",
        ):
            reader.simulation.faults.set((Fault(kind),))
            headers, body = await raw(reader)
            found[kind] = (headers.get("Content-Encoding"), body[:2] == b"\x1f\x8b", headers["Content-Type"])
        assert found["mislabelled-gzip"][:2] == ("gzip", False)
        assert found["unlabelled-gzip"][:2] == (None, True)
        assert found["wrong-charset"][2] == "application/json; charset=utf-16"
        assert found["wrong-content-type"][2] == "text/plain"
        assert found["no-content-type"][2] == ""
        reader.simulation.faults.set((Fault("gzip-members"),))
        assert gzip.decompress((await raw(reader))[1]) == whole
        reader.simulation.faults.set((Fault("bom"),))
        assert gzip.decompress((await raw(reader))[1]) == b"\xef\xbb\xbf" + whole


async def test_a_slow_body_comes_whole(reading: Any) -> None:
    async with reading() as reader:
        expected = await reader.get(JOBS)
        reader.simulation.faults.set((Fault("slow-body", seconds=0.02),))
        assert await reader.get(JOBS) == expected


async def test_odd_feed_pages(reading: Any) -> None:
    async with reading() as reader:
        expected, token = await reader.drain(FEED)
        reader.simulation.faults.set((Fault("empty-page", times=2, after=1),))
        assert (await reader.drain(FEED))[0] == expected
        reader.simulation.faults.set((Fault("repeat-token"),))
        page = await reader.get(FEED, **{"from": token})
        assert (page["hasMore"], page["continueFrom"]) == (True, token)
        reader.simulation.faults.set((Fault("refuse-token", query="from="),))
        assert (await reader.ask(FEED, **{"from": token}))[0] == 400
        assert (await reader.ask(FEED, **{"from": "2026-01-01"}))[0] == 200


async def test_filters_may_be_ignored_and_envelopes_left_out(reading: Any) -> None:
    async with reading() as reader:
        reader.simulation.faults.set((Fault("ignore-filters"), Fault("bare-array", path="*/customers")))
        assert len((await reader.get(JOBS, modifiedOnOrAfter="2100-01-01T00:00:00Z"))["data"]) == 50
        assert isinstance(await reader.get("/crm/v2/tenant/{tenant}/customers"), list)


async def test_faults_strike_by_rate_and_seed(reading: Any) -> None:
    statuses = []
    for _ in range(2):
        async with reading(faults=(Fault("error-json", rate=0.3, path="*/jobs"),)) as reader:
            statuses.append([(await reader.ask(JOBS))[0] for _ in range(40)])
            assert (await reader.ask(FEED + "x"))[0] == 404
    assert statuses[0] == statuses[1]
    assert 4 < statuses[0].count(500) < 20


async def test_maintenance_ends(reading: Any) -> None:
    async with reading() as reader:
        reader.simulation.faults.set((Fault("maintenance", seconds=0.05),))
        statuses = [(await reader.ask(JOBS))[0]]
        while statuses[-1] != 200:
            statuses.append((await reader.ask(JOBS))[0])
        assert set(statuses[:-1]) == {503}


async def test_maintenance_takes_the_token_endpoint_too(reading: Any) -> None:
    async with reading() as reader:
        reader.simulation.faults.set((Fault("maintenance", times=1), Fault("cut", path="/connect/token", times=1)))
        statuses = []
        for _ in range(2):
            async with reader.session.post(reader.look_alike.auth_url, data={"grant_type": "client_credentials"}) as answer:
                statuses.append(answer.status)
        assert statuses == [503, 400]


def test_a_fault_is_read_from_a_text() -> None:
    assert Fault.parse("error-json:rate=0.1,path=*/jobs*,status=503") == Fault("error-json", rate=0.1, path="*/jobs*", status=503)
    with pytest.raises(ValueError, match="no fault `explode`"):
        Fault.parse("explode:rate=1")
    with pytest.raises(ValueError, match="a fault has no `colour`"):
        Fault.parse("cut:colour=red")


async def test_answers_set_by_hand(reading: Any) -> None:
    async with reading() as reader:
        reader.simulation.answer_with("*/jobs", {"data": [{"id": 1}], "hasMore": False}, query="page=2")
        reader.simulation.answer_with("*/projects", b'{"data": [1.50', status=200)
        assert await reader.get(JOBS, page="2") == {"data": [{"id": 1}], "hasMore": False}
        assert (await raw(reader, "/jpm/v2/tenant/{tenant}/projects"))[1] == b'{"data": [1.50'
        reader.simulation.clear_answers()
        assert orjson.loads(gzip.decompress((await raw(reader))[1]))["page"] == 1

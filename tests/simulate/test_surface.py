from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from st_export.simulate import believable
from st_export.simulate.digest import load_digest, write_digest
from st_export.simulate.options import SimulateOptions
from st_export.simulate.routes import all_routes
from st_export.simulate.tenant import Tenant

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
JOBS = "/jpm/v2/tenant/{tenant}/export/jobs"
INVOICES = "/accounting/v2/tenant/{tenant}/export/invoices"


def test_the_digest_holds_every_get_call() -> None:
    operations = load_digest()
    assert sum(each.method == "GET" for each in operations) == 315
    assert sum(each.kind == "feed" for each in all_routes()) == 55


def test_the_digest_is_derived_from_openapi_files(tmp_path: Path) -> None:
    record = {
        "type": "object",
        "properties": {"id": {"type": "integer", "format": "int64"}, "spentOn": {"type": "string", "format": "date-time"}},
    }
    page = {
        "type": "object",
        "properties": {"page": {"type": "integer"}, "hasMore": {"type": "boolean"}, "data": {"type": "array", "items": record}},
    }
    sort = {"name": "sort", "in": "query", "description": "Available fields are: Id, Name.", "schema": {"type": "string"}}
    call = {"parameters": [sort], "responses": {"200": {"content": {"application/json": {"schema": page}}}}}
    specs = {"servers": [{"url": "https://h/toys/v2"}], "paths": {"/tenant/{tenant}/dolls": {"get": call}}, "components": {"schemas": {}}}
    (tmp_path / "toys.json").write_text(json.dumps(specs))
    assert write_digest(tmp_path, tmp_path / "out") == 1
    written = json.loads((tmp_path / "out" / "toys.json").read_text())["operations"]
    assert written == [
        {
            "method": "get",
            "path": "/toys/v2/tenant/{tenant}/dolls",
            "envelope": ["page", "hasMore", "data"],
            "record": {"id": "int64", "spentOn": "datetime"},
            "query": {"sort": "string"},
            "sort": ["Id", "Name"],
        }
    ]


async def test_every_call_without_ids_answers_as_its_shape_says(reading: Any) -> None:
    bounds = {"modifiedOnOrAfter": "2020-01-01T00:00:00Z"}
    async with reading() as reader:
        for route in all_routes():
            if "{" in route.path.replace("{tenant}", "") or route.operation.method != "GET" or route.kind == "redirect":
                continue
            query = dict.fromkeys(route.operation.required, "2026-01-01") if route.operation.required else {}
            query |= {name: "1" for name in query if name in ("page", "pageSize", "ids", "technicianId", "appointmentId")}
            query |= bounds if route.path in believable.NEEDS_BOUND else {}
            document = await reader.get(route.path, **query)
            names = route.operation.envelope
            if "data" in names:
                assert list(document) == list(names), route.path
                assert not document["data"] or route.kind == "report" or list(document["data"][0]) == list(route.shape), route.path
            elif names == ("[]",):
                assert isinstance(document, list)


async def test_feed_and_list_show_the_same_record(reading: Any) -> None:
    async with reading(feed_page_rows=500) as reader:
        feed, _ = await reader.drain(JOBS)
        listed = await reader.pages("/jpm/v2/tenant/{tenant}/jobs", 500)
    by_id = {each["id"]: each for each in feed}
    assert {"active"} == set(feed[0]) - set(listed[0])
    assert all({**each, "active": True} == by_id[each["id"]] for each in listed)
    assert 0 < len(listed) < len(feed) == 60


async def test_records_refer_to_each_other(reading: Any) -> None:
    async with reading(feed_page_rows=500) as reader:
        jobs = {each["id"]: each for each in (await reader.drain(JOBS))[0]}
        invoices, _ = await reader.drain(INVOICES)
        customers = {each["id"] for each in (await reader.drain("/crm/v2/tenant/{tenant}/export/customers"))[0]}
    assert all(each["job"]["id"] in jobs for each in invoices if each["job"])
    assert all(each["customer"]["id"] == jobs[each["job"]["id"]]["customerId"] for each in invoices if each["job"] and each["customer"])
    assert {each["customerId"] for each in jobs.values()} <= customers


async def test_numbers_and_times_keep_the_service_s_spelling(reading: Any) -> None:
    async with reading(rows=200, feed_page_rows=500) as reader:
        url = reader.look_alike.api_url + INVOICES.replace("{tenant}", "1001")
        async with reader.session.get(url, headers=reader.headers) as answer:
            text = await answer.text()
    records = json.loads(text, parse_float=Decimal)["data"]
    fractions = {len(each["modifiedOn"].rstrip("Z").partition(".")[2]) for each in records}
    assert max(fractions) == 7
    assert min(fractions) < 7
    assert all(isinstance(each["total"], str | None) for each in records)
    assert ".0000000000000000000" in text
    assert '"0001-01-01T00:00:00Z"' in text


async def test_unknown_fields_and_other_types_than_documented_are_sent(reading: Any) -> None:
    async with reading(feed_page_rows=500) as reader:
        jobs, _ = await reader.drain(JOBS)
        entries = await reader.get("/accounting/v2/tenant/{tenant}/journal-entries")
    assert {"equipmentIds", "isAutoDispatched", "summaryOfWork"} <= set(jobs[0])
    assert all(each["postDate"] is None or each["postDate"].endswith("T00:00:00") for each in entries["data"])


async def test_the_same_seed_makes_the_same_tenant(reading: Any) -> None:
    async with reading() as first, reading() as second, reading(seed=2) as other:
        one, two, three = [(await each.drain(JOBS))[0] for each in (first, second, other)]
    assert one == two
    assert one != three


async def test_a_record_is_read_by_id(reading: Any) -> None:
    path = "/crm/v2/tenant/{tenant}/customers"
    async with reading() as reader:
        listed = (await reader.get(path))["data"][3]
        assert await reader.get(f"{path}/{listed['id']}") == listed
        assert (await reader.ask(f"{path}/12"))[0] == 404


async def test_row_counts_of_single_collections(reading: Any) -> None:
    async with reading(row_counts={"jpm.jobs": 7, "crm.customers": 0}) as reader:
        assert len((await reader.drain(JOBS))[0]) == 7
        assert (await reader.drain("/crm/v2/tenant/{tenant}/export/customers"))[0] == []


def test_a_record_is_written_alike_alone_and_among_others() -> None:
    tenant = Tenant(1001, SimulateOptions(rows=40), end=17_952_000_000_000_000)
    for route in all_routes():
        if route.kind in ("feed", "list", "one", "part"):
            rows = np.arange(min(9, tenant.rows(route.collection).count))
            together = tenant.write(route, rows)
            assert together == [tenant.write(route, rows[place : place + 1])[0] for place in rows.tolist()], route.path

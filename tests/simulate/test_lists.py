from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.anyio
CUSTOMERS = "/crm/v2/tenant/{tenant}/customers"
JOBS = "/jpm/v2/tenant/{tenant}/jobs"
TASKS = "/taskmanagement/v2/tenant/{tenant}/tasks"


async def test_a_page_has_fifty_rows_and_no_total_unless_asked(reading: Any) -> None:
    async with reading(rows=200) as reader:
        page = await reader.get(CUSTOMERS)
        assert (page["page"], page["pageSize"], page["hasMore"], page["totalCount"], len(page["data"])) == (1, 50, True, None, 50)
        page = await reader.get(CUSTOMERS, Page="2", PAGESIZE="60", includeTotal="true")
        assert (page["page"], page["pageSize"], page["hasMore"]) == (2, 60, False)
        assert len(page["data"]) == page["totalCount"] - 60


async def test_a_page_size_over_the_maximum_is_clamped_or_refused(reading: Any) -> None:
    entries = "/accounting/v2/tenant/{tenant}/journal-entries"
    async with reading() as reader:
        assert (await reader.get(CUSTOMERS, pageSize="9000"))["pageSize"] == 5000
        assert (await reader.get(entries, pageSize="501"))["pageSize"] == 500
        reader.simulation.set_options(page_size_over_maximum="refuse")
        assert (await reader.ask(entries, pageSize="501"))[0] == 400
        assert (await reader.ask("/jpm/v2/tenant/{tenant}/jobs/custom-fields", page="0"))[0] == 400


async def test_bounds_are_inclusive_below_and_exclusive_above(reading: Any) -> None:
    async with reading(rows=200) as reader:
        everything = await reader.pages(CUSTOMERS, 50, active="Any")
        for field, name in (("modifiedOn", "modified"), ("createdOn", "created")):
            times = sorted(each[field] for each in everything)
            query = {f"{name}OnOrAfter": times[30], f"{name}Before": times[60], "active": "Any"}
            found = await reader.pages(CUSTOMERS, 50, **query)
            assert {each["id"] for each in found} == {each["id"] for each in everything if times[30] <= each[field] < times[60]}
        assert await reader.pages(CUSTOMERS, 50, modifiedOnOrAfter="2100-01-01T00:00:00Z") == []
        assert (await reader.ask(CUSTOMERS, createdBefore="yesterday"))[0] == 400


async def test_inactive_rows_are_hidden_unless_asked_for(reading: Any) -> None:
    async with reading(rows=400) as reader:
        counts = {value: len(await reader.pages(CUSTOMERS, 500, active=value)) for value in ("True", "False", "Any")}
        assert len(await reader.pages(CUSTOMERS, 500)) == counts["True"] < counts["Any"] == 200
        assert counts["True"] + counts["False"] == 200
        teams = "/dispatch/v2/tenant/{tenant}/teams"
        assert len(await reader.pages(teams, 50)) <= len(await reader.pages(teams, 50, includeInactive="true")) == 15
        payments = "/accounting/v2/tenant/{tenant}/payments"
        assert len(await reader.pages(payments, 500)) < len(await reader.pages(payments, 500, activeState="All")) == 320
        assert (await reader.ask(CUSTOMERS, active="maybe"))[0] == 400


async def test_a_list_of_one_kind_shows_the_default_kind_unless_asked(reading: Any) -> None:
    bills = "/accounting/v2/tenant/{tenant}/ap-bills"
    async with reading(rows=600) as reader:
        found = {kind: await reader.pages(bills, 500, billType=kind) for kind in ("NotSet", "Procurement", "ApBill")}
        assert {kind: {each["billType"] for each in rows} for kind, rows in found.items()} == {kind: {kind} for kind in found}
        assert await reader.pages(bills, 500) == found["Procurement"]
        assert sum(map(len, found.values())) == 60
        bill = found["ApBill"][0]["id"]
        reader.simulation.changes.modify("accounting.ap-bills", bill, {"billType": "Procurement"})
        assert bill in [each["id"] for each in await reader.pages(bills, 500)]
        assert (await reader.ask(bills, billType="Other"))[0] == 400


async def test_journal_entries_without_rows_are_hidden_unless_asked_for(reading: Any) -> None:
    entries = "/accounting/v2/tenant/{tenant}/journal-entries"
    async with reading(rows=600) as reader:
        assert len(await reader.pages(entries, 500)) < len(await reader.pages(entries, 500, empty="Include")) == 60


async def test_unknown_parameters_are_ignored(reading: Any) -> None:
    async with reading() as reader:
        assert await reader.get(JOBS, modifiedSince="2100-01-01", status="Done") == await reader.get(JOBS)


async def test_sort_by_listed_fields_only(reading: Any) -> None:
    async with reading() as reader:
        ids = [each["id"] for each in (await reader.get(JOBS, sort="-Id"))["data"]]
        assert ids == sorted(ids, reverse=True)
        times = [each["modifiedOn"] for each in (await reader.get(JOBS, sort="+ModifiedOn"))["data"]]
        assert times == sorted(times)
        for wrong in ("completedOn", " Id"):
            assert (await reader.ask(JOBS, sort=wrong))[0] == 400
        assert (await reader.ask("/payroll/v2/tenant/{tenant}/gross-pay-items", sort="+ModifiedOn"))[0] == 400
        assert (await reader.ask("/telecom/v3/tenant/{tenant}/calls", sort="Id"))[0] == 200
        assert (await reader.ask("/telecom/v3/tenant/{tenant}/calls", sort="+Id"))[0] == 400


async def test_sorted_by_modification_is_not_always_sorted(reading: Any) -> None:
    path = "/pricebook/v2/tenant/{tenant}/materials"
    async with reading(row_counts={"pricebook.materials": 500}, years=0.02) as reader:
        times = [each["modifiedOn"] for each in await reader.pages(path, 500, sort="+ModifiedOn", active="Any")]
        assert times != sorted(times)


async def test_ids_at_most_fifty(reading: Any) -> None:
    async with reading(rows=200) as reader:
        ids = [str(each["id"]) for each in (await reader.get(CUSTOMERS, pageSize="60"))["data"]]
        found = await reader.get(CUSTOMERS, ids=",".join(ids[:5]))
        assert [str(each["id"]) for each in found["data"]] == ids[:5]
        status, document, _ = await reader.ask(CUSTOMERS, ids=",".join(ids[:51]))
        assert (status, list(document["errors"])) == (400, ["ids"])


async def test_required_parameters_and_bounds(reading: Any) -> None:
    async with reading() as reader:
        status, document, _ = await reader.ask("/inventory/v2/tenant/{tenant}/return-types")
        assert (status, list(document["errors"])) == (400, ["activeOnly"])
        assert (await reader.ask(f"{CUSTOMERS}/contacts"))[0] == 400
        assert (await reader.ask(f"{CUSTOMERS}/contacts", modifiedOnOrAfter="2020-01-01"))[0] == 200


async def test_offsets_shift_when_the_set_shrinks(reading: Any) -> None:
    bound = {"modifiedBefore": "2026-11-20T03:00:00Z"}
    async with reading() as reader:
        first = await reader.get(TASKS, pageSize="3", **bound)
        skipped = (await reader.get(TASKS, page="2", pageSize="3", **bound))["data"][0]["id"]
        reader.simulation.changes.modify("taskmanagement.tasks", first["data"][0]["id"])
        assert skipped not in {each["id"] for each in (await reader.get(TASKS, page="2", pageSize="3", **bound))["data"]}


async def test_forms_submissions_take_only_z(reading: Any) -> None:
    path = "/forms/v2/tenant/{tenant}/submissions"
    async with reading() as reader:
        assert (await reader.ask(path, submittedOnOrAfter="2026-01-01T00:00:00Z"))[0] == 200
        assert (await reader.ask(path, submittedOnOrAfter="2026-01-01T00:00:00+00:00"))[0] == 400


async def test_bare_arrays_and_data_only_envelopes(reading: Any) -> None:
    async with reading() as reader:
        bills = await reader.get("/accounting/v2/tenant/{tenant}/inventory-bills", pageSize="4")
        assert (type(bills), len(bills)) == (list, 4)
        assert list(await reader.get("/jpm/v2/tenant/{tenant}/work-breakdown-structure/segments")) == ["data"]


async def test_performance_is_told_by_segment_and_range(reading: Any) -> None:
    path = "/marketingads/v2/tenant/{tenant}/performance"
    window = {"fromUtc": "2025-01-01T00:00:00Z", "toUtc": "2026-01-01T00:00:00Z"}
    async with reading(rows=400) as reader:
        found = [await reader.pages(path, 500, performanceSegmentationType=each, **window) for each in ("Campaign", "AdGroup")]
        assert found[0] != found[1]
        assert 0 < len(found[0]) < 200
        assert (await reader.ask(path, **window))[0] == 400

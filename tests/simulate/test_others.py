from __future__ import annotations

from typing import Any

import orjson
import pytest

pytestmark = pytest.mark.anyio
CUSTOMERS = "/crm/v2/tenant/{tenant}/customers"
REPORT = "/reporting/v2/tenant/{tenant}/report-category/accounting/reports/101"


async def test_children_belong_to_their_parent(reading: Any) -> None:
    async with reading(rows=200) as reader:
        truth = reader.look_alike.truth("crm.customers.notes")
        parent = truth[0].parent
        notes = await reader.get(f"{CUSTOMERS}/{parent}/notes")
        assert notes["data"] == [orjson.loads(each.record) for each in truth if each.parent == parent]
        assert len(notes["data"]) == 3
        assert (await reader.ask(f"{CUSTOMERS}/99/notes"))[0] == 404


async def test_a_child_shows_the_records_of_its_bulk_form(reading: Any) -> None:
    async with reading() as reader:
        changes, _ = await reader.drain("/memberships/v2/tenant/{tenant}/export/membership-status-changes")
        path = f"/memberships/v2/tenant/{{tenant}}/memberships/{changes[0]['membershipId']}/status-changes"
        assert changes[0]["id"] in {each["id"] for each in await reader.get(path)}
        history, _ = await reader.drain("/jpm/v2/tenant/{tenant}/export/job-history")
        one = await reader.get(f"/jpm/v2/tenant/{{tenant}}/jobs/{history[0]['jobId']}/history")
        assert one == {"history": history[0]["history"]}


async def test_contacts_of_an_inactive_parent_are_a_conflict_and_of_a_deleted_one_gone(reading: Any) -> None:
    async with reading() as reader:
        first, second = [each["id"] for each in (await reader.get(CUSTOMERS))["data"][:2]]
        assert (await reader.ask(f"{CUSTOMERS}/{first}/contacts"))[0] == 200
        reader.simulation.changes.deactivate(CUSTOMERS, first)
        reader.simulation.changes.delete(CUSTOMERS, second)
        assert [(await reader.ask(f"{CUSTOMERS}/{each}/contacts"))[0] for each in (first, second)] == [409, 404]


async def test_cancel_reasons_come_by_job_ids(reading: Any) -> None:
    path = "/jpm/v2/tenant/{tenant}/jobs/cancel-reasons"
    async with reading() as reader:
        job = reader.look_alike.truth("jpm.jobs.cancel-reasons")[2].parent
        found = await reader.get(path, ids=job)
        assert [each["jobId"] for each in found["data"]] == [int(job)]
        assert (await reader.ask(path))[0] == 400


async def test_keys_of_ratings_are_unique(reading: Any) -> None:
    async with reading(rows=3_000, feed_page_rows=5_000) as reader:
        ratings, _ = await reader.drain("/customer-interactions/v2/tenant/{tenant}/export/technician-ratings")
        assert len({(each["technicianId"], each["jobId"]) for each in ratings}) == len(ratings) == 900


async def test_reports_are_described_and_run_once_a_minute(reading: Any) -> None:
    body = orjson.dumps({"parameters": [{"name": "From", "value": "2026-11-01"}, {"name": "To", "value": "2026-11-01"}], "pageSize": 3})
    async with reading() as reader:
        categories = await reader.get("/reporting/v2/tenant/{tenant}/report-categories")
        assert [each["id"] for each in categories["data"]] == ["accounting", "marketing", "operations"]
        described = await reader.get(REPORT)
        assert [each["name"] for each in described["fields"]] == ["Name", "Date", "Revenue", "Jobs", "Name"]
        status, data, _ = await reader.ask(f"{REPORT}/data", "POST", body, page="1", pageSize="10", includeTotal="true")
        assert (status, len(data["data"]), data["hasMore"], data["totalCount"]) == (200, 10, True, 24)
        assert data["fields"][2] == {"name": "Revenue", "label": "Revenue"}
        status, problem, _ = await reader.ask(f"{REPORT}/data", "POST", body, page="2")
        assert status == 429
        assert problem["title"] == "Rate limit is exceeded. Try again in 60 seconds."


async def test_a_report_wants_bare_dates_and_its_description(reading: Any) -> None:
    wrong = orjson.dumps({"parameters": [{"name": "From", "value": "2026-11-01T00:00:00Z"}, {"name": "To", "value": "2026-11-01"}]})
    async with reading(report_interval_seconds=0, report_needs_description=True) as reader:
        good = wrong.replace(b"T00:00:00Z", b"")
        assert (await reader.ask(f"{REPORT}/data", "POST", good))[0] == 400
        await reader.get(REPORT)
        assert (await reader.ask(f"{REPORT}/data", "POST", good))[0] == 200
        assert (await reader.ask(f"{REPORT}/data", "POST", wrong))[0] == 400
        assert (await reader.ask(f"{REPORT}/data", "POST", good, pageSize="25001"))[0] == 400


async def test_capacity_of_at_most_fourteen_days(reading: Any) -> None:
    path = "/dispatch/v2/tenant/{tenant}/capacity"
    asked = {"startsOnOrAfter": "2026-11-20T00:00:00Z", "endsOnOrBefore": "2026-11-21T00:00:00Z", "skillBasedAvailability": True}
    async with reading() as reader:
        _, document, _ = await reader.ask(path, "POST", orjson.dumps(asked))
        assert [each["startUtc"][11:16] for each in document["availabilities"]] == ["08:00", "10:00", "12:00", "14:00", "16:00"]
        assert (await reader.ask(path, "POST", orjson.dumps({**asked, "endsOnOrBefore": "2026-12-21"})))[0] == 400
        assert (await reader.ask(path, "POST", b"{}"))[0] == 400


async def test_recordings_are_bytes_or_missing(reading: Any) -> None:
    async with reading() as reader:
        calls, _ = await reader.drain("/telecom/v2/tenant/{tenant}/export/calls")
        answers = [await reader.ask(f"/telecom/v2/tenant/{{tenant}}/calls/{each['id']}/recording") for each in calls]
        assert {each[0] for each in answers} == {200, 404}
        good = next(each for each in answers if each[0] == 200)
        assert good[2]["Content-Type"] == "audio/mpeg"
        assert good[1].startswith(b"ID3")


async def test_images_lie_at_another_origin_that_wants_no_secrets(reading: Any) -> None:
    async with reading() as reader:
        status, _, headers = await reader.ask("/pricebook/v2/tenant/{tenant}/images", path="Images/a b.jpg")
        assert status == 302
        assert not headers["Location"].startswith(reader.look_alike.api_url)
        async with reader.session.get(headers["Location"]) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
        async with reader.session.get(headers["Location"], headers=reader.headers) as answer:
            assert answer.status == 400
        assert reader.look_alike.stats.secrets_at_blobs == 1


async def test_single_objects_and_bare_values(reading: Any) -> None:
    async with reading() as reader:
        hours = await reader.get("/dispatch/v2/tenant/{tenant}/business-hours")
        assert set(hours) == {"weekdays", "saturday", "sunday"}
        locations = [each["id"] for each in (await reader.get("/crm/v2/tenant/{tenant}/locations"))["data"][:6]]
        values = [await reader.get(f"/crm/v2/tenant/{{tenant}}/locations/{each}/preferredtechnician") for each in locations]
        assert {type(each) for each in values} == {int, type(None)}

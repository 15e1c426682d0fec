from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.anyio
JOBS = "/jpm/v2/tenant/{tenant}/export/jobs"
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


async def test_a_feed_is_a_chain_with_a_token_at_its_end_too(reading: Any) -> None:
    async with reading() as reader:
        records, token = await reader.drain(JOBS)
        assert len({each["id"] for each in records}) == 60
        again = await reader.get(JOBS, **{"from": token})
        assert again == {"hasMore": False, "continueFrom": token, "data": []}
        assert [each["modifiedOn"] for each in records] == sorted(each["modifiedOn"] for each in records)


async def test_a_feed_begins_at_a_date_inclusive(reading: Any) -> None:
    async with reading() as reader:
        everything, _ = await reader.drain(JOBS)
        bound = everything[40]["modifiedOn"]
        records, _ = await reader.drain(JOBS, **{"from": bound})
        assert records == everything[40:]
        none, _ = await reader.drain(JOBS, **{"from": "2100-01-01"})
        assert none == []


async def test_a_token_is_only_good_for_its_feed(reading: Any) -> None:
    async with reading() as reader:
        _, token = await reader.drain(JOBS)
        status, document, _ = await reader.ask("/crm/v2/tenant/{tenant}/export/customers", **{"from": token})
        assert (status, list(document["errors"])) == (400, ["from"])
        assert (await reader.ask(JOBS, **{"from": "nonsense"}))[0] == 400
        reader.simulation.refuse_feed_tokens(JOBS)
        assert (await reader.ask(JOBS, **{"from": token}))[0] == 400


async def test_only_the_newest_token_may_be_good(reading: Any) -> None:
    async with reading(newest_token_only=True) as reader:
        _, token = await reader.drain(JOBS)
        newer = (await reader.get(JOBS, **{"from": token}))["continueFrom"]
        assert newer != token
        assert (await reader.ask(JOBS, **{"from": token}))[0] == 400
        assert (await reader.ask(JOBS, **{"from": newer}))[0] == 200


async def test_a_change_shows_after_the_lag(reading: Any) -> None:
    async with reading() as reader:
        records, token = await reader.drain(JOBS)
        reader.simulation.changes.modify(JOBS, records[0]["id"], {"summary": "changed"})
        new = reader.simulation.changes.add(JOBS)
        assert (await reader.drain(JOBS, **{"from": token}))[0] == []
        assert len((await reader.drain(JOBS))[0]) == 60, "as it was 15 minutes ago"
        reader.simulation.clock.advance(901)
        changed, _ = await reader.drain(JOBS, **{"from": token})
        assert [each["id"] for each in changed] == [records[0]["id"], int(new)]
        assert changed[0]["summary"] == "changed"
        assert len((await reader.drain(JOBS))[0]) == 61


async def test_recent_changes_show_at_once_and_again(reading: Any) -> None:
    async with reading() as reader:
        records, _ = await reader.drain(JOBS)
        reader.simulation.changes.modify(JOBS, records[0]["id"])
        first, token = await reader.drain(JOBS, includeRecentChanges="true")
        assert first[-1]["id"] == records[0]["id"]
        again, _ = await reader.drain(JOBS, includeRecentChanges="true", **{"from": token})
        assert again == first[-1:]


async def test_a_feed_gives_the_record_as_it_is_now(reading: Any) -> None:
    async with reading(feed_lag_seconds=0) as reader:
        records, token = await reader.drain(JOBS)
        for summary in ("one", "two"):
            reader.simulation.changes.modify(JOBS, records[0]["id"], {"summary": summary})
        changed, _ = await reader.drain(JOBS, **{"from": token})
        assert [each["summary"] for each in changed] == ["two"]


async def test_many_records_with_one_time_and_one_that_comes_late(reading: Any) -> None:
    moment = NOW - timedelta(hours=1)
    async with reading() as reader:
        changes = reader.simulation.changes
        assert changes.bulk_edit(JOBS, moment) == 60
        records, token = await reader.drain(JOBS, **{"from": moment.isoformat().replace("+00:00", "Z")})
        assert {each["modifiedOn"] for each in records} == {"2026-11-20T02:00:00Z"}
        assert len(records) == 60
        changes.add(JOBS, record_id=5, modified_on=moment)
        changes.add(JOBS, record_id=6, modified_on=moment - timedelta(minutes=20))
        late, _ = await reader.drain(JOBS, **{"from": token})
        assert [(each["id"], each["modifiedOn"]) for each in late] == [(5, "2026-11-20T02:00:00Z"), (6, "2026-11-20T01:40:00Z")]


async def test_deleted_records_show_as_inactive_in_the_feed_only(reading: Any) -> None:
    async with reading(feed_lag_seconds=0) as reader:
        records, token = await reader.drain(JOBS)
        victim = next(each["id"] for each in records if each["active"])
        reader.simulation.changes.delete(JOBS, victim)
        assert [(each["id"], each["active"]) for each in (await reader.drain(JOBS, **{"from": token}))[0]] == [(victim, False)]
        assert victim not in {each["id"] for each in await reader.pages("/jpm/v2/tenant/{tenant}/jobs", 50)}
        assert (await reader.ask(f"/jpm/v2/tenant/{{tenant}}/jobs/{victim}"))[0] == 404


async def test_appointment_assignments_show_active_rows_unless_asked(reading: Any) -> None:
    path = "/dispatch/v2/tenant/{tenant}/export/appointment-assignments"
    async with reading() as reader:
        some, _ = await reader.drain(path)
        everything, _ = await reader.drain(path, active="Any")
        assert all(each["active"] for each in some)
        assert len(some) < len(everything) == 60


async def test_a_disordered_feed_holds_all_the_same(reading: Any) -> None:
    async with reading(feed_disorder=0.5, rows=400, years=0.02) as reader:
        records, _ = await reader.drain(JOBS)
        times = [each["modifiedOn"] for each in records]
        assert times != sorted(times)
        since, _ = await reader.drain(JOBS, **{"from": sorted(times)[200]})
        assert {each["id"] for each in since} == {each["id"] for each in records if each["modifiedOn"] >= sorted(times)[200]}

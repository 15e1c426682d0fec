from __future__ import annotations

from collections import Counter
from typing import Any

import aiohttp
import orjson
import pytest

from st_export.simulate.__main__ import options_of, parser
from st_export.simulate.options import Fault, Report, SimulateOptions
from st_export.simulate.process import RemoteLookAlike, start_in_process

pytestmark = pytest.mark.anyio
JOBS = "/jpm/v2/tenant/{tenant}/export/jobs"


async def test_the_truth_is_what_the_feed_shows(reading: Any) -> None:
    async with reading(feed_lag_seconds=0) as reader:
        records, _ = await reader.drain(JOBS)
        truth = reader.look_alike.truth(JOBS)
        by_id = {each["id"]: each for each in records}
        assert all(orjson.loads(each.record) == by_id[int(each.id)] for each in truth)
        assert len(truth) == 60


async def test_the_truth_keeps_every_version(reading: Any) -> None:
    async with reading(feed_lag_seconds=0) as reader:
        changes = reader.simulation.changes
        new = changes.add(JOBS, {"summary": "first", "unknown": [1, {"x": None}], "total": b"1.0000000000000000000"})
        changes.modify(JOBS, new, {"summary": "second"})
        changes.modify(JOBS, new, {"summary": "third"}, keep_modified=True)
        versions = [each for each in reader.look_alike.truth(JOBS) if each.id == new]
        assert [orjson.loads(each.record)["summary"] for each in versions] == ["first", "second", "third"]
        assert [each.current for each in versions] == [False, False, True]
        assert versions[1].modified_on == versions[2].modified_on > versions[0].modified_on
        assert b'"total":1.0000000000000000000' in versions[0].record
        changes.remove(JOBS, new)
        assert not any(each.current for each in reader.look_alike.truth(JOBS) if each.id == new)


async def test_a_record_set_by_hand_is_sent_as_it_is(reading: Any) -> None:
    async with reading(feed_lag_seconds=0) as reader:
        reader.simulation.changes.clear(JOBS)
        reader.simulation.changes.add(JOBS, {"id": 7, "modifiedOn": "soon", "total": "x"}, whole=True)
        assert (await reader.drain(JOBS))[0] == [{"id": 7, "modifiedOn": "soon", "total": "x"}]


async def test_records_change_while_they_are_read(reading: Any) -> None:
    async with reading(rows=300, churn_every=1, churn_records=4, feed_lag_seconds=0) as reader:
        shown, _ = await reader.drain(JOBS)
        listed = await reader.pages("/jpm/v2/tenant/{tenant}/jobs", 20)
        reader.simulation.set_options(churn_every=0)
        truth = reader.look_alike.truth(JOBS)
        known = {each.record for each in truth}
        assert all(orjson.dumps(each) in {orjson.dumps(orjson.loads(record)) for record in known} for each in shown[:40])
        assert len(truth) > 300
        assert len(listed) > 200
        final = {each["id"]: each for each in (await reader.drain(JOBS))[0]}
        current = {int(each.id): orjson.loads(each.record) for each in reader.look_alike.truth(JOBS, current_only=True)}
        assert final == current


async def test_the_stats_tell_who_asked_what(reading: Any) -> None:
    async with reading() as reader:
        _, token = await reader.drain(JOBS)
        stats = reader.look_alike.stats
        path = JOBS.replace("{tenant}", "1001")
        assert stats.by_path == Counter({path: 3})
        assert ["from" in each.query for each in stats.asked(path)] == [False, True, True]
        assert (stats.token_requests, stats.in_flight, len(stats.arrivals())) == (1, 0, 3)
        assert token


def test_options_survive_json() -> None:
    options = SimulateOptions(faults=(Fault("cut", 0.1),), reports=(Report("a", 1, "n", rows=((1, "x"),)),), row_counts={"jpm.jobs": 3})
    assert SimulateOptions.from_json(orjson.loads(orjson.dumps(options.to_json()))) == options


def test_the_command_line_makes_options() -> None:
    text = "--rows 50 --count jpm.jobs=9 --latency 0.3-1.0 --tenant 1 --tenant 2 --fault cut:rate=0.5 --limit 5 --now 2026-11-20T00:00:00"
    options = options_of(parser().parse_args(text.split()))
    assert (options.rows, options.row_counts, options.latency_seconds, options.tenants) == (50, {"jpm.jobs": 9}, (0.3, 1.0), (1, 2))
    assert (options.faults, options.requests_per_second) == ((Fault("cut", 0.5),), 5)


async def _first_page(look_alike: RemoteLookAlike) -> Any:
    access = look_alike.tenants[0]
    form = {"grant_type": "client_credentials", "client_id": access.client_id, "client_secret": access.client_secret}
    async with aiohttp.ClientSession() as session:
        async with session.post(look_alike.auth_url, data=form) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "ST-App-Key": access.app_key}
        async with session.get(look_alike.api_url + JOBS.replace("{tenant}", "1001"), headers=headers) as answer:
            return await answer.json()


async def test_a_process_of_its_own_is_controlled_from_outside() -> None:
    with start_in_process(SimulateOptions(rows=20, feed_lag_seconds=0)) as look_alike:
        look_alike.control("options", requests_per_second=0, feed_page_rows=500)
        new = look_alike.control("add", where="jpm.jobs", fields={"summary": "by hand"}, modified_on="2026-01-01T00:00:00Z")
        page = await _first_page(look_alike)
        assert {str(each["id"]): each["summary"] for each in page["data"]}[new] == "by hand"
        truth = look_alike.truth("jpm.jobs", current_only=True)
        assert sorted(each["id"] for each in truth) == sorted(str(each["id"]) for each in page["data"])
        assert look_alike.stats(log=True)["log"][0]["status"] == 200
        look_alike.control("faults", faults=[{"kind": "error-json"}])
        assert (await _first_page(look_alike))["status"] == 500
    assert look_alike.process.returncode == 0

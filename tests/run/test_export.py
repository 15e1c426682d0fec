"""A whole tenant, row by row against the truth; then what an idle night and a busy day cost and bring."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.lookalike import Service, service
from tests.truth import entities, record_text, row_text, same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
SINGLE = ("dispatch.arrival-windows.configuration", "dispatch.business-hours", "taskmanagement.data")
"""Snapshots of one object; the truth of the look-alike does not know them."""
DAILY = ("marketing.campaign-cost-summary", "marketing.email-channel-cost", "marketingads.attributed-leads", "marketingads.performance")
"""Asked day by day: see `test_days`."""
OTHERS = {"marketingads.capacity-warnings", "reporting.report-categories", *SINGLE}
SMALL = {"rows": 40, "years": 0.01}


async def hold_against_answers(running: Service, name: str) -> None:
    """Hold a snapshot's rows against what the look-alike answers now."""
    entity = entities()[name]
    rows = running.lake.rows(name)
    answer = await running.ask(entity.path)
    records = answer["data"] if isinstance(answer, dict) and "data" in answer else answer
    records = records if isinstance(records, list) else [records]
    assert Counter(row_text(entity, row) for row in rows) == Counter(record_text(entity, record) for record in records)


async def test_every_entity_is_exported_row_by_row_and_an_idle_night_costs_a_request_each(tmp_path: Path) -> None:
    async with service(tmp_path, SMALL) as running:
        first = await running.run("*", exclude=DAILY)
        assert (first.exit_code, first.summary["outcome"], first.bad()) == (0, "complete", {})
        names = first.entities().keys()
        assert len(names) == sum(entity.kind in ("feed", "list", "plain") for entity in entities().values()) - len(DAILY)
        assert same(running.lake, running.look_alike, names - OTHERS) > 1_000
        for name in OTHERS:
            await hold_against_answers(running, name)
        assert first.rows == sum(len(running.lake.rows(name)) for name in names)
        files = running.lake.files()
        second = await running.run("*", exclude=DAILY)
        assert (second.exit_code, second.rows, second.files, second.bad()) == (0, 0, 0, {})
        assert running.lake.files() == files
        counts = Counter(seen.path for seen in second.log)
        # What is asked once a variant: page 1 of each, all of each, and the totals once more, as a row may have changed its variant.
        each = {entities()[name].path.replace("{tenant}", "1001"): max(3 * len(entities()[name].variants), 1) for name in names}
        assert counts == each


async def test_a_later_run_brings_exactly_what_changed(tmp_path: Path) -> None:
    names = ("jpm.jobs", "inventory.vendors", "marketing.costs", "telecom.optinouts.optouts")
    async with service(tmp_path, {"row_counts": dict.fromkeys(names, 30)}) as running:
        assert (await running.run(*names)).rows == 120
        changes = running.changes
        for name in names:
            ids = [each.id for each in running.look_alike.truth(entities()[name].path)]
            changes.add(name, {"unknown": {"a": [1.5, None]}} if name != "telecom.optinouts.optouts" else None)
            changes.modify(name, ids[3], {"memo": "edited"} if name != "telecom.optinouts.optouts" else {"contactNumber": "+1555"})
            changes.deactivate(name, ids[4])
            changes.delete(name, ids[5])
        second = await running.run(*names)
        assert (second.exit_code, second.bad()) == (0, {})
        same(running.lake, running.look_alike, names)
        rows = {name: each["rows"] for name, each in second.entities().items()}
        # The feed shows the deleted job as inactive; the list has lost its vendor; the whole reads write tombstones.
        assert rows["jpm.jobs"] == 4
        assert rows["inventory.vendors"] == 3
        assert [sum(row.is_tombstone for row in running.lake.rows(name)) for name in names] == [0, 0, 1, 2]
        third = await running.run(*names)
        assert (third.rows, third.files, len(third.log)) == (0, 0, 4)


async def test_other_content_under_the_same_time_is_a_version(tmp_path: Path) -> None:
    names = ("crm.customers", "inventory.vendors")
    async with service(tmp_path, {"row_counts": dict.fromkeys(names, 10)}) as running:
        new = {name: running.changes.add(name, {"name": "first"}) for name in names}
        assert (await running.run(*names)).rows == 22
        for name, record_id in new.items():
            running.changes.modify(name, record_id, {"name": "second"}, keep_modified=True)
        assert (await running.run(*names)).rows == 2
        assert same(running.lake, running.look_alike, names, every_version=True) == 24


async def test_a_key_that_returns_is_written_again(tmp_path: Path) -> None:
    name = "dispatch.arrival-windows"
    async with service(tmp_path, {"row_counts": {name: 3}}) as running:
        gone = running.changes.add(name, {"duration": "02:00"})
        await running.run(name)
        running.changes.delete(name, gone)
        assert (await running.run(name)).rows == 1
        assert (await running.run(name)).rows == 0
        running.changes.modify(name, gone, {"duration": "02:00"})
        running.look_alike.simulation.tenants[1001].rows(name).listed[3] = True
        assert (await running.run(name)).rows == 1
        rows = [row for row in running.lake.rows(name) if row.values["id"] == int(gone)]
        rows.sort(key=lambda row: row.values["_exported_at"])
        assert [row.is_tombstone for row in rows] == [False, True, False]
        assert rows[0].values["duration"] == rows[2].values["duration"] == "02:00"


async def test_snapshots_are_written_whole_when_anything_differs(tmp_path: Path) -> None:
    name, path = "dispatch.business-hours", "/dispatch/v2/tenant/1001/business-hours"
    answers: list[dict[str, Any]] = [
        {"weekdays": [{"fromHour": 8, "toHour": 17}], "saturday": [], "sunday": None},
        {"weekdays": [{"fromHour": 8, "toHour": 17}], "saturday": [], "sunday": None},
        {"weekdays": [{"fromHour": 8, "toHour": 17}], "saturday": [], "sunday": []},
    ]
    async with service(tmp_path) as running:
        written = []
        for answer in answers:
            running.look_alike.simulation.answer_with(path, answer)
            written.append((await running.run(name)).rows)
        assert written == [1, 0, 1]
        assert [row.values["sunday"] for row in running.lake.rows(name)] == [None, []]

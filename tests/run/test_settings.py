"""What the configuration changes of an export: how far back, which entities, partitions, columns, numbers, how long."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.lookalike import NOW, service
from tests.truth import Row, entities, same

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.simulate.truth import TruthVersion

pytestmark = pytest.mark.anyio


def since(moment: datetime) -> Any:
    return lambda version: version.modified_on >= f"{moment:%Y-%m-%dT%H:%M:%S}"


async def test_start_bounds_what_happens_and_not_master_data(tmp_path: Path) -> None:
    start = NOW - timedelta(days=4)
    history, master = ("jpm.jobs", "taskmanagement.tasks"), ("crm.customers", "inventory.vendors")
    options = {"row_counts": dict.fromkeys((*history, *master), 50)}
    async with service(tmp_path, options, start=f"{start:%Y-%m-%dT%H:%M:%SZ}") as running:
        ended = await running.run(*history, *master)
        assert ended.bad() == {}
        assert 10 < same(running.lake, running.look_alike, history, only=since(start)) < 90
        assert same(running.lake, running.look_alike, master) == 100


async def test_kinds_bound_wildcards_and_exclude_always_wins(tmp_path: Path) -> None:
    async with service(tmp_path, {"rows": 10}, kinds=["list"], exclude=["dispatch.zones"]) as running:
        ended = await running.run("dispatch.*", "jpm.jobs", "dispatch.zones", request={"exclude": ("dispatch.teams",)})
        names = {name for name, entity in entities().items() if name.startswith("dispatch.") and entity.kind == "list"}
        assert ended.statuses().keys() == names - {"dispatch.zones", "dispatch.teams"} | {"jpm.jobs"}


@pytest.mark.parametrize("partition", ["month", "none"])
async def test_partitions(tmp_path: Path, partition: str) -> None:
    names = ("jpm.jobs", "inventory.vendors", "marketing.costs")

    def where(row: Row) -> str | None:
        moment = row.values.get("modifiedOn") or row.values["_exported_at"]
        return f"year_month={moment:%Y-%m}" if partition == "month" else None

    async with service(tmp_path, {"row_counts": dict.fromkeys(names, 40), "years": 0.2}, output={"partition": partition}) as running:
        await running.run(*names)
        for name in names:
            running.changes.add(name)
            running.changes.modify(name, running.look_alike.truth(entities()[name].path)[0].id, keep_modified=name != names[1])
        assert (await running.run(*names)).rows == 6
        assert (await running.backfill(NOW - timedelta(days=60), None, *names)).rows == 0
        assert same(running.lake, running.look_alike, names, every_version=True, partition=where) == 126


async def test_a_version_stands_once_where_its_day_is_that_of_its_creation(tmp_path: Path) -> None:
    names = ("jpm.jobs", "inventory.vendors")
    options = {name: {"partition_by": "createdOn"} for name in names}

    def created(row: Row) -> str:
        return f"day={row.values['createdOn']:%Y-%m-%d}"

    async with service(tmp_path, {"row_counts": dict.fromkeys(names, 40)}, entities=options) as running:
        await running.run(*names)
        for name in names:
            running.changes.modify(name, running.look_alike.truth(entities()[name].path)[5].id)
        assert (await running.run(*names)).rows == 2
        assert (await running.backfill(NOW - timedelta(days=30), None, *names)).rows == 0
        assert same(running.lake, running.look_alike, names, every_version=True, partition=created) == 82


async def test_dropped_columns_are_nowhere_and_hashed_ones_are_texts(tmp_path: Path) -> None:
    name = "crm.customers"
    settings = {"hash_key": "pepper", "entities": {name: {"drop_columns": ["address.street", "type"], "hash_columns": ["name"]}}}
    async with service(tmp_path, {"row_counts": {name: 0}}, **settings) as running:
        running.changes.add(name, {"name": "Ada", "type": "secret-type", "address": {"street": "secret-street", "city": "Oslo"}})
        await running.run(name)
        (row,) = running.lake.rows(name)
        assert row.values["name"] == hmac.new(b"pepper", b"Ada", hashlib.sha256).hexdigest()
        assert "type" not in row.values
        assert "street" not in row.values["address"]
        assert row.values["address"]["city"] == "Oslo"
        assert "secret" not in str(row.values)
        assert (await running.run(name)).rows == 0


@pytest.mark.parametrize(("numbers", "places"), [("double", None), ("decimal(18,4)", 4)])
async def test_numbers(tmp_path: Path, numbers: str, places: int | None) -> None:
    names = ("accounting.invoices", "inventory.transfers")
    async with service(tmp_path, {"row_counts": dict.fromkeys(names, 20)}, output={"numbers": numbers}) as running:
        await running.run(*names)
        assert same(running.lake, running.look_alike, names, places=places) == 40
        kind = float if places is None else Decimal
        assert {type(row.values["total"]) for row in running.lake.rows(names[0])} <= {kind, type(None)}
        assert (await running.run(*names)).rows == 0


async def test_recent_changes_are_asked_for_and_stand_once(tmp_path: Path) -> None:
    options = {"row_counts": {"jpm.jobs": 20}, "feed_lag_seconds": 900}
    async with service(tmp_path, options, recent_changes=True) as running:
        await running.run("jpm.jobs")
        new = running.changes.add("jpm.jobs")
        first = await running.run("jpm.jobs")
        assert (first.rows, {seen.query["includeRecentChanges"] for seen in first.log}) == (1, {"true"})
        assert (await running.run("jpm.jobs")).rows == 0
        running.changes.modify("jpm.jobs", new)
        assert (await running.run("jpm.jobs")).rows == 1
        running.look_alike.simulation.clock.advance(3_600)
        assert (await running.run("jpm.jobs")).rows == 0
        assert same(running.lake, running.look_alike, ["jpm.jobs"], every_version=True) == 22


async def test_without_recent_changes_the_next_run_brings_them(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {"jpm.jobs": 20}, "feed_lag_seconds": 900}) as running:
        await running.run("jpm.jobs")
        new = int(running.changes.add("jpm.jobs"))
        running.look_alike.simulation.clock.advance(60)
        await running.run("jpm.jobs")
        assert new not in {row.values["id"] for row in running.lake.rows("jpm.jobs")}
        running.look_alike.simulation.clock.advance(1_000)
        await running.run("jpm.jobs")
        assert same(running.lake, running.look_alike, ["jpm.jobs"]) == 21


async def test_a_run_that_is_stopped_by_the_clock_ends_well_and_goes_on(tmp_path: Path) -> None:
    names = ("jpm.jobs", "inventory.vendors", "crm.customers.notes", "crm.customers")
    options = {"row_counts": dict.fromkeys(names, 150), "latency_seconds": (0.05, 0.05), "feed_page_rows": 5}
    async with service(tmp_path, options, entities={"*": {"page_size": 3, "max_in_flight": 1}}) as running:
        first = await running.run(*names, request={"stop_after_seconds": 0.5})
        assert (first.exit_code, first.summary["outcome"], first.bad()) == (0, "stopped", {})
        assert first.rows < 450
        assert running.lake.problems() == []
        running.look_alike.simulation.set_options(latency_seconds=(0.0, 0.0))
        second = await running.run(*names, entities={"*": {"page_size": 100, "max_in_flight": 8}})
        assert (second.exit_code, second.bad()) == (0, {})
        same(running.lake, running.look_alike, ("jpm.jobs", "inventory.vendors", "crm.customers"))
        # The feed went on from the token of its last commit.
        assert first.rows == 0 or "from" in second.asked("/export/jobs")[0].query


async def test_times_of_the_service_count_not_those_of_the_machine(tmp_path: Path) -> None:
    for skew in (600.0, -600.0):
        async with service(tmp_path / str(skew), {"row_counts": {"inventory.vendors": 30}, "clock_skew_seconds": skew}) as running:
            await running.run("inventory.vendors")
            position = running.lake.checkpoint()["entities"]["inventory.vendors"]["run"]
            marked = datetime.fromisoformat(position["watermark"]).astimezone(UTC)
            newest = max(row.values["modifiedOn"] for row in running.lake.rows("inventory.vendors"))
            expected = min(NOW + timedelta(seconds=skew), newest) - timedelta(hours=2)
            assert abs(marked - expected) < timedelta(minutes=5)
            running.changes.add("inventory.vendors")
            assert (await running.run("inventory.vendors")).rows == 1


async def test_the_clock_of_the_token_is_good_for_the_first_pass(tmp_path: Path) -> None:
    name = "inventory.vendors"
    options = {"row_counts": {name: 40}, "churn_every": 1, "churn_records": 1, "churn_deletes": False}
    async with service(tmp_path, options, entities={name: {"page_size": 4}}) as running:
        ended = await running.run(name)
        bounds = {seen.query["modifiedBefore"] for seen in ended.log if "modifiedBefore" in seen.query}
        assert all(bound < f"{NOW:%Y-%m-%dT%H:%M:%SZ}" for bound in bounds)
        running.look_alike.simulation.set_options(churn_every=0)
        await running.run(name)
        same(running.lake, running.look_alike, [name])


def unknown_fields(version: TruthVersion) -> set[str]:
    known = {column.name for column in entities()["jpm.jobs"].columns}
    return set(orjson.loads(version.record)) - known


async def test_fields_outside_the_catalog_are_kept_beside_the_row(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {"jpm.jobs": 10}}) as running:
        await running.run("jpm.jobs")
        names = {name for version in running.look_alike.truth("jpm.jobs") for name in unknown_fields(version)}
        rescued = {name for row in running.lake.rows("jpm.jobs") for name in orjson.loads(row.values["_rescued"] or "{}")}
        assert names
        assert names == rescued

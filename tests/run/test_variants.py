"""Lists that show one kind of their rows at a time (`accounting.ap-bills`, by `billType`): all kinds are read, as one entity."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from st_export.catalog.files import format_modules
from st_export.catalog.load import load_catalog
from st_export.simulate.options import Fault
from st_export.verification import verify
from tests.lookalike import service
from tests.truth import entities, same

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lookalike import Service

pytestmark = pytest.mark.anyio

NAME = "accounting.ap-bills"
PATH = "/accounting/v2/tenant/1001/ap-bills"
TYPES = ("NotSet", "Procurement", "ApBill")
SMALL = {NAME: {"page_size": 5}}


def options(rows: int = 60) -> dict[str, Any]:
    return {"row_counts": {NAME: rows}}


def of_type(running: Service, kind: str) -> list[int]:
    """Return the ids of the bills of a type, as the lake has them."""
    return [row.values["id"] for row in running.lake.rows(NAME) if row.values["billType"] == kind]


def whole(folder: Path) -> str:
    """Return a catalog file in which the list has no filter by modification, so that it is read whole each time."""
    module = load_catalog().module("accounting")
    assert module is not None
    bills = entities()[NAME]
    assert bills.paging is not None
    read_whole = replace(bills, paging=replace(bills.paging, modified_from=None, modified_before=None))
    others = tuple(one for one in module.entities if one.name != NAME)
    file = folder / "catalog.json"
    file.write_text(format_modules([replace(module, entities=(*others, read_whole))]))
    return str(file)


@pytest.mark.parametrize("settings", [{}, SMALL], ids=["one page", "windows"])
async def test_bills_of_every_type_come_and_later_the_changed_ones(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with service(tmp_path, options(), entities=settings) as running:
        first = await running.run(NAME)
        assert (first.exit_code, first.rows) == (0, 60)
        assert {seen.query["billType"] for seen in first.asked("/ap-bills")} == set(TYPES)
        assert all(Counter(row.values["billType"] for row in running.lake.rows(NAME))[kind] > 3 for kind in TYPES)
        for kind in TYPES:
            running.changes.modify(NAME, of_type(running, kind)[0], {"summary": "changed"})
        assert (await running.run(NAME)).rows == 3
        assert (await running.run(NAME)).rows == 0
        assert same(running.lake, running.look_alike, [NAME]) == 63


async def test_an_idle_night_asks_each_type_and_counts_once_more(tmp_path: Path) -> None:
    async with service(tmp_path, options()) as running:
        await running.run(NAME)
        asked = (await running.run(NAME)).asked("/ap-bills")
        assert Counter(seen.query["billType"] for seen in asked) == dict.fromkeys(TYPES, 3)


async def test_what_a_failed_run_has_committed_is_not_asked_again(tmp_path: Path) -> None:
    settings = {NAME: {"page_size": 5, "max_in_flight": 1}}
    async with service(tmp_path / "lake", {**options(), "years": 0.3}, entities=settings) as running:
        needed = len((await running.run(NAME, output={"url": str(tmp_path / "another")})).asked("/ap-bills"))
        running.look_alike.simulation.faults.add(Fault("conflict", path=PATH, after=needed * 3 // 4))
        first = await running.run(NAME)
        assert (first.exit_code, 0 < first.rows < 60) == (4, True)
        done = [row.values["modifiedOn"] for row in running.lake.rows(NAME)]
        running.look_alike.simulation.faults.set(())
        second = await running.run(NAME)
        assert (second.exit_code, first.rows + second.rows) == (0, 60)
        windows = {(seen.query["modifiedOnOrAfter"], seen.query["modifiedBefore"]) for seen in second.log if "modifiedBefore" in seen.query}
        assert all(not low <= f"{moment:%Y-%m-%dT%H:%M:%SZ}" < high for moment in done for low, high in windows)
        assert same(running.lake, running.look_alike, [NAME]) == 60


@pytest.mark.parametrize("read_whole", [False, True], ids=["by changes", "whole"])
async def test_a_bill_that_changes_its_type_in_mid_reading_is_not_lost(tmp_path: Path, *, read_whole: bool) -> None:
    async with service(tmp_path / "lake", options(12)) as running:
        more = {"catalog": whole(tmp_path)} if read_whole else {}
        await running.run(NAME, **more)
        moved, simulation = of_type(running, "ApBill")[0], running.look_alike.simulation
        running.changes.modify(NAME, moved, {"summary": "edited before the run", "billType": "ApBill"})
        inner, moves = simulation.answer, iter(["Procurement"])

        async def answer(method: str, path: str, query: dict[str, str], *rest: Any) -> Any:
            kind = next(moves, None) if query.get("billType") == "ApBill" and query.get("pageSize") != "1" else None
            if kind is not None:  # from one that is still to be read into one that has been read
                running.changes.modify(NAME, moved, {"billType": kind})
            return await inner(method, path, query, *rest)

        simulation.answer = answer  # type: ignore[method-assign]
        ended = await running.run(NAME, **more)
        assert (ended.exit_code, next(moves, None)) == (0, None)
        rows = [row for row in running.lake.rows(NAME) if row.values["id"] == moved]
        assert [row.is_tombstone for row in rows] == [False] * len(rows)
        assert rows[-1].values["billType"] == "Procurement"


async def test_a_whole_reading_lays_a_stone_for_what_no_type_shows_any_more(tmp_path: Path) -> None:
    async with service(tmp_path / "lake", options(), catalog=whole(tmp_path), entities=SMALL) as running:
        assert (await running.run(NAME)).rows == 60
        gone = {of_type(running, kind)[1] for kind in TYPES}
        for bill in gone:
            running.changes.remove(NAME, bill)
        assert (await running.run(NAME)).rows == 3
        assert {row.values["id"] for row in running.lake.rows(NAME) if row.is_tombstone} == gone
        assert (await running.run(NAME)).rows == 0
        same(running.lake, running.look_alike, [NAME])


async def test_the_total_held_against_the_service_is_that_of_all_types(tmp_path: Path) -> None:
    async with service(tmp_path, options()) as running:
        assert (await running.run(NAME)).rows == 60
        assert (await verify(running.config(select=[NAME]), api=True))["problems"] == []
        oldest = min(row.values["createdOn"] for row in running.lake.rows(NAME))
        running.changes.add(NAME, {"billType": "ApBill"}, created_on=oldest)
        problems = (await verify(running.config(select=[NAME]), api=True))["problems"]
        assert [one["problem"] for one in problems] == ["the lake has 60 current keys, the service 61: 1 fewer"]


async def test_a_type_that_shows_all_types_makes_no_difference(tmp_path: Path) -> None:
    shows_all = Fault("ignore-filters", path=PATH, query="billType=NotSet")
    async with service(tmp_path, {**options(), "faults": (shows_all,)}) as running:
        assert (await running.run(NAME)).rows == 60
        assert (await verify(running.config(select=[NAME]), api=True))["problems"] == []
        gone = of_type(running, "ApBill")[0]
        running.changes.remove(NAME, gone)
        assert [one["entity"] for one in (await verify(running.config(select=[NAME]), api=True))["problems"]] == [NAME]

"""A backfill: its own scope, no row outside its window, resumed where it stopped, only what the lake lacks, anew when complete."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import Fault
from tests.lookalike import NOW, Service, service
from tests.truth import entities, same

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.simulate.truth import TruthVersion

pytestmark = pytest.mark.anyio

NAMES = ("jpm.jobs", "inventory.vendors", "accounting.ap-bills", "accounting.credit-memos.credit-memo-items")
FROM, TO = NOW - timedelta(days=6), NOW - timedelta(days=3)
OPTIONS = {"row_counts": dict.fromkeys(NAMES, 60), "feed_page_rows": 7}


def inside(version: TruthVersion) -> bool:
    return f"{FROM:%Y-%m-%dT%H:%M:%S}" <= version.modified_on < f"{TO:%Y-%m-%dT%H:%M:%S}"


def expected(running: Service, *names: str) -> int:
    return sum(inside(each) for name in names for each in running.look_alike.truth(entities()[name].path))


async def test_it_brings_the_rows_of_its_window_and_no_other(tmp_path: Path) -> None:
    async with service(tmp_path, OPTIONS, entities={"*": {"page_size": 5}}) as running:
        ended = await running.backfill(FROM, TO, *NAMES)
        assert (ended.exit_code, ended.bad()) == (0, {})
        windows = {name: entity["window"] for name, entity in ended.entities().items()}
        assert windows == {name: [f"{FROM:%Y-%m-%dT%H:%M:%SZ}", f"{TO:%Y-%m-%dT%H:%M:%SZ}"] for name in NAMES}
        assert same(running.lake, running.look_alike, NAMES, only=inside) == ended.rows == expected(running, *NAMES) > 30
        again = await running.backfill(FROM, TO, *NAMES)
        assert (again.exit_code, again.rows, again.files) == (0, 0, 0)
        assert len(again.log) == len(ended.log)  # complete, so it has started anew


async def test_it_neither_moves_nor_needs_the_nightly_position(tmp_path: Path) -> None:
    async with service(tmp_path, OPTIONS) as running:
        await running.backfill(FROM, TO, *NAMES)
        assert all("run" not in scopes for scopes in running.lake.checkpoint()["entities"].values())
        assert (await running.run(*NAMES)).rows == 60 * len(NAMES) - expected(running, *NAMES)
        nightly = {name: scopes["run"] for name, scopes in running.lake.checkpoint()["entities"].items()}
        assert (await running.backfill(FROM - timedelta(days=2), TO, *NAMES)).rows == 0
        assert {name: scopes["run"] for name, scopes in running.lake.checkpoint()["entities"].items()} == nightly
        assert same(running.lake, running.look_alike, NAMES) == 60 * len(NAMES)


async def test_it_writes_no_tombstones_for_what_it_did_not_ask(tmp_path: Path) -> None:
    name = "accounting.credit-memos.credit-memo-items"
    async with service(tmp_path, OPTIONS) as running:
        await running.run(name)
        gone = next(each.id for each in running.look_alike.truth(entities()[name].path))
        running.changes.delete(name, gone)
        assert (await running.backfill(FROM, TO, name)).rows == 0
        assert (await running.run(name)).rows == 1
        same(running.lake, running.look_alike, [name])


async def test_it_goes_on_where_it_failed(tmp_path: Path) -> None:
    name = "inventory.vendors"
    path = f"*{entities()[name].path.rsplit('/', 1)[1]}"
    settings = {"page_size": 3, "max_in_flight": 1}
    options = {"row_counts": {name: 200}}
    start = NOW - timedelta(days=30)
    async with service(tmp_path, options, entities={name: settings}) as running:
        running.look_alike.simulation.faults.add(Fault("conflict", path=path, after=40))
        first = await running.backfill(start, None, name)
        assert (first.exit_code, first.statuses()) == (4, {name: "failed"})
        assert 0 < first.rows < 200
        done = {row.values["id"] for row in running.lake.rows(name)}
        running.look_alike.simulation.faults.set(())
        second = await running.backfill(start, None, name)
        assert (second.exit_code, second.rows) == (0, len(running.look_alike.truth(entities()[name].path)) - first.rows)
        windows = [(seen.query["modifiedOnOrAfter"], seen.query["modifiedBefore"]) for seen in second.log if "modifiedBefore" in seen.query]
        taken = [row.values["modifiedOn"] for row in running.lake.rows(name) if row.values["id"] in done]
        assert all(not low <= f"{moment:%Y-%m-%dT%H:%M:%SZ}" < high for moment in taken for low, high in windows)
        same(running.lake, running.look_alike, [name])


async def test_rows_edited_while_it_runs_are_kept_at_their_newer_version(tmp_path: Path) -> None:
    names = ("inventory.vendors", "jpm.jobs")
    options = {**OPTIONS, "churn_every": 2, "churn_records": 3, "churn_deletes": False}
    async with service(tmp_path, options, entities={"*": {"page_size": 4}}) as running:
        before = {name: [each for each in running.look_alike.truth(entities()[name].path) if inside(each)] for name in names}
        await running.backfill(FROM, TO, *names)
        for name in names:
            assert {each.id for each in before[name]} <= {str(row.values["id"]) for row in running.lake.rows(name)}
            assert running.lake.problems() == []

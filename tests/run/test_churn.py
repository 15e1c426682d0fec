"""Records that change while the run pages through them: nothing is lost by the run, nothing is twice, whatever the walk."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.lookalike import service
from tests.truth import behind, entities, same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

FEEDS = ("jpm.jobs", "crm.customers", "customer-interactions.technician-ratings", "jpm.job-history")
WINDOWED = ("inventory.vendors", "taskmanagement.tasks", "telecom.calls-v3", "sales.estimates.items", "accounting.journal-entries")
UNSORTED = ("accounting.ap-bills", "jpm.job-types", "schedulingpro.schedulers")
WHOLE = ("accounting.credit-memos.credit-memo-items", "forms.submissions", "marketing.costs", "settings.user-roles")


@pytest.mark.parametrize(
    ("names", "page_rows"), [(FEEDS, 5), (WINDOWED, 5), (UNSORTED, 15), (WHOLE, 7)], ids=["feeds", "windows", "unsorted", "whole"]
)
async def test_nothing_is_lost_while_records_change(tmp_path: Path, names: tuple[str, ...], page_rows: int) -> None:
    options = {"row_counts": dict.fromkeys(names, 60), "feed_page_rows": page_rows, "churn_every": 3, "churn_records": 2, "years": 0.015}
    async with service(tmp_path, options, entities={"*": {"page_size": page_rows}}) as running:
        truth = running.look_alike.truth
        for _ in range(2):
            before = {name: truth(entities()[name].path) for name in names}
            ended = await running.run(*names)
            assert ended.bad() == {}
            for name in names:
                assert behind(running.lake, name, before[name], truth(entities()[name].path)) == []
        running.look_alike.simulation.set_options(churn_every=0)
        assert (await running.run(*names)).exit_code == 0
        assert same(running.lake, running.look_alike, names) > 60 * len(names)
        idle = await running.run(*names)
        assert (idle.exit_code, idle.rows, idle.files) == (0, 0, 0)


async def test_windows_are_read_backward_and_disjoint(tmp_path: Path) -> None:
    name = "inventory.vendors"
    async with service(tmp_path, {"row_counts": {name: 120}}, entities={name: {"page_size": 2}}) as running:
        ended = await running.run(name)
        asked = [seen.query for seen in ended.log if seen.query.get("pageSize") == "2" and "modifiedBefore" in seen.query]
        windows = sorted({(query["modifiedOnOrAfter"], query["modifiedBefore"]) for query in asked})
        assert len(windows) > 4
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(windows))
        for window in windows:
            pages = [int(query["page"]) for query in asked if (query["modifiedOnOrAfter"], query["modifiedBefore"]) == window]
            assert pages == sorted(pages, reverse=True)
        assert same(running.lake, running.look_alike, [name]) == 120


async def test_a_deletion_in_front_of_the_reader_moves_no_row_past_it(tmp_path: Path) -> None:
    names = ("inventory.vendors", "marketing.costs", "accounting.ap-bills")
    async with service(tmp_path, {"row_counts": dict.fromkeys(names, 40)}, entities={"*": {"page_size": 8}}) as running:
        simulation = running.look_alike.simulation
        kept = {}
        for name in names:
            ids = [each.id for each in running.look_alike.truth(entities()[name].path)]
            kept[name] = {int(each) for each in ids[4:]}
            doomed = iter(ids[:4])
            _delete_at_every_page(simulation, name, entities()[name].path.replace("{tenant}", "1001"), doomed)
        ended = await running.run(*names)
        assert ended.bad() == {}
        for name in names:
            assert kept[name] <= {row.values["id"] for row in running.lake.rows(name)}


def _delete_at_every_page(simulation: object, name: str, path: str, doomed: object) -> None:
    """Delete one of the first records whenever the list answers a page behind the first."""
    inner = simulation.answer  # type: ignore[attr-defined]

    async def answer(method: str, asked: str, query: dict[str, str], *rest: object) -> object:
        found = await inner(method, asked, query, *rest)
        if asked == path and query.get("pageSize") != "1":
            gone = next(doomed, None)  # type: ignore[call-overload]
            if gone is not None:
                simulation.changes.delete(name, gone)  # type: ignore[attr-defined]
        return found

    simulation.answer = answer  # type: ignore[attr-defined]

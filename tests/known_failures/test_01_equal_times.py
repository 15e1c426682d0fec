"""Case 1: thousands of records of one moment, and records that appear behind the cursor."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.lookalike import service
from tests.truth import entities, same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

BULK = datetime.fromisoformat("2026-11-20T02:00:00+00:00")
EARLIER = datetime.fromisoformat("2026-11-20T01:40:00+00:00")


@pytest.mark.parametrize(("name", "count"), [("jpm.jobs", 12_000), ("taskmanagement.tasks", 3_000)])
async def test_each_comes_once_and_late_ones_are_found(tmp_path: Path, name: str, count: int) -> None:
    options = {"row_counts": {name: count}, "feed_page_rows": 500}
    async with service(tmp_path, options, entities={name: {"page_size": 500}}) as running:
        running.changes.bulk_edit(name, BULK)
        first = await running.run(name)
        assert (first.exit_code, first.rows) == (0, count)
        running.look_alike.simulation.refuse_feed_tokens()
        running.changes.add(name, modified_on=BULK)
        running.changes.add(name, modified_on=EARLIER)
        second = await running.run(name)
        assert (second.exit_code, second.rows, second.bad()) == (0, 2, {})
        pages = count // 500 + 1
        assert len(second.log) <= pages + 5
        assert len({row.values["id"] for row in running.lake.rows(name)}) == count + 2
        if entities()[name].kind == "list":
            same(running.lake, running.look_alike, [name])
        assert running.lake.problems() == []


async def test_one_moment_that_fills_many_pages_of_a_list_ends(tmp_path: Path) -> None:
    name = "inventory.vendors"
    async with service(tmp_path, {"row_counts": {name: 400}}, entities={name: {"page_size": 2}}) as running:
        running.changes.bulk_edit(name, BULK)
        ended = await running.run(name)
        assert (ended.exit_code, ended.rows) == (0, 400)
        assert same(running.lake, running.look_alike, [name]) == 400

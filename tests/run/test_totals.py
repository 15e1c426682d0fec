"""Lists that keep less than the specification says: without a total two readings must agree, a page size that is refused shrinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from st_export.simulate.answers import Answer
from tests.lookalike import NOW, Service, service
from tests.truth import entities, same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NAMES = ("inventory.vendors", "settings.user-roles", "taskmanagement.tasks")


def tell_no_totals(running: Service) -> None:
    """Let every answer's `totalCount` be null."""
    simulation = running.look_alike.simulation
    inner = simulation.answer

    async def answer(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, struck: Any) -> Any:
        given = {name: value for name, value in query.items() if name.lower() != "includetotal"}
        return await inner(method, path, given, headers, body, struck)

    simulation.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("rows", [3, 60])
async def test_all_rows_come_and_later_the_changed_ones(tmp_path: Path, rows: int) -> None:
    async with service(tmp_path, {"row_counts": dict.fromkeys(NAMES, rows)}, entities={"*": {"page_size": 7}}) as running:
        tell_no_totals(running)
        first = await running.run(*NAMES)
        assert (first.exit_code, first.bad(), first.rows) == (0, {}, 3 * rows)
        running.changes.modify(
            "inventory.vendors", running.look_alike.truth(entities()["inventory.vendors"].path)[0].id, {"name": "Another"}
        )
        assert (await running.run(*NAMES)).rows == 1
        same(running.lake, running.look_alike, NAMES)
        assert (await running.backfill(NOW.replace(day=1), NOW, *NAMES)).exit_code == 0


async def test_a_page_size_that_is_refused_shrinks(tmp_path: Path) -> None:
    name = "inventory.vendors"
    async with service(tmp_path, {"row_counts": {name: 260}}) as running:
        simulation = running.look_alike.simulation
        inner = simulation.answer

        async def answer(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, struck: Any) -> Any:
            if int(query.get("pageSize", 0)) > 200:
                return Answer(400, b'{"title": "Bad Request", "status": 400, "errors": {"PageSize": ["must be at most 200"]}}')
            return await inner(method, path, query, headers, body, struck)

        simulation.answer = answer  # type: ignore[method-assign]
        ended = await running.run(name)
        assert (ended.exit_code, ended.rows) == (0, 260)
        same(running.lake, running.look_alike, [name])


async def test_windows_that_go_on_side_by_side_do_not_share_a_clamp(tmp_path: Path) -> None:
    name = "taskmanagement.tasks"
    async with service(tmp_path, {"row_counts": {name: 300}}, entities={"*": {"page_size": 20}}) as running:
        simulation = running.look_alike.simulation
        inner, is_refusing = simulation.answer, True

        async def answer(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, struck: Any) -> Any:
            if is_refusing and "modifiedBefore" in query and query["pageSize"] != "1":
                return Answer(400, b'{"title": "not now"}')
            clamped = {**query, "pageSize": str(min(int(query["pageSize"]), 5))} if "pageSize" in query else query
            return await inner(method, path, clamped, headers, body, struck)

        simulation.answer = answer  # type: ignore[method-assign]
        assert (await running.run(name)).exit_code == 4  # what was found empty is done, the rest is left to the next run
        is_refusing = False
        ended = await running.run(name)
        assert (ended.exit_code, ended.rows) == (0, 300)
        same(running.lake, running.look_alike, [name])

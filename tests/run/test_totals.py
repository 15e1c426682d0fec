"""A list that tells no total though the specification says it does: it is read until two readings agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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

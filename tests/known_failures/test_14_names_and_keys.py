"""Case 14: categories inside categories, rows without an id, one name in two modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.lookalike import service
from tests.truth import same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def tree(levels: int) -> list[dict[str, Any]]:
    return [{"id": levels, "name": f"level {levels}", "subcategories": tree(levels - 1)}] if levels else []


def as_sent(rows: list[Any]) -> list[Any]:
    """Return categories of the lake as they were sent: deeper levels are JSON texts, fields that were not sent are left out."""
    found = [orjson.loads(row) if isinstance(row, str) else row for row in rows]
    return [{"id": row["id"], "name": row["name"], "subcategories": as_sent(row["subcategories"])} for row in found]


async def test_eight_levels_of_categories_are_whole(tmp_path: Path) -> None:
    name = "pricebook.categories"
    async with service(tmp_path, {"row_counts": {name: 0}}) as running:
        running.changes.add(name, {"subcategories": tree(8)})
        assert (await running.run(name)).exit_code == 0
        (row,) = running.lake.rows(name)
        assert as_sent(row.values["subcategories"]) == tree(8)


async def test_ratings_of_one_job_by_two_technicians_are_two_rows(tmp_path: Path) -> None:
    name = "customer-interactions.technician-ratings"
    async with service(tmp_path, {"row_counts": {name: 0}}) as running:
        for technician, job in ((1, 9), (2, 9), (1, 10)):
            running.changes.add(name, {"technicianId": technician, "jobId": job})
        await running.run(name)
        rows = {(row.values["technicianId"], row.values["jobId"]) for row in running.lake.rows(name)}
        assert rows == {(1, 9), (2, 9), (1, 10)}
        assert (await running.run(name)).rows == 0


async def test_one_word_in_two_modules_is_two_entities(tmp_path: Path) -> None:
    names = ("marketing.categories", "pricebook.categories")
    async with service(tmp_path, {"row_counts": dict(zip(names, (5, 7), strict=True))}) as running:
        ended = await running.run("*.categories", kinds=["feed", "list"])
        assert {name: each["rows"] for name, each in ended.entities().items()} == dict(zip(names, (5, 7), strict=True))
        assert same(running.lake, running.look_alike, names) == 12

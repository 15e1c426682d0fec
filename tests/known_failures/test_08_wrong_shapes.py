"""Case 8: a wrong shape inside a nested value costs that value alone, and is whole in `_rescued`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.lookalike import service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NAME = "settings.technicians"


@pytest.mark.parametrize(
    ("sent", "held", "rescued"),
    [
        ({"skills": {}}, {"skills": None}, {"skills": {}}),
        ({"skills": "plumbing"}, {"skills": None}, {"skills": "plumbing"}),
        ({"roleIds": [1, "x", 3]}, {"roleIds": [1, None, 3]}, {"roleIds[1]": "x"}),
        (
            {"skills": [{"id": 7, "name": "a"}, "b"]},
            {"skills": [{"id": 7, "name": "a"}, None]},
            {"skills[1]": "b"},
        ),
        ({"zoneIds": [[1, 2]], "roleIds": [4]}, {"zoneIds": [None], "roleIds": [4]}, {"zoneIds[0]": [1, 2]}),
        ({"home": []}, {"home": None}, {"home": []}),
        ({"team": {"id": 1}, "name": "Ada"}, {"team": None, "name": "Ada"}, {"team": {"id": 1}}),
    ],
)
async def test_neighbours_are_untouched(tmp_path: Path, sent: dict[str, Any], held: dict[str, Any], rescued: dict[str, Any]) -> None:
    async with service(tmp_path, {"row_counts": {NAME: 0}}) as running:
        times = {"createdOn": "2026-11-19T01:00:00Z", "modifiedOn": "2026-11-19T02:00:00.1234567Z"}
        running.changes.add(NAME, {"id": 9, **times, **sent}, whole=True)
        running.changes.add(NAME, {"id": 10, **times, "skills": [{"id": 1, "name": "x"}], "name": "Bo"}, whole=True)
        assert (await running.run(NAME)).rows == 2
        row, neighbour = sorted((row.values for row in running.lake.rows(NAME)), key=lambda values: int(values["id"]))
        assert {name: row[name] for name in held} == held
        assert orjson.loads(row["_rescued"]) == rescued
        assert (neighbour["skills"], neighbour["name"], neighbour["_rescued"]) == ([{"id": 1, "name": "x"}], "Bo", None)

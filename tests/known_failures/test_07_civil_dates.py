"""Case 7: dates of the calendar do not shift with the machine's zone. Report days over clock changes: `tests/run/test_days.py`."""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.lookalike import service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "service-agreements.service-agreements"
OF_A_RUN = {"_exported_at", "_run_id"}
ZONES = ("Asia/Tokyo", "America/Los_Angeles", "UTC")


@pytest.fixture
def machine_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Set the machine's zone; it is the old one again at the end."""

    def put(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.mark.anyio
async def test_a_midnight_without_a_zone_is_the_date_that_it_says(tmp_path: Path, machine_zones: Any) -> None:
    shown: list[list[tuple[str, dict[str, Any]]]] = []
    async with service(tmp_path / "unused", {"row_counts": {NAME: 12}}) as running:
        running.changes.add(NAME, {"name": "midnight", "startDate": "2025-08-01T00:00:00", "endDate": "2025-08-01T13:45:00"})
        for zone in ZONES:
            machine_zones(zone)
            running.folder = tmp_path / zone.replace("/", "-")
            assert (await running.run(NAME)).rows == 13
            rows = sorted(running.lake.rows(NAME), key=lambda row: int(row.values["id"]))
            shown.append([(row.file, {name: row.values[name] for name in row.values.keys() - OF_A_RUN}) for row in rows])
    assert shown[0] == shown[1] == shown[2]
    row = next(values for _, values in shown[0] if values["name"] == "midnight")
    assert (row["startDate"], row["endDate"]) == (date(2025, 8, 1), date(2025, 8, 1))
    assert '"endDate":"2025-08-01T13:45:00"' in row["_rescued"]
    assert "startDate" not in row["_rescued"]

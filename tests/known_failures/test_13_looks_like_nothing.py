"""Case 13: zeros, empty texts, and texts that other tools take for null or numbers. Report cells: `tests/run/test_days.py`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.lookalike import service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
JOBS, LOCATIONS = "jpm.jobs", "crm.locations"
LONG = 'é\n\t\u2028 "quoted" 𝄞' * 90_000


@pytest.mark.parametrize(
    ("sent", "held"),
    [
        (b"0", Decimal(0)),
        (b'"0.00"', Decimal(0)),
        (b"-0.0", Decimal(0)),
        (b"1E+2", Decimal(100)),
        (b"0.1", Decimal("0.1")),
        (b"1234567.89", Decimal("1234567.89")),
        (b"1.0000000000000000000", Decimal(1)),
    ],
)
async def test_money(tmp_path: Path, sent: bytes, held: Decimal) -> None:
    async with service(tmp_path, {"row_counts": {JOBS: 0}}) as running:
        running.changes.add(JOBS, {"total": sent})
        await running.run(JOBS)
        (row,) = running.lake.rows(JOBS)
        assert row.values["total"] == held
        assert "total" not in (row.values["_rescued"] or "")
        assert not row.values["total"].is_signed()


async def test_texts_are_as_they_were_sent(tmp_path: Path) -> None:
    texts: list[Any] = ["NA", "Null", "nan", "None", "", " x ", "00501", "1e5", "true", LONG]
    async with service(tmp_path, {"row_counts": dict.fromkeys((JOBS, LOCATIONS), 0)}) as running:
        ids = [running.changes.add(JOBS, {"summary": text}) for text in texts]
        running.changes.add(LOCATIONS, {"address": {"zip": "00501"}, "name": ""})
        await running.run(JOBS, LOCATIONS)
        held = {str(row.values["id"]): row.values["summary"] for row in running.lake.rows(JOBS)}
        assert [held[each] for each in ids] == texts
        (location,) = running.lake.rows(LOCATIONS)
        assert (location.values["address"]["zip"], location.values["name"]) == ("00501", "")

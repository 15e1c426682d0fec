"""Case 5: a filter that the service takes and ignores is an error that names it, not ten times the data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import Fault
from tests.lookalike import NOW, service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
FROM, TO = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize("page_size", [5, 5000])
@pytest.mark.parametrize("name", ["memberships.memberships.custom-fields", "accounting.ap-bills"])
async def test_a_backfill_that_gets_everything_fails_at_once(tmp_path: Path, name: str, page_size: int) -> None:
    options = {"row_counts": {name: 60}, "years": 3.0, "faults": (Fault("ignore-filters"),)}
    async with service(tmp_path, options, entities={"*": {"page_size": page_size}}) as running:
        ended = await running.backfill(FROM, TO, name, "settings.tag-types")
        assert (ended.exit_code, ended.statuses()[name]) == (4, "failed")
        error = ended.entities()[name]["error"]
        assert "`modifiedOnOrAfter`" in error
        assert running.lake.rows(name) == []
        assert len([seen for seen in ended.log if "tag-types" not in seen.path]) <= 3


@pytest.mark.parametrize("page_size", [5, 5000])
async def test_the_nightly_run_notices_too(tmp_path: Path, page_size: int) -> None:
    name = "inventory.vendors"
    async with service(tmp_path, {"row_counts": {name: 40}}, entities={"*": {"page_size": page_size}}) as running:
        assert (await running.run(name)).rows == 40
        running.look_alike.simulation.faults.set((Fault("ignore-filters"),))
        ended = await running.run(name)
        assert (ended.exit_code, ended.rows) == (4, 0)
        assert "`modifiedOnOrAfter`" in ended.entities()[name]["error"]


async def test_a_feed_that_ignores_its_date_fails(tmp_path: Path) -> None:
    name = "jpm.jobs"
    options = {"row_counts": {name: 300}, "years": 3.0, "faults": (Fault("ignore-filters"),)}
    async with service(tmp_path, options) as running:
        path = "/jpm/v2/tenant/1001/export/jobs"
        old = {"hasMore": True, "continueFrom": "t", "data": [{"id": 1, "modifiedOn": "2023-01-01T00:00:00Z", "createdOn": None}]}
        running.look_alike.simulation.answer_with(path, old)
        ended = await running.backfill(NOW - timedelta(days=2), NOW, name)
        assert (ended.exit_code, ended.rows) == (4, 0)
        assert "`from`" in ended.entities()[name]["error"]

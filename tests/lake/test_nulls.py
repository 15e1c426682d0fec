"""A column that had values and has none any more is told; one that never had any is not."""

from __future__ import annotations

import pytest

from st_export.lake.nulls import EmptyColumn, empty_columns
from tests.lake.lakes import JOBS, Lake, job

pytestmark = pytest.mark.anyio


def summary(lake: Lake, ordinal: int, rows: int) -> dict[str, object]:
    manifest = f"_st_export/manifests/jpm.jobs/1001/{ordinal:08d}-run-0001-u{ordinal:04d}.json"
    return {"tenants": [{"id": 1001, "entities": [{"name": "jpm.jobs", "rows": rows, "manifests": [manifest]}]}]}


async def test_a_column_gone_all_null(lake: Lake) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "filled") for key in range(30)])
    lake.commit(JOBS, [{**job(key, "2026-11-21", ""), "end": None} for key in range(30)])
    assert await empty_columns(lake.store, summary(lake, 2, 30)) == [EmptyColumn(1001, "jpm.jobs", "end", 30)]
    assert await empty_columns(lake.store, summary(lake, 1, 30)) == []


async def test_few_rows_say_nothing(lake: Lake) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "filled") for key in range(30)])
    lake.commit(JOBS, [{**job(1, "2026-11-21", ""), "end": None}])
    assert await empty_columns(lake.store, summary(lake, 2, 1)) == []

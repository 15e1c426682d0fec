"""The partition keys stand in the names of folders, and in no file; the views have them all the same."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq
import pytest

from st_export.lake.compact import compact
from st_export.lake.query import query
from st_export.lake.shapes import shapes
from st_export.storage.local import LocalStore
from tests.lookalike import NOW, service
from tests.truth import entities

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.lake.shape import Shape

pytestmark = pytest.mark.anyio

KEYS = {"tenant_id", "day", "year_month"}
SELECT = ("jpm.job*", "marketing*", "settings.*", "accounting.journal-entries", "dispatch.business-hours", "payroll.locations.rates")
MONTHLY = {"output": {"partition": "month"}, "entities": {"settings.*": {"partition": "none"}, "accounting.*": {"partition": "day"}}}


@pytest.mark.parametrize("layout", [{}, MONTHLY], ids=["day", "mixed"])
async def test_no_file_has_them_as_columns(tmp_path: Path, layout: dict[str, Any]) -> None:
    async with service(tmp_path / "lake", {"rows": 30}, start=NOW.replace(day=17), **layout) as running:
        assert (await running.run(*SELECT)).bad() == {}
        store = LocalStore(tmp_path / "lake")
        written = sorted({path.split("/")[0] for path in running.lake.files()})
        known = [shape for shape in shapes(running.config(), written) if shape.name in written]
        computed = {shape.name: await _folders(store, shape) for shape in known}
        assert sum(map(len, computed.values())) > 200
        assert [one for one in await compact(store, known) if one.error] == []
        assert {shape.name: await _folders(store, shape) for shape in known} == computed
    for path in (tmp_path / "lake").rglob("*.parquet"):
        entity = next(part for part in path.relative_to(tmp_path / "lake").parts if part != "current")
        own = {column.name for column in entities()[entity].columns}
        assert set(pq.read_schema(path).names) & KEYS <= own, path


async def _folders(store: LocalStore, shape: Shape) -> list[list[Any]]:
    """Return key and partition keys of the current rows."""
    sink = io.StringIO()
    names = ", ".join(f'"{name}"' for name in (*shape.key, *shape.hive_columns, "_exported_at"))
    view = ".".join(f'"{name}"' for name in shape.view)
    await query(store, [shape], f"SELECT {names} FROM {view} ORDER BY ALL", output="json", sink=sink)
    return [list(row.values()) for row in orjson.loads(sink.getvalue())]

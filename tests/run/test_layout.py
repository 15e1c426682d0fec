"""What may not change on a lake with data: partitions and the kind of numbers. What is only suspicious is a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from st_export.errors import ConfigError
from tests.lookalike import service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "changes",
    [
        {"output": {"partition": "month"}},
        {"output": {"numbers": "double"}},
        {"entities": {"inventory.vendors": {"partition": "none"}}},
        {"entities": {"inventory.vendors": {"partition_by": "createdOn"}}},
    ],
)
async def test_another_layout_is_refused_where_there_is_data(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with service(tmp_path, {"row_counts": {"inventory.vendors": 5}}) as running:
        await running.run("inventory.vendors")
        files = running.lake.files()
        with pytest.raises(ConfigError, match=r"inventory\.vendors lies in this lake with"):
            await running.run("inventory.vendors", **changes)
        assert running.lake.files() == files


async def test_a_column_to_drop_that_nobody_knows_is_a_warning(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {"crm.customers": 5}}) as running:
        run = await running.run("crm.customers", entities={"crm.customers": {"drop_columns": ["adress"]}})
        assert run.exit_code == 0
        (warning,) = [note.text for note in run.notes if note.level == "warning"]
        assert "no column `adress`" in warning
        assert "did you mean `address`?" in warning

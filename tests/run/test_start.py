"""What a dead run left is cleared away beside the first requests: it never counts as the lake's, nor is a new file taken for it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import anyio
import pytest

from st_export.commit import recovery
from st_export.errors import StoreError
from tests.lookalike import service
from tests.truth import same

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.anyio

NAMES = ["jpm.jobs", "crm.customers", "settings.employees", "jpm.job-types"]


@pytest.fixture
def slow_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the look through the lake end long after the first units have been read."""
    inner = recovery._sweep

    async def slow(*args: Any) -> list[str]:
        await anyio.sleep(1.0)
        return await inner(*args)

    monkeypatch.setattr(recovery, "_sweep", slow)


def forget(lake: Path) -> None:
    """Leave only the data files, as if the run that wrote them had died before its first manifest."""
    for folder in ("manifests", "checkpoint"):
        shutil.rmtree(lake / "_st_export" / folder)


def data_files(lake: Path) -> list[Path]:
    """Return every data file that lies there."""
    return list(lake.rglob("*.parquet"))


@pytest.mark.usefixtures("slow_sweep")
async def test_files_without_a_manifest_never_count_as_held(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        first = await running.run(*NAMES)
        forget(tmp_path)
        ended = await running.run(*NAMES)
        assert (ended.exit_code, ended.rows) == (0, first.rows)
        assert same(running.lake, running.look_alike, NAMES)
        removed = [note.text for note in ended.notes if "had not been finished were removed" in note.text]
        assert removed == [f"{first.files} files of commits that had not been finished were removed"]


async def test_a_lake_that_cannot_be_looked_through_ends_the_run_before_a_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> list[str]:
        raise StoreError("the folder cannot be listed", hint="look at its permissions")

    async with service(tmp_path) as running:
        monkeypatch.setattr(recovery, "_sweep", fails)
        ended = await running.run(*NAMES)
        assert (ended.exit_code, ended.files) == (2, 0)
        assert data_files(tmp_path) == []

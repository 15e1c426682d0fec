"""Case 10: a checkpoint that a crash has emptied or cut is never taken for a first run; a full disk leaves a whole lake behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.errors import CheckpointUnreadable, StExportError
from tests.lookalike import service
from tests.storage.mounts import tmpfs
from tests.truth import same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NAMES = ("jpm.jobs", "inventory.vendors", "marketing.costs")


@pytest.mark.parametrize("damage", ["empty", "zeros", "cut"])
async def test_a_damaged_checkpoint_is_told_and_nothing_comes_twice(tmp_path: Path, damage: str) -> None:
    async with service(tmp_path, {"row_counts": dict.fromkeys(NAMES, 20)}) as running:
        await running.run(*NAMES)
        path = tmp_path / "_st_export/checkpoint/1001.json"
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "zeros": bytes(len(content)), "cut": content[: len(content) // 2]}[damage])
        ended = await running.run(*NAMES)
        assert (ended.exit_code, ended.rows, ended.log) == (2, 0, [])
        (tenant,) = ended.summary["tenants"]
        assert "1001.json" in tenant["error"]
        assert "rebuil" in tenant["hint"]
        path.unlink()
        again = await running.run(*NAMES)
        assert (again.exit_code, again.rows) == (0, 0)
        assert any("manifests" in note.text for note in again.notes)
        assert "from" in again.asked("/export/jobs")[0].query
        assert same(running.lake, running.look_alike, NAMES) == 60


async def test_a_full_disk_is_told_and_with_space_again_the_same_command_completes(tmp_path: Path) -> None:
    options = {"row_counts": dict.fromkeys(NAMES, 150)}
    with tmpfs(tmp_path / "small", "2m") as small:
        filling = small / "filling"
        async with service(small / "lake", options) as running:
            filling.write_bytes(bytes(1_900_000))
            ended = await running.run(*NAMES)
            assert ended.exit_code in (1, 4)
            assert "no space" in str(ended.summary["tenants"])
            assert CheckpointUnreadable not in {type(each) for each in ended.notes}
            for row in [row for name in NAMES for row in running.lake.rows(name)]:
                assert row.values["_tenant_id"] == 1001  # every file that can be seen can be read
            filling.unlink()
            again = await running.run(*NAMES)
            assert (again.exit_code, again.bad()) == (0, {})
            assert same(running.lake, running.look_alike, NAMES) == 450


async def test_an_output_that_cannot_be_written_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file, not a folder")
    async with service(tmp_path / "lake") as running:
        with pytest.raises(StExportError) as caught:
            await running.run(*NAMES)
        assert caught.value.exit_code == 2
        assert running.look_alike.stats.requests == 0

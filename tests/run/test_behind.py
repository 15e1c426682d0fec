"""A feed reads on while its last unit is committed: positions in order, no row lost, and nothing left open where a commit fails."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest

from st_export.commit.protocol import Committer
from st_export.errors import StoreError
from st_export.run import pace
from st_export.run.readers import feed
from st_export.run.unit import OpenUnit
from st_export.simulate.options import Fault
from tests.lookalike import service
from tests.truth import same

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.anyio

JOBS = "jpm.jobs"
MANY_DAYS = {"row_counts": {JOBS: 600}, "years": 0.1, "feed_page_rows": 20}


def manifests(lake: Path) -> list[dict[str, Any]]:
    """Return the manifests of the jobs in the order of their commits."""
    return [json.loads(path.read_text()) for path in sorted((lake / "_st_export" / "manifests" / JOBS).rglob("*.json"))]


def fail_after(monkeypatch: pytest.MonkeyPatch, *, commits: int) -> None:
    """Let every commit fail once so many are done."""
    inner, count = Committer.commit, 0

    async def fails(self: Committer, *args: Any) -> Any:
        nonlocal count
        count += 1
        if count > commits:
            raise StoreError("the disk is gone", hint="mount it")
        return await inner(self, *args)

    monkeypatch.setattr(Committer, "commit", fails)


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "UNIT_ROW_BYTES", 1)
    monkeypatch.setattr(pace, "WHOLE_DAYS", 2)


@pytest.mark.usefixtures("small_units")
async def test_units_are_committed_in_the_order_they_were_read_while_pages_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages_at_commit: list[int] = []
    inner = OpenUnit.commit
    async with service(tmp_path, MANY_DAYS) as running:

        async def slow(self: OpenUnit, *args: Any) -> None:
            before = len(running.look_alike.stats.log)
            await anyio.sleep(0.05)
            pages_at_commit.append(len(running.look_alike.stats.log) - before)
            await inner(self, *args)

        monkeypatch.setattr(OpenUnit, "commit", slow)
        ended = await running.run(JOBS)
        assert ended.exit_code == 0
        found = manifests(tmp_path)
        assert len(found) > 5
        assert sum(pages_at_commit) > 0
        tokens = [each["position"].get("token") for each in found]
        asked = [seen.query["from"] for seen in ended.log if "from" in seen.query]
        assert [token for token in asked if token in tokens] == [token for token in tokens if token in asked]
        assert same(running.lake, running.look_alike, [JOBS]) == 600


@pytest.mark.usefixtures("small_units")
async def test_pages_before_a_refused_one_are_committed_whatever_is_under_way(tmp_path: Path) -> None:
    async with service(tmp_path, MANY_DAYS) as running:
        running.look_alike.simulation.faults.add(Fault("forbidden", path="*/export/jobs", after=15))
        broken = await running.run(JOBS)
        assert (broken.exit_code, broken.rows) == (4, 15 * 20)
        running.look_alike.simulation.faults.set(())
        resumed = await running.run(JOBS)
        assert (resumed.exit_code, resumed.rows) == (0, 600 - 15 * 20)
        assert same(running.lake, running.look_alike, [JOBS]) == 600


@pytest.mark.usefixtures("small_units")
async def test_a_commit_that_fails_behind_the_reading_ends_the_tenant_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(tmp_path, MANY_DAYS) as running:
        fail_after(monkeypatch, commits=2)
        broken = await running.run(JOBS)
        assert broken.exit_code != 0
        assert len(manifests(tmp_path)) == 2
        monkeypatch.undo()
        assert (await running.run(JOBS)).exit_code == 0
        assert same(running.lake, running.look_alike, [JOBS]) == 600


@pytest.mark.parametrize("page_rows", [7, 20, 90])
async def test_each_day_lies_in_one_file_however_pages_and_units_cut_it(
    page_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "UNIT_ROW_BYTES", 1)
    async with service(tmp_path, {**MANY_DAYS, "feed_page_rows": page_rows}) as running:
        assert (await running.run(JOBS)).exit_code == 0
        files = [file for each in manifests(tmp_path) for file in each["files"]]
        days = Counter(file["partition"] for file in files)
        assert len(manifests(tmp_path)) > 3
        assert len(days) > 20
        assert set(days.values()) == {1}
        assert same(running.lake, running.look_alike, [JOBS]) == 600


@pytest.mark.usefixtures("small_units")
async def test_rows_left_to_the_next_unit_are_read_again_after_a_kill_and_lie_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(tmp_path, {**MANY_DAYS, "feed_page_rows": 50}) as running:
        fail_after(monkeypatch, commits=3)
        assert (await running.run(JOBS)).exit_code != 0
        monkeypatch.undo()
        found = manifests(tmp_path)
        kept = sum(each["rows"] for each in found)
        token = found[-1]["position"]["token"]
        resumed = await running.run(JOBS)
        assert next(seen.query["from"] for seen in resumed.log if "from" in seen.query) == token
        assert (resumed.exit_code, kept + resumed.rows) == (0, 600)
        assert same(running.lake, running.look_alike, [JOBS]) == 600


async def test_a_stop_while_whole_days_are_committed_commits_the_rest_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "UNIT_ROW_BYTES", 1)
    whole_days, left = feed._Drain._commit_whole_days, 0
    async with service(tmp_path, {**MANY_DAYS, "feed_page_rows": 90}) as running:

        async def stops(self: feed._Drain) -> None:
            nonlocal left
            await whole_days(self)
            if not left and self.unit is not None:
                left = self.unit.row_bytes
                self.parts.stop.after_elapsed = True  # the time ran out while the commit before was waited for

        monkeypatch.setattr(feed._Drain, "_commit_whole_days", stops)
        ended = await running.run(JOBS)
        assert left > 0
        assert (ended.rows > 0, ended.rows % 90) == (True, 0)  # whole pages: no row that was taken is left out
        monkeypatch.undo()
        assert ended.rows + (await running.run(JOBS)).rows == 600
        assert same(running.lake, running.look_alike, [JOBS]) == 600

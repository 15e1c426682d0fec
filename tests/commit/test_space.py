"""A full disk: a clear word, no torn file, a valid checkpoint; with space again the same work completes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from st_export.commit.store import NO_SPACE
from st_export.errors import StoreError
from st_export.flow import Position
from st_export.storage.open import open_store
from tests.commit.parts import JOBS, data_file, lake, start, to_token, unit, work
from tests.storage.mounts import tmpfs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_full_disk_stops_a_commit_and_space_lets_it_complete(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "1m") as small:
        store = open_store("lake", {}, small)
        run = await start(store)
        await run.committer.commit(work(store, unit("a")), to_token("t1"))
        before = await lake(store)
        brought = work(store, unit("b"))
        large = tmp_path / "from-elsewhere"
        large.write_bytes(b"x" * 2_000_000)
        brought = replace(brought, files=(brought.files[0], replace(brought.files[1], local=str(large), bytes=2_000_000)))
        with pytest.raises(StoreError, match=NO_SPACE) as caught:
            await run.committer.commit(brought, to_token("t2"))
        assert "free some space" in str(caught.value.hint)
        following = await start(store)
        assert (await lake(store), following.checkpoints.position(JOBS, "run")) == (before, Position(1, token="t1"))
        assert following.recovered.removed == ()  # what had been put was removed at once, for its space
        await following.committer.commit(work(store, unit("b")), to_token("t2"))
        assert len(await lake(store)) == 4


async def test_a_checkpoint_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "256k") as small:
        store = open_store("lake", {}, small)
        run = await start(store)
        await run.committer.commit(work(store, unit("a")), to_token("t1"))
        filling = small / "filling"
        with filling.open("wb") as file, pytest.raises(OSError, match="No space"):
            file.write(b"x" * 1_000_000)
        with pytest.raises(StoreError, match=NO_SPACE):
            await run.committer.commit(work(store, unit("idle"), parts=0), to_token("t2" * 8_000))
        filling.unlink()
        assert (await start(store)).checkpoints.position(JOBS, "run") == Position(1, token="t1")
        await run.committer.commit(replace(work(store, unit("b")), files=(data_file(store, unit("b")),)), to_token("t3"))
        assert (await start(store)).checkpoints.position(JOBS, "run") == Position(1, token="t3")

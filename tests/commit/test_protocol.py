"""A commit goes by its steps, and ends as done, refused or unknown."""

# ruff: noqa: ASYNC240 -- a test may block, and waits for other processes by looking

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from st_export.commit.manifest import Totals
from st_export.errors import CommitRefused, CommitUnknown, LockLost, StoreError
from st_export.events import CommitStepped, Committed, Noted
from st_export.flow import EntityName, Position, Reject, Window
from st_export.storage.open import open_store
from tests.commit.parts import COLUMNS, JOBS, TENANT, data_file, lake, left_over, start, to_token, unit, work
from tests.storage.servers import BUCKET, relayed, s3_options

if TYPE_CHECKING:
    from st_export.commit.store import Store

pytestmark = pytest.mark.anyio
STEPS = ["intent", "file", "file", "files", "manifest", "checkpoint", "cleared"]


async def test_a_unit_is_committed_in_steps(store: Store) -> None:
    run = await start(store)
    window = Window(datetime(2026, 11, 22, tzinfo=UTC))
    brought = replace(work(store, unit("a")), window=window, rescued=1)
    landed = await run.committer.commit(brought, to_token("t1"))
    manifest = await run.manifests.read(str(landed.manifest))
    assert run.steps() == STEPS
    assert landed.manifest == "_st_export/manifests/jpm.jobs/1001/00000001-run-0001-a.json"
    assert manifest.files == tuple(replace(file, local=None) for file in brought.files)
    assert (manifest.position, manifest.columns, manifest.window, manifest.rescued) == (Position(1, token="t1"), COLUMNS, window, 1)
    assert sorted(await lake(store)) == sorted(file.path for file in brought.files)
    assert await left_over(store) == []
    committed = [event for event in run.seen if isinstance(event, Committed)]
    assert [(event.rows, event.files, event.bytes, event.manifest) for event in committed] == [(6, 2, landed.bytes, landed.manifest)]


async def test_the_next_run_goes_on_from_there(store: Store) -> None:
    run = await start(store)
    await run.committer.commit(work(store, unit("a")), to_token("t1"))
    await run.committer.commit(work(store, unit("b")), to_token("t2"))
    following = await start(store, run="run-2")
    assert following.checkpoints.position(JOBS, "run") == Position(1, token="t2")
    landed = await following.committer.commit(work(store, unit("c")), to_token("t3"))
    assert str(landed.manifest).endswith("/00000003-run-0001-c.json")
    assert following.recovered.removed == ()
    assert await following.manifests.totals(JOBS) == Totals(rows=18, files=6, bytes=sum(len(data) for data in (await lake(store)).values()))


async def test_without_files_only_the_position_moves(store: Store) -> None:
    run = await start(store)
    landed = await run.committer.commit(work(store, unit("idle"), parts=0), to_token("t2"))
    paths = [entry.path async for entry in store.list("")]
    assert (run.steps(), landed.manifest, paths) == (["checkpoint"], None, ["_st_export/checkpoint/1001.json"])
    assert (await start(store)).checkpoints.position(JOBS, "run") == Position(1, token="t2")


async def test_commits_of_one_entity_compose_their_moves(store: Store) -> None:
    run = await start(store)

    def advance(position: Position) -> Position:
        return replace(position, epoch=position.epoch + 1)

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(run.committer.commit, work(store, unit(f"u{number}"), parts=1), advance)
        tasks.start_soon(run.committer.commit, work(store, unit("idle"), parts=0), advance)
    ordinals = [ordinal for _, ordinal, _ in run.manifests.ordered(JOBS)]
    assert (ordinals, (await start(store)).checkpoints.position(JOBS, "run")) == (list(range(1, 13)), Position(13))


async def test_scopes_keep_their_own_positions(store: Store) -> None:
    run = await start(store)
    await run.committer.commit(work(store, unit("a")), to_token("nightly"))
    await run.committer.commit(work(store, unit("a", scope="b1234abcd")), to_token("backfill"))
    standings = (await start(store)).checkpoints.standings(JOBS)
    assert {scope: (standing.position.token, standing.ordinal) for scope, standing in standings.items()} == {
        "run": ("nightly", 1),
        "b1234abcd": ("backfill", 2),
    }


async def test_a_committed_unit_is_never_written_again(store: Store) -> None:
    run = await start(store)
    await run.committer.commit(work(store, unit("a")), to_token("t1"))
    before = await lake(store)
    again = replace(work(store, unit("a")), files=(data_file(store, unit("a"), 0, "other rows"),))
    for committer in (run.committer, (await start(store)).committer):
        with pytest.raises(CommitRefused, match="committed already"):
            await committer.commit(again, to_token("t9"))
    assert (await lake(store), (await start(store)).checkpoints.position(JOBS, "run").token) == (before, "t1")


@pytest.mark.parametrize(
    "path",
    [
        "jpm.jobs/tenant_id=1001/day=2026-11-23/run-0001-other-00.parquet",
        "jpm.jobs/tenant_id=1002/day=2026-11-23/run-0001-a-00.parquet",
        "crm.customers/tenant_id=1001/day=2026-11-23/run-0001-a-00.parquet",
        "jpm.jobs/tenant_id=1001/day=2026-11-23/run-0001-a.parquet",
    ],
)
async def test_files_that_are_not_the_units_are_refused(store: Store, path: str) -> None:
    run = await start(store)
    foreign = replace(data_file(store, unit("a")), path=path)
    with pytest.raises(CommitRefused, match="not its own"):
        await run.committer.commit(replace(work(store, unit("a")), files=(foreign,)), to_token("t1"))
    assert [entry.path async for entry in store.list("")] == []


@pytest.mark.parametrize("harm", ["shorter", "gone"])
async def test_a_torn_local_file_is_refused_and_nothing_stays(store: Store, harm: str) -> None:
    run = await start(store)
    brought = work(store, unit("a"))
    local = Path(str(brought.files[1].local))
    local.write_bytes(b"torn") if harm == "shorter" else local.unlink()
    with pytest.raises(CommitRefused, match=r"bytes instead of|no local file"):
        await run.committer.commit(brought, to_token("t1"))
    assert [entry.path async for entry in store.list("")] == []
    assert [local for local in store.spool.iterdir() if local.name != ".alive"] == []


async def test_an_upload_under_way_ends_before_a_refused_commit_is_undone(s3_endpoint: str, tmp_path: Path) -> None:
    """Its bytes may be on their way: what is removed before they arrive would stay in the lake, and nobody would know of it."""
    direct = open_store(f"s3://{BUCKET}/late", s3_options(s3_endpoint), tmp_path)
    async with relayed(s3_endpoint) as relay:
        run = await start(open_store(direct.url, s3_options(relay.endpoint), tmp_path))
        brought = work(run.store, unit("a"), parts=5)
        Path(str(brought.files[4].local)).unlink()  # its turn comes when one of the first four has arrived
        relay.hold = b"run-0001-a-00.parquet HTTP/1.1"
        with pytest.raises(CommitRefused, match="no local file"):
            await run.committer.commit(brought, to_token("t1"))
        await anyio.sleep(1)
    assert [entry.path async for entry in direct.list("")] == []


class Losing:
    """A lock that is lost after so many checks."""

    def __init__(self, checks: int) -> None:
        self.checks = checks

    def check(self) -> None:
        self.checks -= 1
        if self.checks < 0:
            raise LockLost("taken over", tenant=TENANT)


@pytest.mark.parametrize("checks", [0, 1, 3])
async def test_who_lost_the_lock_commits_nothing(store: Store, checks: int) -> None:
    run = await start(store, lock=Losing(checks))
    with pytest.raises(LockLost):
        await run.committer.commit(work(store, unit("a")), to_token("t1"))
    following = await start(store)
    assert (following.checkpoints.position(JOBS, "run"), await lake(store), await left_over(store)) == (Position(), {}, [])


@pytest.mark.parametrize("step", ["intent", "file", "files"])
async def test_a_cancellation_before_the_manifest_leaves_nothing_after_the_next_start(store: Store, step: str) -> None:
    run = await start(store)
    with anyio.CancelScope() as scope:
        run.events.listen(lambda event: scope.cancel() if isinstance(event, CommitStepped) and event.step == step else None)
        await run.committer.commit(work(store, unit("a")), to_token("t1"))
    assert scope.cancelled_caught
    following = await start(store)
    assert (following.checkpoints.position(JOBS, "run"), await lake(store), await left_over(store)) == (Position(), {}, [])


async def test_a_cancellation_at_the_manifest_lets_the_commit_end(store: Store) -> None:
    run = await start(store)
    with anyio.CancelScope() as scope:
        run.events.listen(lambda event: scope.cancel() if isinstance(event, CommitStepped) and event.step == "manifest" else None)
        await run.committer.commit(work(store, unit("a")), to_token("t1"))
    assert (scope.cancelled_caught, run.steps()) == (True, STEPS)
    assert (await start(store)).recovered.positions == 0


async def test_rejects_are_kept_with_the_commit(store: Store) -> None:
    run = await start(store)
    rejects = (Reject(JOBS, "GET /jobs?page=1", "no id", b'{"name":"x"}'),)
    landed = await run.committer.commit(replace(work(store, unit("a")), rejects=rejects), to_token("t1"))
    assert (await run.manifests.read(str(landed.manifest))).rejected == 1
    assert await store.exists("_st_export/rejects/jpm.jobs/1001/run-0001-a.json")


async def test_an_unwritable_checkpoint_does_not_undo_a_commit(store: Store) -> None:
    run = await start(store)
    await run.committer.commit(work(store, unit("a")), to_token("t1"))
    await store.write("_st_export/checkpoint/1001.json", b"somebody else's")
    with pytest.raises(CommitRefused, match="changed by somebody else"):
        await run.committer.commit(work(store, unit("b")), to_token("t2"))
    assert [event.unit for event in run.seen if isinstance(event, Committed)] == ["run-0001-a", "run-0001-b"]
    await store.delete("_st_export/checkpoint/1001.json")
    following = await start(store)
    assert (following.recovered.rebuilt, following.checkpoints.position(JOBS, "run").token, len(await lake(store))) == (True, "t2", 4)


async def test_a_manifest_whose_answer_is_lost_is_looked_up(s3_endpoint: str, tmp_path: Path) -> None:
    async with relayed(s3_endpoint) as relay:
        run = await start(open_store(f"s3://{BUCKET}/lost-once", s3_options(relay.endpoint), tmp_path))
        relay.on, relay.lose = b"PUT /lake/lost-once/_st_export/manifests/", 1
        landed = await run.committer.commit(work(run.store, unit("a")), to_token("t1"))
        assert (relay.lost, run.steps(), await run.store.exists(str(landed.manifest))) == (1, STEPS, True)


async def test_a_manifest_that_cannot_be_looked_up_is_unknown(s3_endpoint: str, tmp_path: Path) -> None:
    direct = open_store(f"s3://{BUCKET}/lost-for-good", s3_options(s3_endpoint), tmp_path)
    async with relayed(s3_endpoint) as relay:
        run = await start(open_store(direct.url, s3_options(relay.endpoint) | {"timeout": "1s"}, tmp_path))
        brought, later = work(run.store, unit("a")), work(run.store, unit("b"))
        relay.on, relay.lose = b"/_st_export/manifests/", 1_000
        with pytest.raises(CommitUnknown, match="run-0001-a"):
            await run.committer.commit(brought, to_token("t1"))
        with pytest.raises(CommitUnknown, match="nothing can follow it"):
            await run.committer.commit(later, to_token("t2"))
        other = unit("a", entity=EntityName("crm.customers"))
        relay.lose = 0
        await run.committer.commit(work(run.store, other), to_token("c1"))
    following = await start(direct)  # the manifest had arrived
    assert (following.checkpoints.position(JOBS, "run").token, len(await lake(direct))) == ("t1", 2)


async def test_a_store_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = open_store("lake", {}, tmp_path)
    run = await start(store)
    brought = work(store, unit("a"))
    (tmp_path / "lake/jpm.jobs/tenant_id=1001").mkdir(parents=True)
    (tmp_path / "lake/jpm.jobs/tenant_id=1001/day=2026-11-21").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        await run.committer.commit(brought, to_token("t1"))
    assert [event.text for event in run.seen if isinstance(event, Noted)] != []
    assert run.checkpoints.position(JOBS, "run") == Position()

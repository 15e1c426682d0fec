"""A start brings the lake into the state of its last commit, whatever it finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from st_export.errors import CheckpointUnreadable
from st_export.events import Noted
from st_export.flow import Position
from tests.commit.parts import JOBS, lake, left_over, start, to_token, unit, work

if TYPE_CHECKING:
    from st_export.commit.store import Store

pytestmark = pytest.mark.anyio
CHECKPOINT = "_st_export/checkpoint/1001.json"


async def committed(store: Store) -> dict[str, bytes]:
    run = await start(store)
    await run.committer.commit(work(store, unit("a")), to_token("t1"))
    await run.committer.commit(work(store, unit("a", scope="b1234abcd")), lambda position: replace(position, epoch=1, done=True))
    await run.committer.commit(work(store, unit("b")), to_token("t2"))
    return await lake(store)


async def test_a_lost_checkpoint_is_rebuilt_with_a_word(store: Store) -> None:
    files = await committed(store)
    await store.delete(CHECKPOINT)
    run = await start(store)
    assert (run.recovered.rebuilt, run.recovered.positions, run.recovered.removed) == (True, 2, ())
    assert run.checkpoints.position(JOBS, "run") == Position(1, token="t2")
    assert run.checkpoints.position(JOBS, "b1234abcd") == Position(1, done=True)
    assert [event.text for event in run.seen if isinstance(event, Noted)] == [
        f"the checkpoint {CHECKPOINT} was not there: 2 positions were rebuilt from the manifests"
    ]
    assert await lake(store) == files


async def test_a_second_start_finds_nothing_to_do(store: Store) -> None:
    await committed(store)
    await store.delete(CHECKPOINT)
    await start(store)
    again = await start(store)
    assert (again.recovered.positions, again.recovered.removed, again.recovered.rebuilt, again.seen) == (0, (), False, [])


async def test_an_old_checkpoint_catches_up_with_the_manifests(store: Store) -> None:
    run = await start(store)
    await run.committer.commit(work(store, unit("a")), to_token("t1"))
    old = await store.read(CHECKPOINT)
    await run.committer.commit(work(store, unit("b")), to_token("t2"))
    await store.write(CHECKPOINT, old)
    following = await start(store)
    assert (following.recovered.positions, following.checkpoints.position(JOBS, "run").token) == (1, "t2")


async def test_a_position_that_was_set_back_stays_so(store: Store) -> None:
    await committed(store)
    run = await start(store)
    run.checkpoints.move(JOBS, "run", Position(2))
    await run.checkpoints.save()
    assert (await start(store)).checkpoints.position(JOBS, "run") == Position(2)


async def test_files_without_a_manifest_go(store: Store) -> None:
    files = await committed(store)
    strays = (
        "jpm.jobs/tenant_id=1001/day=2026-11-23/run-0001-dead-00.parquet",
        "jpm.jobs/tenant_id=1001/whatever.parquet",
        "crm.customers/tenant_id=1001/run-0001-dead-00.parquet",
    )
    for path in strays:
        await store.write(path, b"x")
    run = await start(store)
    assert (run.recovered.removed, await lake(store)) == (tuple(sorted(strays)), files)


async def test_what_is_not_the_tenants_stays(store: Store) -> None:
    others = (
        "jpm.jobs/tenant_id=1002/x-00.parquet",
        "current/jpm.jobs/tenant_id=1001/x.parquet",
        "notes/readme.txt",
        "README.md",
        "my folder/x",
    )
    for path in others:
        await store.write(path, b"x")
    assert (await start(store)).recovered.removed == ()
    assert sorted([entry.path async for entry in store.list("")]) == sorted(others)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0", b"[]", b'{"entity": "../..", "unit": "run-0001-a", "files": []}', b'{"entity": "jpm.jobs"}']
)
async def test_a_damaged_intent_is_no_obstacle(store: Store, data: bytes) -> None:
    await store.write("_st_export/intents/1001/run-0001-dead-jpm.jobs.json", data)
    await start(store)
    assert await left_over(store) == []


async def test_an_intent_removes_only_its_own_files(store: Store) -> None:
    files = await committed(store)
    others = "crm.customers/tenant_id=1002/run-0001-dead-00.parquet"
    await store.write(others, b"x")
    named = f'["{others}", "{next(iter(files))}", "_st_export/lake.json", "../outside"]'
    text = f'{{"entity": "jpm.jobs", "unit": "run-0001-dead", "run_id": "r", "files": {named}}}'
    await store.write("_st_export/intents/1001/run-0001-dead-jpm.jobs.json", text.encode())
    await start(store)
    assert (await lake(store), await store.exists(others), await left_over(store)) == (files, True, [])


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b'{"version": 1, "tenant'])
async def test_a_damaged_checkpoint_stops_before_anything_is_removed(store: Store, data: bytes) -> None:
    await committed(store)
    stray = "jpm.jobs/tenant_id=1001/run-0001-dead-00.parquet"
    await store.write(stray, b"x")
    await store.write(CHECKPOINT, data)
    with pytest.raises(CheckpointUnreadable):
        await start(store)
    assert (await store.exists(stray), await store.read(CHECKPOINT)) == (True, data)

"""One run at a time holds a tenant; a dead one's lock does not block; who loses it stops."""

# ruff: noqa: ASYNC110, ASYNC220 -- a test may block, and waits for other processes by looking

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from st_export.clock import Clock
from st_export.commit.lock import Lease, Lock, _lease_from
from st_export.commit.owner import Owner, is_gone, this_process
from st_export.errors import LockHeld, LockLost
from st_export.events import Event, Events, Noted, Waiting
from st_export.storage.open import open_store
from tests.commit.parts import TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.commit.store import Store

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
PATH = "_st_export/locks/1001.json"
ELSEWHERE = Owner("another-host", "boot", "pid:[1]", 4242, "77")


def lock(store: Store, run: str = "run-1", lease_seconds: float = 30.0, seen: list[Event] | None = None) -> Lock:
    events = Events((seen if seen is not None else []).append)
    return Lock(store, TENANT, run, Clock(), events, lease_seconds=lease_seconds)


async def record(store: Store) -> Lease:
    found = _lease_from(await store.read(PATH))
    assert found is not None
    return found


async def leave(store: Store, owner: Owner, lease_seconds: float = 30.0, expires_in_seconds: float = 30.0) -> None:
    """Write the lock as a run that is gone has left it."""
    expires_at = datetime.now(UTC) + timedelta(seconds=expires_in_seconds)
    await store.write(PATH, Lease("run-dead", owner, 7, 3, lease_seconds, expires_at).encoded())


async def test_a_lock_is_held_and_released(store: Store) -> None:
    mine = lock(store)
    async with anyio.create_task_group() as tasks, mine.held(tasks):
        mine.check()
        held = await record(store)
    assert (held.run, held.generation, held.owner) == ("run-1", 1, this_process())
    assert await record(store) == replace(await record(store), owner=None, generation=1)
    with pytest.raises(LockLost, match="not held"):
        mine.check()
    async with anyio.create_task_group() as tasks, lock(store, "run-2").held(tasks):
        assert (await record(store)).generation == 2


async def test_a_held_lock_says_who_holds_it(store: Store) -> None:
    async with anyio.create_task_group() as tasks, lock(store).held(tasks):
        with pytest.raises(LockHeld, match=rf"run run-1 \(process {this_process().pid} on ") as caught:
            async with lock(store, "run-2").held(tasks):
                pytest.fail("two hold the lock")
    assert (caught.value.exit_code, caught.value.tenant) == (5, TENANT)


async def test_a_wait_ends_when_the_lock_is_released(store: Store) -> None:
    seen: list[Event] = []

    async def second() -> None:
        async with anyio.create_task_group() as tasks, lock(store, "run-2", 1.0, seen).held(tasks, wait_seconds=60):
            assert (await record(store)).run == "run-2"

    async with anyio.create_task_group() as outer, anyio.create_task_group() as tasks, lock(store, lease_seconds=1.0).held(tasks):
        outer.start_soon(second)
        with anyio.fail_after(10):
            while not seen:
                await anyio.sleep(0.01)
    assert [type(event) for event in seen] == [Waiting]


async def test_a_wait_is_over_when_its_time_is(store: Store) -> None:
    async with anyio.create_task_group() as tasks, lock(store, lease_seconds=1.0).held(tasks):
        with pytest.raises(LockHeld):
            async with lock(store, "run-2", 1.0).held(tasks, wait_seconds=0.2):
                pytest.fail("two hold the lock")


async def test_a_dead_process_of_another_host_is_waited_out_for_one_lease(store: Store) -> None:
    await leave(store, ELSEWHERE, lease_seconds=0.3, expires_in_seconds=-3600)
    async with anyio.create_task_group() as tasks, lock(store, lease_seconds=0.3).held(tasks):
        assert (await record(store)).generation == 8


async def test_a_lock_of_another_host_that_has_not_run_out_is_held(store: Store) -> None:
    await leave(store, ELSEWHERE)
    async with anyio.create_task_group() as tasks:
        with pytest.raises(LockHeld, match="process 4242 on another-host"):
            async with lock(store).held(tasks):
                pytest.fail("two hold the lock")


async def test_a_living_holder_with_a_slow_clock_keeps_its_lock(store: Store) -> None:
    class Slow(Clock):
        def now(self) -> datetime:
            return super().now() - timedelta(minutes=10)

    theirs = Lock(store, TENANT, "run-1", Slow(), Events(), lease_seconds=0.9)
    async with anyio.create_task_group() as tasks, theirs.held(tasks):
        with pytest.raises(LockHeld):
            async with lock(store, "run-2", 0.9).held(tasks):
                pytest.fail("two hold the lock")
        theirs.check()


@pytest.mark.parametrize("data", [b"", b"\0\0", b"{}", b'{"owner": 5}'])
async def test_a_damaged_lock_is_taken_over_after_a_lease(store: Store, data: bytes) -> None:
    await store.write(PATH, data)
    async with anyio.create_task_group() as tasks, lock(store, lease_seconds=0.3).held(tasks):
        assert (await record(store)).run == "run-1"


async def test_the_holder_renews_and_stays(store: Store) -> None:
    mine = lock(store, lease_seconds=0.3)
    async with anyio.create_task_group() as tasks, mine.held(tasks):
        with anyio.fail_after(20):
            while (await record(store)).renewals < 4:
                await anyio.sleep(0.02)
        mine.check()


async def test_who_is_taken_over_stops(store: Store) -> None:
    seen: list[Event] = []
    mine = lock(store, lease_seconds=0.3, seen=seen)
    async with anyio.create_task_group() as tasks, mine.held(tasks):
        await leave(store, ELSEWHERE)
        with anyio.fail_after(20):
            while not seen:
                await anyio.sleep(0.02)
        with pytest.raises(LockLost, match="taken over by another run") as caught:
            mine.check()
    assert (caught.value.tenant, (await record(store)).owner) == (TENANT, ELSEWHERE)
    assert [event.text for event in seen if isinstance(event, Noted)] == ["the lock was taken over by another run"]


async def test_who_cannot_renew_stops_before_its_lease_ends(store: Store) -> None:
    class Moved(Clock):
        seconds = 0.0

        def monotonic_seconds(self) -> float:
            return super().monotonic_seconds() + self.seconds

    clock = Moved()
    mine = Lock(store, TENANT, "run-1", clock, Events())
    async with anyio.create_task_group() as tasks, mine.held(tasks):
        clock.seconds = 23.0
        mine.check()
        clock.seconds = 25.0
        with pytest.raises(LockLost, match="could not be renewed for 25 s"):
            mine.check()


async def test_an_owner_is_gone_only_where_that_is_sure() -> None:
    me = this_process()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead = replace(me, pid=process.pid)
    assert [is_gone(owner) for owner in (me, ELSEWHERE, dead, replace(dead, boot="other"), replace(dead, space="pid:[2]"))] == [
        *(False, False, True, False, False)
    ]
    assert is_gone(replace(me, started="1"))


@contextmanager
def holder(store: Store, base: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.commit.child", store.url, "{}", str(base), "hold"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


async def test_a_killed_process_of_this_host_is_taken_over_at_once(tmp_path: Path) -> None:
    store = open_store("lake", {}, tmp_path)
    with holder(store, tmp_path) as process:
        async with anyio.create_task_group() as tasks:
            with pytest.raises(LockHeld, match=f"process {process.pid} on "):
                async with lock(store).held(tasks):
                    pytest.fail("two hold the lock")
        process.kill()  # not waited for: a zombie holds nothing either
        with anyio.fail_after(10):
            while not is_gone(replace(this_process(), pid=process.pid, started=None)):
                await anyio.sleep(0.01)
        async with anyio.create_task_group() as tasks, lock(store).held(tasks):
            assert ((await record(store)).generation, (await record(store)).owner) == (2, this_process())


async def test_of_many_processes_one_holds_the_lock(tmp_path: Path) -> None:
    store = open_store("lake", {}, tmp_path)
    command = [sys.executable, "-m", "tests.commit.child", store.url, "{}", str(tmp_path), "hold"]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        with anyio.fail_after(60):
            while sum(process.poll() is None for process in processes) > 1:
                await anyio.sleep(0.05)
        holding = [process.pid for process in processes if process.poll() is None]
        owner = (await record(store)).owner
        assert owner is not None
        assert holding == [owner.pid]
    finally:
        for process in processes:
            process.kill()
            process.communicate()

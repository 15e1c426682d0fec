"""Positions survive as they were; a damaged, foreign or newer checkpoint is never taken for a first run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.clock import Clock
from st_export.commit.checkpoint import Checkpoints, Note
from st_export.commit.positions import position_from, position_json
from st_export.errors import CheckpointUnreadable, CommitRefused
from st_export.flow import Pass, Position, Window
from tests.commit.parts import TENANT

if TYPE_CHECKING:
    from st_export.commit.store import Store

PATH = "_st_export/checkpoint/1001.json"
MOMENTS = st.datetimes(timezones=st.just(UTC))
WINDOWS = st.builds(Window, MOMENTS, st.none() | MOMENTS)
PASSES = st.builds(Pass, MOMENTS, st.none() | MOMENTS, st.lists(WINDOWS, max_size=3).map(tuple), st.none() | st.text())
POSITIONS = st.builds(Position, st.integers(0, 2**40), st.none() | st.text(), st.none() | MOMENTS, st.none() | PASSES, st.booleans())


def checkpoints(store: Store) -> Checkpoints:
    return Checkpoints(store, TENANT, Clock())


@given(POSITIONS)
def test_every_position_comes_back_from_json(position: Position) -> None:
    assert position_from(json.loads(json.dumps(position_json(position)))) == position


@pytest.mark.anyio
async def test_what_is_saved_is_loaded(store: Store) -> None:
    written = checkpoints(store)
    position = Position(3, "token", datetime(2026, 11, 23, tzinfo=UTC), Pass(datetime(2026, 11, 24, tzinfo=UTC)), done=True)
    note = Note("run-1", "failed", "403: no scope", datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=UTC))
    written.move("jpm.jobs", "run", position, 7)
    written.remember("settings.technicians", note)
    await written.save()
    read = checkpoints(store)
    assert await read.load() is True
    assert (read.standings("jpm.jobs"), read.note("settings.technicians")) == (written.standings("jpm.jobs"), note)
    assert (read.entities(), read.last_ordinal("jpm.jobs")) == (("jpm.jobs", "settings.technicians"), 7)


@pytest.mark.anyio
async def test_the_file_can_be_read_by_a_person(store: Store) -> None:
    written = checkpoints(store)
    written.move("jpm.jobs", "run", Position(1, token="t1"), 2)
    await written.save()
    text = (await store.read(PATH)).decode()
    document = json.loads(text)
    saved_at = document["entities"]["jpm.jobs"]["run"].pop("saved_at")
    assert document == {
        "version": 1,
        "tenant": 1001,
        "entities": {"jpm.jobs": {"run": {"epoch": 1, "token": "t1", "ordinal": 2}}},
        "notes": {},
    }
    assert saved_at.endswith("Z")
    assert len(text.splitlines()) > 10


@pytest.mark.anyio
async def test_no_file_is_a_first_run(store: Store) -> None:
    fresh = checkpoints(store)
    assert (await fresh.load(), fresh.position("jpm.jobs", "run"), fresh.entities()) == (False, Position(), ())


DAMAGED = [
    b"",
    b"\0" * 400,
    b'{"version": 1, "tenant": 1001, "entities": {"jpm.jo',
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"tenant": 1001, "entities": {}, "notes": {}}',
    b'{"version": true, "tenant": 1001, "entities": {}, "notes": {}}',
    b'{"version": 1, "tenant": 1002, "entities": {}, "notes": {}}',
    b'{"version": 1, "tenant": 1001, "notes": {}}',
    *(
        b'{"version": 1, "tenant": 1001, "entities": {"a": {"run": %s}}, "notes": {}}' % standing
        for standing in (
            b'{"epoch": "1", "ordinal": 1, "saved_at": "2026-11-23T00:00:00Z"}',
            b'{"epoch": 1, "ordinal": -1, "saved_at": "2026-11-23T00:00:00Z"}',
            b'{"epoch": 1, "ordinal": 1, "saved_at": "soon"}',
            b'{"epoch": 1, "ordinal": 1}',
        )
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
async def test_a_damaged_file_is_an_error_and_stays(store: Store, data: bytes) -> None:
    await store.write(PATH, data)
    with pytest.raises(CheckpointUnreadable, match=r"1001\.json is damaged") as caught:
        await checkpoints(store).load()
    assert (caught.value.exit_code, caught.value.tenant) == (2, 1001)
    assert "move the file away" in str(caught.value.hint)
    assert await store.read(PATH) == data


@pytest.mark.anyio
@pytest.mark.parametrize("cut", range(0, 300, 7))
async def test_a_file_that_is_cut_anywhere_is_an_error(store: Store, cut: int) -> None:
    written = checkpoints(store)
    for entity in ("jpm.jobs", "crm.customers", "settings.technicians"):
        written.move(entity, "run", Position(1, token="t1"), 2)
    await written.save()
    await store.write(PATH, (await store.read(PATH))[:cut])
    with pytest.raises(CheckpointUnreadable):
        await checkpoints(store).load()


@pytest.mark.anyio
async def test_a_newer_file_is_an_error(store: Store) -> None:
    await store.write(PATH, b'{"version": 2, "whatever": 1}')
    with pytest.raises(CheckpointUnreadable, match="written by a newer st-export"):
        await checkpoints(store).load()


@pytest.mark.anyio
async def test_a_checkpoint_of_somebody_else_is_not_overwritten(store: Store) -> None:
    ours, theirs = checkpoints(store), checkpoints(store)
    for one, token in ((ours, "ours"), (theirs, "theirs")):
        one.move("jpm.jobs", "run", Position(1, token=token))
    await theirs.save()
    with pytest.raises(CommitRefused, match="changed by somebody else"):
        await ours.save()
    read = checkpoints(store)
    await read.load()
    assert read.position("jpm.jobs", "run").token == "theirs"


@pytest.mark.anyio
async def test_a_cancelled_save_does_not_stand_in_the_way_of_the_next(store: Store) -> None:
    written = checkpoints(store)
    written.move("jpm.jobs", "run", Position(1, token="t1"))
    data = written._encoded()
    written._doubtful = data
    await store.write(PATH, data)  # it arrived, and nobody was told
    written.move("jpm.jobs", "run", Position(1, token="t2"))
    await written.save()
    read = checkpoints(store)
    await read.load()
    assert read.position("jpm.jobs", "run").token == "t2"


@pytest.mark.anyio
async def test_saves_side_by_side_share_their_writes(store: Store) -> None:
    written = checkpoints(store)
    writes: list[bytes] = []
    create, replace_if = store.create, store.replace_if

    async def counted_create(path: str, data: bytes) -> str:
        writes.append(data)
        return await create(path, data)

    async def counted_replace(path: str, data: bytes, expected_tag: str) -> str:
        writes.append(data)
        return await replace_if(path, data, expected_tag)

    store.create, store.replace_if = counted_create, counted_replace  # type: ignore[method-assign]

    async def move_and_save(number: int) -> None:
        written.move(f"entity{number}", "run", Position(1, token=f"t{number}"))
        await written.save()

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(move_and_save, number)
    read = checkpoints(store)
    await read.load()
    assert {read.position(f"entity{number}", "run").token for number in range(50)} == {f"t{number}" for number in range(50)}
    assert len(writes) <= 2

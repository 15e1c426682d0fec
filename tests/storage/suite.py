"""What every Store promises, as one suite: a test module subclasses it and gives a `store` fixture."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import anyio
import pytest

from st_export.commit.store import AlreadyExists, Changed, Entry, Missing

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.commit.store import Store


def spooled(store: Store, data: bytes) -> Path:
    local = store.spool / hashlib.sha256(data).hexdigest()[:8]
    local.write_bytes(data)
    return local


async def listed(store: Store, prefix: str) -> list[Entry]:
    return sorted([entry async for entry in store.list(prefix)])


@pytest.mark.anyio
class StoreSuite:
    async def test_what_is_written_is_read(self, store: Store) -> None:
        await store.write("a/tenant_id=1/b.json", b"old")
        await store.write("a/tenant_id=1/b.json", b"new")
        assert await store.read("a/tenant_id=1/b.json") == b"new"
        assert await store.read_range("a/tenant_id=1/b.json", 1, 3) == b"ew"

    async def test_an_empty_file_is_a_file(self, store: Store) -> None:
        await store.write("empty", b"")
        assert (await store.read("empty"), await store.exists("empty")) == (b"", True)

    async def test_what_is_not_there_is_missing(self, store: Store) -> None:
        assert await store.exists("a/b") is False
        for read in (store.read, store.read_tagged):
            with pytest.raises(Missing):
                await read("a/b")

    async def test_create_happens_once(self, store: Store) -> None:
        await store.create("a/lock", b"mine")
        with pytest.raises(AlreadyExists):
            await store.create("a/lock", b"theirs")
        assert await store.read("a/lock") == b"mine"

    async def test_replace_needs_the_last_tag(self, store: Store) -> None:
        first = await store.create("lock", b"1")
        second = await store.replace_if("lock", b"2", first)
        with pytest.raises(Changed):
            await store.replace_if("lock", b"3", first)
        assert await store.read_tagged("lock") == (b"2", second)

    async def test_replace_of_what_is_gone_is_refused(self, store: Store) -> None:
        tag = await store.create("lock", b"1")
        await store.delete("lock")
        with pytest.raises(Changed):
            await store.replace_if("lock", b"2", tag)
        assert await store.exists("lock") is False

    async def test_a_tag_of_write_is_the_tag_that_is_read(self, store: Store) -> None:
        tag = await store.write("checkpoint", b"1")
        assert (await store.read_tagged("checkpoint"))[1] == tag
        await store.replace_if("checkpoint", b"2", tag)

    @pytest.mark.parametrize("size", [0, 10, 12_000_000])
    async def test_a_file_is_moved_in_whole(self, store: Store, size: int) -> None:
        data = bytes(range(250)) * (size // 250) + b"x" * (size % 250)
        local = spooled(store, data)
        await store.put_file("e/tenant_id=1/day=2026-11-23/f-00.parquet", local)
        assert not local.exists()
        assert await store.read("e/tenant_id=1/day=2026-11-23/f-00.parquet") == data

    async def test_a_file_from_elsewhere_may_be_put(self, store: Store, tmp_path: Path) -> None:
        local = tmp_path / "elsewhere"
        local.write_bytes(b"data")
        await store.put_file("e/f", local)
        assert (await store.read("e/f"), local.exists()) == (b"data", False)

    async def test_delete_may_be_repeated(self, store: Store) -> None:
        await store.write("a/b", b"1")
        await store.delete("a/b")
        await store.delete("a/b")
        assert await listed(store, "") == []

    async def test_a_listing_is_of_a_folder_and_deep(self, store: Store) -> None:
        for path in ("jobs/t=1/a", "jobs/t=1/day=2/b", "jobs/t=10/c", "jobs-more/d", "e"):
            await store.write(path, b"12")
        assert await listed(store, "jobs/t=1") == [Entry("jobs/t=1/a", 2), Entry("jobs/t=1/day=2/b", 2)]
        assert [entry.path for entry in await listed(store, "jobs")] == ["jobs/t=1/a", "jobs/t=1/day=2/b", "jobs/t=10/c"]
        assert len(await listed(store, "")) == 5
        assert await listed(store, "nothing") == []

    async def test_folders_are_named_without_their_files(self, store: Store) -> None:
        for path in ("jobs/t=1/a", "jobs/t=2/x/b", "jobs/file", "e"):
            await store.write(path, b"1")
        assert await store.folders("jobs") == ("t=1", "t=2")
        assert [name for name in await store.folders("") if name != "_st_export"] == ["jobs"]
        assert await store.folders("nothing") == ()

    async def test_a_long_listing_is_whole(self, store: Store) -> None:
        names = [f"many/{number:04d}" for number in range(1_100)]
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(store.write, name, b"")
        assert [entry.path for entry in await listed(store, "many")] == names

    async def test_the_probe_leaves_nothing(self, store: Store) -> None:
        await store.probe()
        assert await listed(store, "") == []

    async def test_the_spool_is_no_part_of_the_lake(self, store: Store) -> None:
        spooled(store, b"temporary")
        assert await listed(store, "") == []

    @pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\nb"])
    async def test_no_path_leaves_the_lake(self, store: Store, path: str) -> None:
        with pytest.raises(ValueError, match="not a path inside the lake"):
            await store.write(path, b"")


@pytest.mark.anyio
class RaceSuite:
    """For stores whose own server decides a race; moto's looks and puts in two steps, so it is not asked."""

    async def test_one_of_many_creates_wins(self, store: Store) -> None:
        winners: list[bytes] = []

        async def attempt(content: bytes) -> None:
            try:
                await store.create("lock", content)
            except AlreadyExists:
                return
            winners.append(content)

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(attempt, b"%d" % number)
        assert winners == [await store.read("lock")]

    async def test_one_of_many_replacements_wins(self, store: Store) -> None:
        tag = await store.create("lock", b"0")
        winners: list[bytes] = []

        async def attempt(content: bytes) -> None:
            try:
                await store.replace_if("lock", content, tag)
            except Changed:
                return
            winners.append(content)

        async with anyio.create_task_group() as tasks:
            for number in range(1, 8):
                tasks.start_soon(attempt, b"%d" % number)
        assert winners == [await store.read("lock")]

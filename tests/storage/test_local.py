"""What a folder says when it cannot be used, and what it leaves behind: nothing."""

# ruff: noqa: ASYNC240 -- a test may block, and waits for other processes by looking

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import pytest

from st_export.commit.store import Missing
from st_export.errors import StoreError
from st_export.storage.open import open_store
from st_export.storage.spool import Spool
from tests.storage.mounts import remount_read_only, tmpfs

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def test_a_read_only_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "m", "1m") as mount:
        remount_read_only(mount)
        with pytest.raises(StoreError, match="the file system is read-only") as caught:
            await open_store("lake", {}, mount).probe()
    assert caught.value.hint == "mount it writable, or point output.url elsewhere"


async def test_a_folder_without_permission_is_named() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        store = open_store("lake", {}, Path(folder))
        os.seteuid(65534)
        try:
            with pytest.raises(StoreError, match="permission denied"):
                await store.probe()
        finally:
            os.seteuid(0)


async def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").write_bytes(b"")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        await open_store("lake", {}, tmp_path).write("a/b", b"")


async def test_no_space_is_called_so(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "m", "64k") as mount:
        store = open_store("lake", {}, mount)
        await store.write("small", b"1")
        with pytest.raises(StoreError, match="no space left"):
            await store.write("large", b"x" * 200_000)
        assert [entry.path async for entry in store.list("")] == ["small"]
        await store.write("large", b"x" * 10_000)


async def test_a_failed_write_leaves_the_old_content_and_no_temporary(tmp_path: Path) -> None:
    store = open_store("lake", {}, tmp_path)
    (tmp_path / "lake/folder/inside").mkdir(parents=True)
    with pytest.raises(StoreError):
        await store.write("folder", b"new")
    assert [path.name for path in store.spool.iterdir()] == [".alive"]


async def test_a_reader_sees_whole_files_only(tmp_path: Path) -> None:
    store = open_store("lake", {}, tmp_path)
    contents = [bytes([number]) * 300_000 for number in range(8)]
    await store.write("file", contents[0])
    seen: set[bytes] = set()

    async def read(scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                seen.add(await store.read("file"))

    async with anyio.create_task_group() as tasks:
        reading = anyio.CancelScope()
        tasks.start_soon(read, reading)
        for content in contents * 5:
            await store.write("file", content)
        reading.cancel()
    assert seen <= set(contents)


async def test_a_lake_that_is_not_there_reads_as_empty(tmp_path: Path) -> None:
    store = open_store("lake", {}, tmp_path)
    with pytest.raises(Missing):
        await store.read("a")
    assert ([entry async for entry in store.list("")], await store.folders(""), list(tmp_path.iterdir())) == ([], (), [])


def test_the_spool_of_a_dead_process_is_swept_and_of_a_living_one_kept(tmp_path: Path) -> None:
    code = "import sys, pathlib, time; from st_export.storage.spool import Spool; s = Spool(pathlib.Path(sys.argv[1]));"
    code += "(s.folder() / 'left').write_bytes(b'x'); print(s.folder().name, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        Spool(tmp_path).folder()
        assert (tmp_path / name / "left").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        spool = Spool(tmp_path)
        spool.folder()
        assert not (tmp_path / name).exists()


def test_a_private_spool_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    Spool(tmp_path / "mine", private=True).folder()
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        Spool(tmp_path / "link", private=True).folder()


def test_the_spool_goes_with_its_process(tmp_path: Path) -> None:
    code = "import sys, pathlib; from st_export.storage.spool import Spool;"
    code += "spool = Spool(pathlib.Path(sys.argv[1])); spool.temporary().write_bytes(b'x')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    assert [path.name for path in tmp_path.iterdir()] == [".guard"]

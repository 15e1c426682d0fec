"""A folder as a Store: whole or not at all, and durable, by temporary file, fsync, rename and fsync of the folder.

A file is written below `_st_export/tmp` (the same file system), its length checked, synced, renamed to its final name, and the name
is synced with its folder; so is each folder that had to be made. Conditional writes hold one `flock` for the whole lake while they
look and rename. All of it runs in threads. This module leaves out object stores.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from st_export.commit import paths
from st_export.commit.store import NO_SPACE, AlreadyExists, Changed, Entry, Missing, OutcomeUnknown, checked_path
from st_export.errors import StoreError
from st_export.storage.spool import Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

THREADS = 8
"""Threads that sync at once: more only queue in the disk."""

FOLDERS_A_SCAN = 64
"""Folders that one hop to a thread lists: enough to make the hop cheap, few enough to stop soon."""

_PROBLEMS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: (NO_SPACE, "free some space and run the same command again: it goes on from the last commit"),
    errno.EDQUOT: (f"{NO_SPACE}: the quota is used up", "free some space and run the same command again: it goes on from the last commit"),
    errno.EACCES: ("permission denied", "give the user that runs st-export the right to write there"),
    errno.EPERM: ("operation not permitted", "give the user that runs st-export the right to write there"),
    errno.EROFS: ("the file system is read-only", "mount it writable, or point output.url elsewhere"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "move the file away, or point output.url elsewhere"),
    errno.EISDIR: ("a folder stands where a file is needed", "move the folder away, or point output.url elsewhere"),
    errno.EXDEV: ("a folder of the lake lies on another file system", "keep the whole lake on one file system"),
    errno.ENOLCK: ("the file system keeps no locks", "use a file system with locks (flock), or an object store"),
    errno.EOPNOTSUPP: ("the file system lacks an operation that is needed", "use a local file system, or an object store"),
    errno.ENAMETOOLONG: ("a file name is too long for the file system", "use a file system with names of 255 bytes"),
    errno.EMFILE: ("too many open files", "raise the limit: ulimit -n 4096"),
}
"""The one table from the system's errors to ours: what happened, and what to do."""


class LocalStore:
    """A lake in a folder of this machine or of a mounted file system that keeps `flock`."""

    def __init__(self, root: Path) -> None:
        self.url = str(root)
        self._root = root
        self._spool = Spool(root / paths.TEMPORARY)
        self._threads = anyio.CapacityLimiter(THREADS)

    @property
    def spool(self) -> Path:
        """The folder for temporary files of this process, inside the lake. Made on first use, which blocks."""
        with _border(self.url):
            return self._spool.folder()

    def local_path(self, path: str) -> Path | None:
        """Return where a file of the lake lies on this machine."""
        return self._root / checked_path(path)

    async def read(self, path: str) -> bytes:
        """Return the whole content. Raises `Missing`."""
        return await self._run(path, lambda at: at.read_bytes())

    async def read_tagged(self, path: str) -> tuple[bytes, str]:
        """Return the content and its digest, which is its tag. Raises `Missing`."""
        data = await self.read(path)
        return data, _tag(data)

    async def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`. Raises `Missing`."""

        def part(at: Path) -> bytes:
            with at.open("rb") as file:
                file.seek(start)
                return file.read(end - start)

        return await self._run(path, part)

    async def exists(self, path: str) -> bool:
        """Return whether a file is at the path."""
        return await self._run(path, lambda at: at.is_file())

    async def write(self, path: str, data: bytes) -> str:
        """Replace the content durably and return its tag."""
        await self._run(path, lambda at: self._rename_into(self._written(data), at))
        return _tag(data)

    async def create(self, path: str, data: bytes) -> str:
        """Write the file if there is none. Raises `AlreadyExists`."""

        def create(at: Path) -> None:
            temporary = self._written(data)
            with self._spool.guarded():
                if at.exists():
                    temporary.unlink()
                    raise AlreadyExists(f"{path} is there already")
                self._rename_into(temporary, at)

        await self._run(path, create)
        return _tag(data)

    async def replace_if(self, path: str, data: bytes, expected_tag: str) -> str:
        """Replace the content if its digest is the expected tag. Raises `Changed`."""

        def replace(at: Path) -> None:
            temporary = self._written(data)
            with self._spool.guarded():
                if not at.exists() or _tag(at.read_bytes()) != expected_tag:
                    temporary.unlink()
                    raise Changed(f"{path} was changed by somebody else")
                self._rename_into(temporary, at)

        await self._run(path, replace)
        return _tag(data)

    async def put_file(self, path: str, local: Path) -> None:
        """Sync a local file and rename it to its final name; from another file system it is copied first."""

        def put(at: Path) -> None:
            source = local
            if source.stat().st_dev != self._spool.folder().stat().st_dev:
                source = self._copied(local)
            else:
                _sync(source)
            self._rename_into(source, at)
            local.unlink(missing_ok=True)

        await self._run(path, put)

    async def delete(self, path: str) -> None:
        """Remove the file if it is there."""
        await self._run(path, lambda at: at.unlink(missing_ok=True))

    async def list(self, *folders: str) -> AsyncIterator[Entry]:
        """Yield every file below the folders; hidden ones and temporary ones are left out."""
        waiting = [checked_path(folder) if folder else "" for folder in folders]
        while waiting:
            batch, waiting = waiting[-FOLDERS_A_SCAN:], waiting[:-FOLDERS_A_SCAN]
            entries, found = await self._run("", partial(_scanned, folders=batch))
            waiting += found
            for entry in entries:
                yield entry

    async def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly below the folder `prefix`, sorted; hidden ones are left out."""
        _, found = await self._run("", lambda root: _scanned(root, [checked_path(prefix) if prefix else ""]))
        return tuple(sorted(path.rpartition("/")[2] for path in found))

    async def probe(self) -> None:
        """Write, conditionally, and delete a small file in the lake."""
        path = f"{paths.STATE}/probe-{secrets.token_hex(8)}"
        await self.create(path, path.encode())
        try:
            await self.replace_if(path, b"", _tag(path.encode()))
        finally:
            await self.delete(path)

    async def _run(self, path: str, work: Callable[[Path], T]) -> T:
        at = self._root / checked_path(path) if path else self._root

        def guarded() -> T:
            with _border(self.url if not path else f"{self.url}/{path}"):
                return work(at)

        return await anyio.to_thread.run_sync(guarded, limiter=self._threads)

    def _written(self, data: bytes) -> Path:
        temporary = self._spool.temporary()
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                _check_length(file.fileno(), len(data))
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _copied(self, local: Path) -> Path:
        temporary = self._spool.temporary()
        try:
            with local.open("rb") as source, temporary.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                _check_length(file.fileno(), os.fstat(source.fileno()).st_size)
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _rename_into(self, temporary: Path, final: Path) -> None:
        try:
            _make_folder(final.parent)
            temporary.replace(final)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        try:
            _sync(final.parent)
        except OSError as error:
            text = f"{final} was written, but the disk does not confirm it: {error.strerror}"
            raise OutcomeUnknown(text, hint="check the disk") from error


@contextmanager
def _border(place: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Missing(f"{place}: there is no such file") from error
    except OSError as error:
        text, hint = _PROBLEMS.get(error.errno or 0, (error.strerror or str(error), "check the output's disk or mount"))
        raise StoreError(f"{place}: {text}", hint=hint) from error


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_length(descriptor: int, expected_bytes: int) -> None:
    if os.fstat(descriptor).st_size != expected_bytes:
        raise OSError(errno.EIO, "the file is shorter than what was written")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.exists():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _scanned(root: Path, folders: list[str]) -> tuple[list[Entry], list[str]]:
    entries: list[Entry] = []
    found: list[str] = []
    for folder in folders:
        try:
            with os.scandir(root / folder if folder else root) as items:
                for item in items:
                    path = f"{folder}/{item.name}" if folder else item.name
                    if item.name.startswith(".") or path == paths.TEMPORARY:
                        continue
                    if item.is_dir():
                        found.append(path)
                    elif item.is_file():
                        entries.append(Entry(path, item.stat().st_size))
        except FileNotFoundError:
            continue  # removed while we looked: not there any more
    return entries, found

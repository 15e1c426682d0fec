"""The committed files of one tenant's entities, as the version filter and the parents' search read them.

An entity's files are listed once a run, after the start has cleared away what is not committed: a dead run's file must never count as
one of the lake's. Files of this run are added when they are committed. Reading happens in worker threads.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pyarrow as pa

from st_export.commit import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anyio.lowlevel import EventLoopToken

    from st_export.commit.store import Store
    from st_export.flow import DataFile

READ_AHEAD_BYTES = 1 << 20
"""What one request to an object store brings: footers and column chunks are smaller than this more often than not."""


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """A data file of the lake and its size; `rows` is 0 where only a listing is known."""

    path: str
    rows: int = 0
    bytes: int = 0


class LakeFiles:
    """Implements the reader that `commit.versions` asks for, over the store of one tenant's lake.

    Nothing is listed before `cleared`; without it, all that lies there is taken to be committed.
    """

    def __init__(self, store: Store, tenant: int, cleared: anyio.Event | None = None) -> None:
        self._store = store
        self._tenant = tenant
        self._cleared = cleared
        self._files: dict[str, dict[str | None, list[CommittedFile]]] = {}
        self._all: dict[str, list[CommittedFile]] = {}
        self._bytes: dict[str, int] = {}
        self._loop: EventLoopToken | None = None

    async def load(self, entity: str) -> None:
        """List the entity's files, once."""
        self._loop = anyio.lowlevel.current_token()
        if entity in self._all:
            return
        if self._cleared is not None:
            await self._cleared.wait()
        files: dict[str | None, list[CommittedFile]] = {}
        every: list[CommittedFile] = []
        folder = f"{paths.checked_name(entity)}/tenant_id={self._tenant}"
        async for entry in self._store.list(folder):
            if entry.path.endswith(".parquet"):
                file = CommittedFile(entry.path, bytes=entry.bytes)
                self._bytes[entry.path] = entry.bytes
                files.setdefault(_partition(entry.path), []).append(file)
                every.append(file)
        if entity not in self._all:  # another unit may have been quicker, and committed since
            self._files[entity], self._all[entity] = files, every

    async def know(self, files: Iterable[DataFile]) -> None:
        """Take committed files that manifests name, so that they can be opened without a listing."""
        self._loop = anyio.lowlevel.current_token()
        self._bytes.update((file.path, file.bytes) for file in files)

    def added(self, entity: str, files: Iterable[DataFile]) -> None:
        """Take files of this run that are now committed."""
        for file in files:
            committed = CommittedFile(file.path, file.rows, file.bytes)
            self._bytes[file.path] = file.bytes
            self._files.setdefault(entity, {}).setdefault(file.partition, []).append(committed)
            self._all.setdefault(entity, []).append(committed)

    def files(self, entity: str, tenant: int, partition: str | None) -> Sequence[CommittedFile]:
        """Return the files of a partition, or of all for None."""
        if tenant != self._tenant:
            raise ValueError(f"files of tenant {self._tenant}, not of {tenant}")
        if partition is None:
            return tuple(self._all.get(entity, ()))
        return tuple(self._files.get(entity, {}).get(partition, ()))

    def open(self, path: str) -> Any:
        """Return a seekable Arrow file of those that were listed, added or made known; called in a worker thread."""
        local = self._store.local_path(path)
        if local is not None:
            return pa.OSFile(str(local), "rb")
        ranges = _StoreFile(self._store, path, self._bytes[path], self._loop)
        return pa.PythonFile(io.BufferedReader(ranges, READ_AHEAD_BYTES), mode="r")


def _partition(path: str) -> str | None:
    folder = Path(path).parent.name
    name, _, value = folder.partition("=")
    return value if name in ("day", "year_month") else None


class _StoreFile(io.RawIOBase):
    """A file of an object store, read by ranges on the event loop from any other thread (Arrow reads in threads of its own)."""

    def __init__(self, store: Store, path: str, size: int, loop: EventLoopToken | None) -> None:
        self._store = store
        self._path = path
        self._at = 0
        self._size = size
        self._loop = loop

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        data = anyio.from_thread.run(self._store.read_range, self._path, self._at, end, token=self._loop)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

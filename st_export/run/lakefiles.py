"""The committed files of one tenant's entities, as the version filter and the parents' search read them.

An entity's files are listed once a run, when it begins: what is there then is committed, as the sweep at the run's start has
removed the rest. Files of this run are added when they are committed. Reading happens in worker threads.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import pyarrow as pa

from st_export.commit import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from st_export.commit.store import Store
    from st_export.flow import DataFile

READ_AHEAD_BYTES = 1 << 20
"""What one request to an object store brings: footers and column chunks are smaller than this more often than not."""


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """A data file of the lake; `rows` is 0 where only a listing is known."""

    path: str
    rows: int = 0


class LakeFiles:
    """Implements the reader that `commit.versions` asks for, over the store of one tenant's lake."""

    def __init__(self, store: Store, tenant: int) -> None:
        self._store = store
        self._tenant = tenant
        self._files: dict[str, dict[str | None, list[CommittedFile]]] = {}
        self._all: dict[str, list[CommittedFile]] = {}

    async def load(self, entity: str) -> None:
        """List the entity's files, once."""
        if entity in self._all:
            return
        files: dict[str | None, list[CommittedFile]] = {}
        every: list[CommittedFile] = []
        folder = f"{paths.checked_name(entity)}/tenant_id={self._tenant}"
        async for entry in self._store.list(folder):
            if entry.path.endswith(".parquet"):
                file = CommittedFile(entry.path)
                files.setdefault(_partition(entry.path), []).append(file)
                every.append(file)
        self._files[entity], self._all[entity] = files, every

    def added(self, entity: str, files: Iterable[DataFile]) -> None:
        """Take files of this run that are now committed."""
        for file in files:
            committed = CommittedFile(file.path, file.rows)
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
        """Return a seekable Arrow file; called in a worker thread."""
        local = getattr(self._store, "local_path", None)
        if local is not None:
            return pa.OSFile(str(local(path)), "rb")
        return pa.PythonFile(io.BufferedReader(_StoreFile(self._store, path), READ_AHEAD_BYTES), mode="r")


def _partition(path: str) -> str | None:
    folder = Path(path).parent.name
    name, _, value = folder.partition("=")
    return value if name in ("day", "year_month") else None


class _StoreFile(io.RawIOBase):
    """A file of an object store, read by ranges from a worker thread of the event loop."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self._path = path
        self._at = 0
        self._size: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = (self._length() if base is None else base) + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = anyio.from_thread.run(self._store.read_range, self._path, self._at, self._at + len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _length(self) -> int:
        if self._size is None:
            self._size = anyio.from_thread.run(_size_of, self._store, self._path)
        return self._size


async def _size_of(store: Store, path: str) -> int:
    folder = path.rpartition("/")[0]
    async for entry in store.list(folder):
        if entry.path == path:
            return entry.bytes
    return 0

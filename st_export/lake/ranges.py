"""Where the lake lies, and one file of it read by ranges: a footer costs one request, whatever the store."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from st_export.commit.store import Store

SCHEME: Final = "lake"
TAIL_BYTES = 64 * 1024
"""Read at once at a file's end, so that the footer of most files costs one request."""


def local_folder(store: Store) -> Path | None:
    """Return the lake's folder where it is one on this machine, None for object stores."""
    if store.url.startswith("file://"):
        return Path(store.url.removeprefix("file://"))
    return None if "://" in store.url else Path(store.url)


def lake_url(store: Store) -> str:
    """Return what DuckDB's paths into the lake begin with."""
    folder = local_folder(store)
    return str(folder.absolute()) if folder is not None else f"{SCHEME}://lake"


class LakeFile(io.RawIOBase):
    """One file of a store, read by ranges; seekable, read-only."""

    def __init__(self, size: int, read_range: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self.size = size
        self._read_range = read_range
        self._position = 0
        self._tail: bytes | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in bytes and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, all to the end for -1."""
        end = self.size if size < 0 else min(self._position + size, self.size)
        data = self._bytes(self._position, end) if end > self._position else b""
        self._position += len(data)
        return data

    def _bytes(self, start: int, end: int) -> bytes:
        tail_start = max(self.size - TAIL_BYTES, 0)
        if start < tail_start:
            return self._read_range(start, end)
        if self._tail is None:
            self._tail = self._read_range(tail_start, self.size)
        return self._tail[start - tail_start : end - tail_start]


async def arrow_schema(store: Store, path: str, size: int | None = None) -> pa.Schema:
    """Return the Arrow schema of a Parquet file of the lake, reading its footer only."""
    if size is None:
        folder, _, _ = path.rpartition("/")
        sizes = {entry.path: entry.bytes async for entry in store.list(folder)}
        size = sizes[path]
    loop = anyio.lowlevel.current_token()

    def read_range(start: int, end: int) -> bytes:
        return anyio.from_thread.run(store.read_range, path, start, end, token=loop)

    return await anyio.to_thread.run_sync(lambda: pq.read_schema(LakeFile(size, read_range)))

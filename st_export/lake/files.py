"""The lake's files for DuckDB: a folder natively, every other store through byte ranges. DuckDB needs no extension and cannot write.

`LakeFiles` is a read-only file system (fsspec's interface, which DuckDB accepts) over the files that were listed beforehand. DuckDB
reads the footer and only the columns and row groups that a statement needs.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import duckdb
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from st_export.errors import StExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from st_export.commit.store import Store

SCHEME: Final = "lake"
FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
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


class LakeFiles(AbstractFileSystem):  # type: ignore[misc]
    """The listed files of a store as a file system that DuckDB can read: `lake://lake/<path>`.

    Made on the event loop that the store belongs to; read from DuckDB's threads, while that loop runs.
    """

    protocol = SCHEME
    cachable = False

    def __init__(self, store: Store, files: Mapping[str, int]) -> None:
        super().__init__()
        self._store = store
        self._files = files
        self._loop = anyio.lowlevel.current_token()
        self.failure: StExportError | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{SCHEME}://").removeprefix("lake/")

    def _open(self, path: str, mode: str = "rb", **_options: Any) -> LakeFile:
        if mode != "rb":
            raise PermissionError("the lake is read-only for SQL")
        name = self._strip_protocol(path)

        def read_range(start: int, end: int) -> bytes:
            try:
                return anyio.from_thread.run(self._store.read_range, name, start, end, token=self._loop)
            except StExportError as error:
                # DuckDB makes a text of it; whoever runs the statement wants the error itself.
                self.failure = error
                raise

        return LakeFile(self._files[name], read_range)

    def open(self, path: str, mode: str = "rb", **options: Any) -> LakeFile:
        """Open a listed file for reading; every other mode is refused."""
        return self._open(path, mode, **options)

    def glob(self, path: str, **_options: Any) -> list[str]:
        """Return the listed files that fit: `*` is any text within a name."""
        pattern = re.compile(_expression(self._strip_protocol(path)))
        return sorted(f"{SCHEME}://lake/{name}" for name in self._files if pattern.fullmatch(name))

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        """Return name and size of a listed file."""
        name = self._strip_protocol(path)
        if name not in self._files:
            raise FileNotFoundError(path)
        return {"name": name, "size": self._files[name], "type": "file"}

    def exists(self, path: str, **_options: Any) -> bool:
        """Return whether the file was listed."""
        return self._strip_protocol(path) in self._files

    def modified(self, path: str) -> Any:  # noqa: ARG002 - committed files never change, so one time fits all
        """Return a fixed time: DuckDB asks for it to see whether a file has changed under it."""
        return FIRST_MOMENT


def _expression(glob: str) -> str:
    """Return the regular expression of a glob whose only sign is `*`."""
    return re.escape(glob).replace(r"\*", "[^/]*")


def connection(spool: Path, *, memory_limit_mb: int | None = None, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB in memory that spills to the spool, in UTC, with nothing fetched from the network.

    Args:
        spool: a local folder for what does not fit into memory.
        memory_limit_mb: DuckDB's limit, default its own (80 % of the machine's memory).
        threads: default one a core.

    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(spool / "duckdb"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        # A name that is no view must not find a variable of this program.
        "python_enable_replacements": False,
    }
    if memory_limit_mb is not None:
        settings["memory_limit"] = f"{memory_limit_mb}MB"
    if threads is not None:
        settings["threads"] = threads
    database = duckdb.connect(":memory:", config=settings)
    database.execute("SET TimeZone = 'UTC'")
    return database


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

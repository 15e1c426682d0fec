"""The lake's files for DuckDB: a folder natively, every other store through byte ranges. DuckDB needs no extension and cannot write.

`LakeFiles` is a read-only file system (fsspec's interface, which DuckDB accepts) over the files that were listed beforehand. DuckDB
reads the footer and only the columns and row groups that a statement needs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import anyio.from_thread
import anyio.lowlevel
import duckdb
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from st_export.errors import StExportError
from st_export.lake.ranges import SCHEME, LakeFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from st_export.commit.store import Store

FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)


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

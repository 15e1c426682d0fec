"""The Store: the one small interface through which the whole lake is reached, and what every implementation promises.

Paths are relative to the lake, with `/` between their parts (`_st_export/checkpoint/1001.json`). Foreign exceptions never
pass: an implementation turns them into `StoreError` at its own border, with a hint. This module leaves out the
implementations (folder, object stores, memory): they are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from st_export.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NO_SPACE = "no space left in the output"
"""Stands in the message wherever the output is full, whatever the store calls it."""


class Missing(StoreError):
    """There is nothing at the path."""


class AlreadyExists(StoreError):
    """A conditional create found something at the path, and it was not ours."""


class Changed(StoreError):
    """A compare-and-swap found another content than the expected one, or none."""


class OutcomeUnknown(StoreError):
    """A write may or may not have happened: its answer was lost, and looking it up did not settle it."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file of a listing: its path in the lake and its size in bytes."""

    path: str
    bytes: int


class Store(Protocol):
    """A place for files, shared by readers and by runs on other machines.

    Promises of every method: a reader sees a file whole, in its old or its new content, or not at all; what a write has
    returned from survives a crash of process and machine; a write whose answer was lost is looked up before an error is
    raised; any failure is a `StoreError` that says what the user can do. Methods may be called from many tasks at once; memory
    is bounded whatever the size of a file put by `put_file`.
    """

    url: str
    """Where the lake is, as a person would write it; without secrets."""

    @property
    def spool(self) -> Path:
        """A local folder for this process's temporary files; made on first use, removed at exit, swept after a crash.

        For a folder it lies on the lake's own file system, so that `put_file` is a rename.
        """

    def local_path(self, path: str) -> Path | None:
        """Return where a file of the lake lies on this machine, for readers in threads; None where it does not."""

    async def read(self, path: str) -> bytes:
        """Return the whole content. Raises `Missing`."""

    async def read_tagged(self, path: str) -> tuple[bytes, str]:
        """Return the whole content and its tag, for `replace_if`. Raises `Missing`."""

    async def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`, fewer where the file ends before. Raises `Missing`."""

    async def exists(self, path: str) -> bool:
        """Return whether a file is at the path."""

    async def write(self, path: str, data: bytes) -> str:
        """Put the content there, whatever was there before, and return its tag."""

    async def create(self, path: str, data: bytes) -> str:
        """Put the content there if nothing is, and return its tag. Raises `AlreadyExists`, `OutcomeUnknown`.

        The content must be the writer's own (bear a run id, say): a lost answer is settled by comparing contents.
        """

    async def replace_if(self, path: str, data: bytes, expected_tag: str) -> str:
        """Replace the content if its tag is still the expected one, and return the new tag. Raises `Changed`, `OutcomeUnknown`.

        Equal contents may have equal tags: let each content differ from all before it (a generation, a counter).
        """

    async def put_file(self, path: str, local: Path) -> None:
        """Put a local file there, streamed, under its final name; on success the local file is gone.

        Raises `OutcomeUnknown` where it may be there or not; putting it again is then allowed.
        """

    async def delete(self, path: str) -> None:
        """Remove the file; no error where there is none."""

    def list(self, *folders: str) -> AsyncIterator[Entry]:
        """Yield every file below some folders (`""`: all), at any depth, in no order, temporary files left out."""

    async def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly below the folder `prefix`, sorted."""

    async def probe(self) -> None:
        """Create, refuse to create again, and delete a small file, to prove before any work that the store can be used."""


def checked_path(path: str) -> str:
    """Return the path if it stays inside the lake. Raises `ValueError` for an absolute one, `..`, empty parts, or control characters."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or any(ord(sign) < 32 for sign in path):
        raise ValueError(f"not a path inside the lake: {path!r}")
    return path

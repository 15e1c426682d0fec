"""What all tenants of a run share: the byte budgets and the threads. Nothing else is global to the process."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_thread

from st_export.commit.store import NO_SPACE
from st_export.errors import StoreError
from st_export.fetch.budget import PageBudget
from st_export.run.memory import FreedMemory
from st_export.write.budget import ByteBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PAGE_BYTES = 8 << 20
"""Bytes of pages fetched and not yet decoded, all tenants together."""

ROWS_BYTES = 24 << 20
"""Bytes of rows decoded and not yet written, all tenants together; beyond that units move to disk."""

ENOUGH_ROWS_BYTES = 12 << 20
"""Bytes of rows above which pages wait for the units that are being written."""

DECODE_THREADS = 2
"""Threads that decode at once: parsing holds the interpreter's lock, so that more only take turns, and each holds a piece of a page."""

WRITE_THREADS = 1
"""Threads that filter and write at once: each holds a slice in memory thrice. On two cores a second one takes 30 MB and saves no time."""


class Shared:
    """The budgets and thread limits of one run."""

    def __init__(self, decode_threads: int | None = None) -> None:
        self.page_budget = PageBudget(PAGE_BYTES)
        self.rows_budget = ByteBudget(ROWS_BYTES)
        self.freed_memory = FreedMemory()
        self._writing_units = 0
        self._freed = anyio.Event()
        self._decoding = anyio.CapacityLimiter(decode_threads or DECODE_THREADS)
        self._writing = anyio.CapacityLimiter(WRITE_THREADS)

    async def rows_room(self) -> None:
        """Wait while much is held and a unit is being written, which gives back what it holds: that is cheaper than the disk."""
        while self._writing_units and self.are_rows_many:
            await self._freed.wait()

    @property
    def are_rows_many(self) -> bool:
        """Whether so much is held that units should be written before they are large."""
        return self.rows_budget.used_bytes > ENOUGH_ROWS_BYTES

    @contextmanager
    def frees_rows(self) -> Iterator[None]:
        """Say that a unit is being written which gives its rows back as it is, and at its end that it has."""
        self._writing_units += 1
        try:
            yield
        finally:
            self._writing_units -= 1
            self._freed.set()
            self._freed = anyio.Event()

    async def run_decode(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Run decoding work in a thread. Raises `StoreError` where the disk does not take what it moves there."""
        try:
            return await anyio.to_thread.run_sync(work, *args, limiter=self._decoding)
        except OSError as error:
            raise _disk_error(error) from error

    async def run_write(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Run filtering and writing in a thread. Raises `StoreError` where a disk does not take or give what it should."""
        try:
            return await anyio.to_thread.run_sync(work, *args, limiter=self._writing)
        except OSError as error:
            raise _disk_error(error) from error


def _disk_error(error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space and run the same command again: it goes on from the last commit"
        return StoreError(f"{NO_SPACE}, or in the folder for temporary files", hint=hint)
    return StoreError(f"a file cannot be read or written: {error}", hint="check the output and the folder for temporary files")

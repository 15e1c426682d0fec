"""How this process takes memory from the system: one plain allocator, no huge pages, large blocks mapped, what is free given back.

Of 105 MB of heap half was free, but not given back, while 656 MB of JSON were read. Measured on five feeds with 66, 656 and 1,066 MB of
JSON, 2 cores: peak memory of each.

- what is free given back above 176 MB after each 8 MB of rows: 189, 204, 219 MB
- so, and Arrow's C++ parts (Parquet among them) with the same allocator, which the command line sees to: 188, 195, 197 MB. Before they kept
  up to 36 MB of their own that nobody gave back
- after each 16 MB of rows: 185, 192, 196 MB
- and 4 MB free at the top of the heap, 8 MB of pages: 175, 188 MB of the first two, though with pages made while they are read
- blocks from 512 KB on mapped: 10 MB less before that, but cutting unknown fields out of pages of a megabyte cost 20 % in place of 9: each
  copy of a page is then paid in page faults

On other machines before: huge pages, which NumPy asks for, 379 MB in place of 305; jemalloc 100 MB more; mimalloc for everything 217, 297.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys
from pathlib import Path

import pyarrow as pa

ARENAS = 2
TRIM_BYTES = 4 << 20
"""Free memory at the top of the heap above this goes back to the system."""

ENOUGH_BYTES = 176 << 20
"""What the process may hold before what is free is given back."""

FREED_BYTES = 16 << 20
"""Bytes of rows of units that were written until it is given back once more: it has to be taken anew, which costs page faults."""

MMAP_BYTES = 2 << 20
"""Blocks from this size on, pages of the API among them, are mapped one by one, and go back when they are freed."""

GC_THRESHOLDS = (50_000, 20, 50)
"""Objects until a collection, collections until an older generation: pages make many that die at once, and a full collection every
few seconds holds back what is due at the wire for up to a quarter of a second. Each request leaves 75 objects in a cycle, of the retries:
they come to 4 MB. With 10,000 it was 3 MB less, and one refusal came in six runs of five tenants, none in four with 50,000."""

_PR_SET_THP_DISABLE = 41
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def settle_allocators() -> None:
    """Set the allocators and the collector of this process; call it before any work. Does nothing to malloc where it is not glibc's."""
    pa.set_memory_pool(pa.system_memory_pool())
    gc.set_threshold(*GC_THRESHOLDS)
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)  # a huge page of which a few bytes live goes back whole or not at all
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_ARENA_MAX, ARENAS), (_M_TRIM_THRESHOLD, TRIM_BYTES), (_M_MMAP_THRESHOLD, MMAP_BYTES)):
            mallopt(option, value)


class FreedMemory:
    """Gives freed memory in the midst of the heap back to the system, where units that were written have freed much."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, size: int) -> None:
        """Say that a unit of so many bytes of rows has been written. Threads may call it side by side: a lost sum only comes later."""
        self._bytes += size
        if self._bytes >= FREED_BYTES and resident_bytes() > ENOUGH_BYTES:
            self._bytes = 0
            pa.default_memory_pool().release_unused()


def resident_bytes() -> int:
    """Return the bytes of memory that the process holds now, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return 0
    return pages * mmap.PAGESIZE

"""How this process takes memory from the system: one plain allocator, two arenas, no huge pages, and back to the system when it is much.

Measured on five feeds (1.07 GB of JSON, 2 cores), peak memory and wall seconds. Giving back what is free after every unit: 256 MB and
12.3 s; never: 295 MB and 11.6 s; never, but with the rows that wait in one block a batch (`write.batches`): 288 MB and 11.5 s; so with
two arenas in place of four: 265 MB and 11.5 s (three: 282 MB); so, and giving back above 240 MB: 248 MB and 11.6 s; above 225 MB:
260 MB and 12.8 s, as what is in use comes near it. On another machine before: with huge pages, which NumPy asks for, 379 MB in place of
305; with jemalloc 100 MB more.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys
from pathlib import Path

import pyarrow as pa

ARENAS = 2
TRIM_BYTES = 32 << 20
"""Free memory at the top of the heap above this goes back to the system."""

ENOUGH_BYTES = 230 << 20
"""What the process may hold before a unit that was written gives back what is free: what is given back has to be taken anew."""

MMAP_BYTES = 2 << 20
"""Blocks from this size on, pages of the API among them, are mapped one by one, and go back when they are freed."""

GC_THRESHOLDS = (50_000, 20, 50)
"""Objects until a collection, collections until an older generation: pages make many that die at once, and a full collection every
few seconds holds back what is due at the wire for up to a quarter of a second."""

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


def give_back_memory() -> None:
    """Give freed memory in the midst of the heap back to the system: the writing of a unit frees much at once."""
    if resident_bytes() > ENOUGH_BYTES:
        pa.default_memory_pool().release_unused()


def resident_bytes() -> int:
    """Return the bytes of memory that the process holds now, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return 0
    return pages * mmap.PAGESIZE

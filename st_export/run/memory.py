"""How this process takes memory from the system: one plain allocator, few arenas, freed pages given back, no huge pages.

Measured on five feeds (164 MB of JSON, then 1.07 GB; 2 cores), peak memory and wall seconds: with huge pages, which NumPy asks for,
300 MB and 2.7 s, 379 MB and 14.4 s; without them 263 MB and 2.7 s; blocks of 1 MB and more mapped, too: 244 MB and 2.7 s, 305 MB and
14.6 s; with 256 KB 237 MB and 2.8 s, 328 MB and 15.9 s. Two or three arenas in place of four: 318 MB, 15.5 s, as threads wait for each
other. jemalloc: 345 MB and 2.7 s. A trim after each unit, and the budgets of `shared` made smaller: 244 MB, 290 MB and 14.7 s.
"""

from __future__ import annotations

import ctypes
import gc
import sys

import pyarrow as pa

ARENAS = 4
TRIM_BYTES = 4 << 20
"""Free memory at the top of the heap above this goes back to the system."""

MMAP_BYTES = 1 << 20
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
    pa.default_memory_pool().release_unused()

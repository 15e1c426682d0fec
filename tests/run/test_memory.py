"""Memory of the process: what lies free in the midst of the heap goes back to the system."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how other systems' allocators keep memory is theirs")
def test_gaps_in_the_heap_are_given_back_once_units_have_freed_enough() -> None:
    code = """
        from st_export.run.memory import FREED_BYTES, FreedMemory, resident_bytes, settle_allocators

        settle_allocators()
        blocks = [b"x" * 100_000 for _ in range(4000)]
        last = blocks.pop()
        full = resident_bytes()
        del blocks
        freed = FreedMemory()
        freed.add(FREED_BYTES - 1)
        waiting = resident_bytes()
        freed.add(1)
        print(full >> 20, waiting >> 20, resident_bytes() >> 20, len(last))
    """
    told = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True, timeout=60)
    full, waiting, after, _ = map(int, told.stdout.split())
    assert full > 380
    assert waiting > full - 10
    assert after < full - 300

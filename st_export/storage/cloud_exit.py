"""The end of a process that used obstore: its threads are let finish before the interpreter goes.

obstore hands results over from threads of its own. One that is still inside Python when the interpreter is torn down aborts the process,
after all its work is done and with SIGABRT in place of the exit code. This module leaves out all use of obstore.
Source: https://github.com/PyO3/pyo3-async-runtimes/issues/40.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from functools import lru_cache

LONGEST_SECONDS = 1.0
LOOK_SECONDS = 0.001
QUIET_LOOKS = 3
"""How many looks in a row must find nobody: a thread may be on its way in."""


@lru_cache(maxsize=1)
def wait_at_exit() -> None:
    """Register the wait, once a process."""
    atexit.register(wait_for_foreign_threads)


def wait_for_foreign_threads() -> bool:
    """Wait until no thread that Python did not start is inside Python; False where one stays longer than `LONGEST_SECONDS`."""
    deadline = time.monotonic() + LONGEST_SECONDS
    quiet = 0
    while quiet < QUIET_LOOKS:
        if time.monotonic() > deadline:
            return False
        quiet = 0 if _foreign() else quiet + 1
        time.sleep(LOOK_SECONDS)
    return True


def _foreign() -> set[int]:
    own = {thread.ident for thread in threading.enumerate() if not thread.name.startswith("Dummy-")}
    return {ident for ident in sys._current_frames() if ident not in own}  # noqa: SLF001 -- documented, despite its name

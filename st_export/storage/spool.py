"""A folder for the temporary files of one process, that says by itself whether its process still lives.

Each process has a folder of its own below a shared parent and holds a lock (`flock`) on a file in it: the kernel frees it however the
process ends, so the next start can tell what a dead one left from what a living neighbour needs. This module leaves
out what the files are for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
import threading
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ALIVE = ".alive"
_GUARD = ".guard"


class Spool:
    """One process's folder below `parent`, made on first use; `OSError` passes to the store that asks.

    `private`: the parent lies where other users may write, so nobody else may enter it, and another user's is refused.
    """

    def __init__(self, parent: Path, *, private: bool = False) -> None:
        self._parent = parent
        self._private = private
        self._folder: Path | None = None
        self._making = threading.Lock()

    def folder(self) -> Path:
        """Return the folder. The first call makes it and removes those that dead processes left. Blocking."""
        with self._making:
            if self._folder is None or not self._folder.exists():
                self._folder = self._make()
            return self._folder

    def temporary(self) -> Path:
        """Return a path in the folder that nobody else uses. Blocking."""
        return self.folder() / secrets.token_hex(8)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Hold the parent's guard: one holder at a time over all threads and processes that share the folder. Blocking.

        Not to be entered twice by one thread: have a temporary file ready before.
        """
        self._parent.mkdir(mode=0o700 if self._private else 0o777, parents=True, exist_ok=True)
        if self._private:
            self._require_ours()
        guard = os.open(self._parent / _GUARD, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)

    def _require_ours(self) -> None:
        found = self._parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "the temporary folder belongs to somebody else", str(self._parent))
        if stat.S_IMODE(found.st_mode) != 0o700:
            self._parent.chmod(0o700)

    def _make(self) -> Path:
        with self.guarded():
            for neighbour in self._parent.iterdir():
                if neighbour.is_dir() and _is_dead(neighbour):
                    shutil.rmtree(neighbour, ignore_errors=True)
            folder = self._parent / f"{os.getpid()}-{secrets.token_hex(4)}"
            folder.mkdir()
            alive = os.open(folder / _ALIVE, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(alive, fcntl.LOCK_EX)
        weakref.finalize(self, _remove, folder, alive, os.getpid())
        return folder


def _is_dead(folder: Path) -> bool:
    try:
        alive = os.open(folder / _ALIVE, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(alive)
    return True


def _remove(folder: Path, alive: int, owner: int) -> None:
    if os.getpid() != owner:  # a forked child shares the folder, which is not its own to remove
        return
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.close(alive)

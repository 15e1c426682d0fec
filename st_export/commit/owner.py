"""Who holds a lock, and whether that process of this very host is surely gone.

A number of a process says something only where processes are counted: on the same boot of the same kernel, in the same process
namespace (two containers each have a process 1). Its start tells a number that was given again. Where any of that is not known or not ours,
the answer is no. Blocking, a few small reads.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: host, boot of its kernel, process namespace, number, and start in clock ticks since the boot."""

    host: str
    boot: str
    space: str | None
    pid: int
    started: str | None


def this_process() -> Owner:
    """Return this process as an owner."""
    pid = os.getpid()
    return Owner(host=socket.gethostname(), boot=_boot(), space=_space(), pid=pid, started=_state_and_start(pid)[1])


def is_gone(owner: Owner) -> bool:
    """Return whether the owner was a process of this host that is surely dead: gone, a zombie, or its number given again."""
    if (owner.host, owner.boot, owner.space) != (socket.gethostname(), _boot(), _space()):
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, as another user's
    state, started = _state_and_start(owner.pid)
    return state in ("Z", "X") or (started is not None and owner.started is not None and started != owner.started)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"node-{uuid.getnode():012x}"  # no Linux: the machine's network card stands for it


def _space() -> str | None:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None


def _state_and_start(pid: int) -> tuple[str | None, str | None]:
    """Return the state's letter and the start of a process. Source: proc(5), the fields after the name in parentheses."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None, None
    return fields[0], fields[19]

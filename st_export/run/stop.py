"""Ending a run before its end: by the clock (`--stop-after`, everything under way is committed) or by a signal (nothing is)."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

LAST_RESORT_SECONDS = 9.0
"""A run that was told to stop by a signal is gone after 10 s, whatever its threads still do."""


class Stop:
    """Whether and why the run is to end."""

    def __init__(self) -> None:
        self.after_elapsed = False
        self.signal: signal.Signals | None = None

    @property
    def requested(self) -> bool:
        """Whether readers should commit what they have and begin nothing new."""
        return self.after_elapsed or self.signal is not None

    @property
    def exit_code(self) -> int | None:
        """The exit code that a signal gives, None without one."""
        return None if self.signal is None else 128 + self.signal

    async def watch_time(self, seconds: float) -> None:
        """Ask for the end after so many seconds."""
        await anyio.sleep(seconds)
        self.after_elapsed = True

    async def watch_signals(self, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
        """Cancel `scope` at the first SIGINT or SIGTERM."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                self.signal = signal.Signals(number)
                last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, [128 + number])
                last_resort.daemon = True
                last_resort.start()
                scope.cancel()
                return

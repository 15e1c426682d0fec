"""Commits behind the reading: while a unit is written and committed, the next one is filled, and no more than that.

A commit waits for the one before, so that positions move in order, and so does the reader who has the next unit ready: that
is what keeps the memory of an entity to two units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup, TaskStatus

    from st_export.flow import Position
    from st_export.run.unit import OpenUnit


class CommitsBehind:
    """The commits of one reader, in tasks of a group: leaving the group waits for the last one, and raises what a commit raised."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._ended: anyio.Event | None = None

    async def commit(self, unit: OpenUnit, move: Callable[[Position], Position]) -> None:
        """Begin to commit a unit once the one before is committed; the unit is the task's from here on."""
        try:
            await self.settled()
            await self._tasks.start(self._commit, unit, move)
        except BaseException:
            unit.discard()
            raise

    async def settled(self) -> None:
        """Wait until what was begun is committed."""
        if self._ended is not None:
            await self._ended.wait()

    async def _commit(self, unit: OpenUnit, move: Callable[[Position], Position], *, task_status: TaskStatus[None]) -> None:
        self._ended = anyio.Event()
        try:
            task_status.started()
            await unit.commit(move)
        finally:
            unit.discard()
            self._ended.set()

"""Task groups that raise the one error that matters, not a group of one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

T = TypeVar("T")


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group that is no group itself, in the order in which the tasks were started."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Like `anyio.create_task_group`, but an error of a task comes out bare: the other tasks have been cancelled because of it."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


async def side_by_side(works: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Do several things at once and return their results in the order of the works; the first error cancels the others."""
    if len(works) == 1:
        return [await works[0]()]
    results: dict[int, T] = {}

    async def do(place: int, work: Callable[[], Awaitable[T]]) -> None:
        results[place] = await work()

    async with task_group() as group:
        for place, work in enumerate(works):
            group.start_soon(do, place, work)
    return [results[place] for place in range(len(works))]

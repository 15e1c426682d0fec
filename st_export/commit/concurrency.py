"""Two ways to run store calls: many at once within a limit, and one to its end although the caller is cancelled.

Both raise the failure itself, not a group of one: callers act on the class of an error. This module leaves out what is run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

T = TypeVar("T")

GRACE_SECONDS = 5.0
"""How long a step that must not be torn may go on after a cancellation: half of the ten seconds that a stop may take."""


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do the work for each item, at most `at_once` side by side; the first failure stops the others and is raised."""
    limit = anyio.Semaphore(at_once)

    async def limited(item: T) -> None:
        try:
            await work(item)
        finally:
            limit.release()

    try:
        async with anyio.create_task_group() as tasks:
            for item in items:
                await limit.acquire()
                tasks.start_soon(limited, item)
    except BaseExceptionGroup as failures:
        failure = first_of(failures)
        raise failure from failure.__cause__


async def to_the_end(work: Callable[[], Awaitable[T]], *, grace_seconds: float = GRACE_SECONDS) -> T:
    """Return the work's result; a cancellation of the caller reaches the work only after `grace_seconds`, then passes on.

    Where the caller is cancelled already the work does not begin.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    results: list[T] = []
    try:
        async with anyio.create_task_group() as tasks:
            shielded = anyio.CancelScope(shield=True)
            tasks.start_soon(_limit_when_cancelled, shielded, grace_seconds)
            with shielded:
                results.append(await work())
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as failures:
        failure = first_of(failures)
        raise failure from failure.__cause__
    await anyio.lowlevel.checkpoint_if_cancelled()
    return results[0]


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first failure of a group, and of the groups in it; its own cause stays."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _limit_when_cancelled(shielded: anyio.CancelScope, grace_seconds: float) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        shielded.deadline = anyio.current_time() + grace_seconds

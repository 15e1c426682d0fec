"""Pages from a walker to whoever takes them: the next page is fetched while the last one is decoded, and no further ahead.

The bytes of every page go back to the budget, whatever happens to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from st_export.errors import StExportError
from st_export.run.groups import task_group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from st_export.fetch.source import Emit, Source
    from st_export.flow import Page

PAGES_AHEAD = 1
"""Pages that wait decoded-to-be between a walker and its taker; their bytes count in the budget."""


async def pump(source: Source, walk: Callable[[Emit], Awaitable[None]], take: Callable[[Page], Awaitable[bool]]) -> None:
    """Run `walk` and hand each of its pages to `take`, in order; `take` returns False to end the walk early.

    Where the walk fails, what it had handed on is taken first.

    Raises:
        StExportError: what the walk or the taker raised; the walk is cancelled when the taker fails.

    """
    failure: StExportError | None = None
    inlet, outlet = anyio.create_memory_object_stream["Page"](PAGES_AHEAD)

    async def emit(page: Page) -> None:
        try:
            await inlet.send(page)
        except BaseException:
            source.release(page)
            raise

    async def feed() -> None:
        nonlocal failure
        async with inlet:
            try:
                await walk(emit)
            except StExportError as error:
                failure = error

    try:
        async with task_group() as group:
            group.start_soon(feed)
            async for page in outlet:
                try:
                    wants_more = await take(page)
                finally:
                    source.release(page)
                if not wants_more:
                    group.cancel_scope.cancel()
                    break
    finally:
        await _drain(source, outlet)
    if failure is not None:
        raise failure


async def _drain(source: Source, outlet: anyio.abc.ObjectReceiveStream[Page]) -> None:
    with anyio.CancelScope(shield=True):
        while True:
            try:
                page = outlet.receive_nowait()  # type: ignore[attr-defined]
            except (anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
                break
            source.release(page)
        await outlet.aclose()

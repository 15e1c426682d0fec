"""The body of a page's answer: room for it first, then its bytes, then what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from st_export.fetch.body import BodyUnreadable, chunks_of, content_of, plain_bytes
from st_export.fetch.retry import CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from st_export.fetch.attempt import Attempt
    from st_export.fetch.budget import Room

T = TypeVar("T")

INLINE_BYTES = 32 << 10
"""Bodies up to this size on the wire are inflated and checked on the loop: a thread hop would cost more."""


async def read_page(
    response: aiohttp.ClientResponse,
    attempt: Attempt,
    *,
    accept: Callable[[bytes], T],
    unreadable: tuple[type[Exception], ...],
    room: Room | None,
) -> tuple[T, bytes]:
    """Return what `accept` makes of a body, and the body in plain UTF-8; the arguments are those of `Client.send`.

    Raises:
        CallFailed: the connection broke, or the body is not what was asked for; its room has been given back.

    """
    try:
        if room is not None:
            with attempt.waiting():
                await room.take(wire_bytes=response.content_length, is_plain=_encoding(response) in ("", "identity"))
        return await _accepted(response, attempt, accept, unreadable)
    except BaseException:
        if room is not None:
            room.settle(0)
        raise


async def _accepted(
    response: aiohttp.ClientResponse, attempt: Attempt, accept: Callable[[bytes], T], unreadable: tuple[type[Exception], ...]
) -> tuple[T, bytes]:
    cap_bytes, encoding, charset = attempt.options.page_bytes, _encoding(response), response.charset
    try:
        async for chunk in chunks_of(response, cap_bytes=cap_bytes, progress=attempt.progressed):
            attempt.received.append(chunk)
    except BodyUnreadable as error:
        raise CallFailed("unreadable", str(error)) from error
    attempt.received_all()
    wire = content_of(response.status, b"".join(attempt.received))
    attempt.received.clear()

    misfits: tuple[type[Exception], ...] = (BodyUnreadable, *unreadable)

    def work() -> tuple[T, bytes]:
        body = wire
        try:
            body = plain_bytes(wire, encoding=encoding, charset=charset, cap_bytes=cap_bytes)
            return accept(body), body
        except misfits as error:
            raise CallFailed("unreadable", f"the body is not what was asked for: {error}", body=body) from error

    if len(wire) <= INLINE_BYTES:
        return work()
    return await anyio.to_thread.run_sync(work, limiter=attempt.options.threads)


def _encoding(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower()

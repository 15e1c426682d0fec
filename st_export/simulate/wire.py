"""Sends answers, well or badly: gzip, the clock's `Date`, and the faults that strike while a body is under way."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import anyio.to_thread
from aiohttp import web

from st_export.simulate.answers import Answer, gzip_bytes

if TYPE_CHECKING:
    from st_export.simulate.options import Fault
    from st_export.simulate.simulation import Simulation

_PACK_FROM_BYTES = 1_000
_PACK_IN_THREAD_FROM_BYTES = 200_000
_GATEWAY_BYTES = 1_000_000
_SLOW_SECONDS = 2.0
_SLOW_PIECES = 20
_STALL_SECONDS = 3_600.0


async def reset(request: web.BaseRequest) -> web.StreamResponse:
    """Break the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def stall(request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
    """Say nothing for long, then break the connection."""
    await asyncio.sleep(fault.seconds if fault.seconds is not None else _STALL_SECONDS)
    return await reset(request)


async def send(simulation: Simulation, request: web.BaseRequest, answer: Answer, struck: dict[str, Fault]) -> web.StreamResponse:
    """Send an answer; return the response and leave its body in it, or send it piece by piece where a fault wants so."""
    headers = {**answer.headers, "Date": simulation.clock.date_header()}
    if answer.content_type is not None:
        headers["Content-Type"] = answer.content_type
    body, answer_headers = await _body(simulation, request, answer, struck)
    headers.update(answer_headers)
    if "no-content-type" in struck:
        headers["Content-Type"] = ""
    if "wrong-content-type" in struck:
        headers["Content-Type"] = "text/plain"
    if "wrong-charset" in struck:
        headers["Content-Type"] = "application/json; charset=utf-16"
    if "reset-in-body" in struck:
        return await _broken(request, answer.status, headers, body, struck["reset-in-body"].size)
    if "slow-body" in struck:
        return await _slow(request, answer.status, headers, body, struck["slow-body"].seconds)
    return web.Response(status=answer.status, body=body, headers=headers)


async def _body(simulation: Simulation, request: web.BaseRequest, answer: Answer, struck: dict[str, Fault]) -> tuple[bytes, dict[str, str]]:
    """Return the bytes to send and the headers that go with them."""
    body = answer.body
    if "bom" in struck:
        body = b"\xef\xbb\xbf" + body
    if "cut" in struck:
        body = body[: len(body) // 2]
    if "gateway-cut" in struck:
        body = body[: struck["gateway-cut"].size or _GATEWAY_BYTES]
    if "mislabelled-gzip" in struck:
        return body, {"Content-Encoding": "gzip"}
    if "unlabelled-gzip" in struck:
        return gzip_bytes(body), {}
    if "gzip-members" in struck:
        third = max(1, len(body) // 3)
        members = [gzip_bytes(body[start : start + third]) for start in range(0, len(body), third)]
        return b"".join(members), {"Content-Encoding": "gzip"}
    accepts = "gzip" in request.headers.get("Accept-Encoding", "")
    if not (simulation.options.gzip and accepts and len(body) >= _PACK_FROM_BYTES):
        return body, {}
    if body is not answer.body:
        return gzip_bytes(body), {"Content-Encoding": "gzip"}
    if answer.packed is None and len(body) >= _PACK_IN_THREAD_FROM_BYTES:
        await anyio.to_thread.run_sync(answer.gzipped)
    return answer.gzipped(), {"Content-Encoding": "gzip"}


async def _broken(request: web.BaseRequest, status: int, headers: dict[str, str], body: bytes, size: int | None) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: size if size is not None else len(body) // 2])
    await asyncio.sleep(0.01)  # lets the half body reach the client before the connection breaks
    if request.transport is not None:
        request.transport.abort()
    return response


async def _slow(request: web.BaseRequest, status: int, headers: dict[str, str], body: bytes, seconds: float | None) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    piece = max(1, -(-len(body) // _SLOW_PIECES))
    with contextlib.suppress(ConnectionResetError):  # a client that has gone does not wait for the rest
        for start in range(0, len(body), piece):
            await response.write(body[start : start + piece])
            await asyncio.sleep((_SLOW_SECONDS if seconds is None else seconds) / _SLOW_PIECES)
        await response.write_eof()
    return response

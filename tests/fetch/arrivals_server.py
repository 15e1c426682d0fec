"""Run as a process of its own: a service with a limit per rolling second that records when requests arrive (its argument: the limit)."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import deque

from aiohttp import web

LIMIT = int(sys.argv[1])
arrivals: list[float] = []
recent: deque[float] = deque()
refused: list[float] = []


async def token(_: web.Request) -> web.Response:
    return web.json_response({"access_token": "t", "expires_in": 900})


async def page(_: web.Request) -> web.Response:
    now = time.monotonic()
    arrivals.append(now)
    recent.append(now)
    while recent[0] <= now - 1:
        recent.popleft()
    if len(recent) > LIMIT:
        refused.append(now)
        return web.json_response({"title": "Rate limit is exceeded. Try again in 1 seconds."}, status=429)
    await asyncio.sleep(random.uniform(0.1, 0.3))
    return web.json_response({"hasMore": False, "data": []})


async def arrived(_: web.Request) -> web.Response:
    return web.json_response({"arrivals": arrivals, "refused": refused})


async def main() -> None:
    app = web.Application()
    app.router.add_post("/connect/token", token)
    app.router.add_get("/arrived", arrived)
    app.router.add_get("/{tail:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())

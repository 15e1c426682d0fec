"""A server that speaks as much of S3 as an upload needs, and throws the bytes away: whoever uploads to it is the bottleneck.

python -m benchmarks.s3_sink      prints its port and serves until it is stopped
"""

from __future__ import annotations

import asyncio
import itertools

from aiohttp import web

_uploads = itertools.count(1)


async def answer(request: web.Request) -> web.Response:
    """Answer a put, a part, or the begin and the end of an upload in parts."""
    async for _ in request.content.iter_any():
        pass
    if request.method == "PUT":
        return web.Response(headers={"ETag": '"0"'})
    name = request.path.rpartition("/")[2]
    if "uploads" in request.query:
        body = f"<Bucket>sink</Bucket><Key>{name}</Key><UploadId>{next(_uploads)}</UploadId>"
        return _xml("InitiateMultipartUploadResult", body)
    return _xml("CompleteMultipartUploadResult", f'<Key>{name}</Key><ETag>"0"</ETag>')


def _xml(root: str, body: str) -> web.Response:
    return web.Response(text=f'<?xml version="1.0"?><{root}>{body}</{root}>', content_type="application/xml")


async def serve() -> None:
    """Serve on a port of loopback."""
    application = web.Application(client_max_size=1 << 40)
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())

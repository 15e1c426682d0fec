"""An S3 server on loopback for tests, and a relay before it that can lose answers."""

from __future__ import annotations

import logging
import urllib.request
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BUCKET = "lake"


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's S3 server with an empty bucket `lake`; yields its endpoint."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        endpoint = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")):
            yield endpoint
    finally:
        server.stop()


def s3_options(endpoint: str) -> dict[str, object]:
    return {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "key", "secret_access_key": "secret"}


class Relay:
    """A TCP relay to the S3 server.

    While `lose` is above 0, the answer to a request that contains `on` is dropped with its connection. A request that contains `hold`
    reaches the server half a second late, even where its client has gone by then.
    """

    def __init__(self, target: str) -> None:
        self._port = int(target.rpartition(":")[2])
        self.lose = 0
        self.on = b"PUT "
        self.lost = 0
        self.hold = b""
        self.endpoint = ""

    async def serve(self, listener: anyio.abc.Listener[anyio.abc.SocketStream]) -> None:
        await listener.serve(self._relay)

    async def _relay(self, client: anyio.abc.SocketStream) -> None:
        async with client, await anyio.connect_tcp("127.0.0.1", self._port) as server, anyio.create_task_group() as tasks:
            asked = bytearray()

            async def upstream() -> None:
                async for data in client:
                    asked.extend(data)
                    with anyio.CancelScope(shield=bool(self.hold) and self.hold in bytes(asked)) as held:
                        if held.shield:
                            await anyio.sleep(0.5)
                        await server.send(data)

            tasks.start_soon(upstream)
            try:
                async for data in server:
                    if self.lose and self.on in bytes(asked) and not data.startswith(b"HTTP/1.1 100"):
                        self.lose -= 1
                        self.lost += 1
                        break
                    asked.clear()
                    await client.send(data)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def relayed(target: str) -> AsyncIterator[Relay]:
    relay = Relay(target)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    relay.endpoint = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(relay.serve, listener)
        yield relay
        tasks.cancel_scope.cancel()
    await listener.aclose()

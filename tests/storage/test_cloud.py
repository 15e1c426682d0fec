"""What an object store does when answers are lost, and what it says when it cannot be used."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from st_export.commit.store import AlreadyExists, Changed, Store
from st_export.errors import StoreError
from st_export.storage.cloud_errors import translated
from st_export.storage.open import open_store
from tests.storage.servers import BUCKET, Relay, relayed, s3_options, s3_server
from tests.storage.suite import spooled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
async def relay(endpoint: str) -> AsyncIterator[Relay]:
    async with relayed(endpoint) as relay:
        yield relay


@pytest.fixture
def store(relay: Relay, tmp_path: Path) -> Store:
    return open_store(f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_options(relay.endpoint), tmp_path)


async def test_a_create_whose_answer_is_lost_is_known_as_ours(store: Store, relay: Relay) -> None:
    relay.lose = 1
    tag = await store.create("lock", b"mine")
    assert (relay.lost, await store.read_tagged("lock")) == (1, (b"mine", tag))


async def test_a_create_that_others_won_is_refused_also_after_a_lost_answer(store: Store, relay: Relay) -> None:
    await store.write("lock", b"theirs")
    relay.lose = 1
    with pytest.raises(AlreadyExists):
        await store.create("lock", b"mine")
    assert (relay.lost, await store.read("lock")) == (1, b"theirs")


async def test_a_replacement_whose_answer_is_lost_is_known_as_ours(store: Store, relay: Relay) -> None:
    tag = await store.create("lock", b"1")
    relay.lose = 1
    second = await store.replace_if("lock", b"2", tag)
    assert (relay.lost, await store.read_tagged("lock")) == (1, (b"2", second))


async def test_a_replacement_that_others_won_is_refused_also_after_a_lost_answer(store: Store, relay: Relay) -> None:
    tag = await store.create("lock", b"1")
    await store.write("lock", b"theirs")
    relay.lose = 1
    with pytest.raises(Changed):
        await store.replace_if("lock", b"2", tag)
    assert (relay.lost, await store.read("lock")) == (1, b"theirs")


@pytest.mark.parametrize(("size", "on"), [(100, b"PUT "), (12_000_000, b"uploadId=")])
async def test_a_file_whose_answer_is_lost_is_there_once(store: Store, relay: Relay, size: int, on: bytes) -> None:
    local = spooled(store, b"x" * size)
    relay.lose, relay.on = 1, on
    await store.put_file("file", local)
    assert (relay.lost, len(await store.read("file")), local.exists()) == (1, size, False)


async def test_the_end_of_an_upload_that_is_lost_is_looked_up(store: Store, relay: Relay) -> None:
    local = spooled(store, b"y" * 12_000_000)
    relay.lose, relay.on = 1, b"<CompleteMultipartUpload"
    await store.put_file("file", local)
    assert (relay.lost, len(await store.read("file")), local.exists()) == (1, 12_000_000, False)


async def test_a_missing_bucket_is_named(endpoint: str, tmp_path: Path) -> None:
    store = open_store("s3://nowhere/lake", s3_options(endpoint), tmp_path)
    for call in (store.exists("a"), store.read("a"), store.write("a", b""), store.create("a", b""), store.delete("a"), store.probe()):
        with pytest.raises(StoreError, match="there is no such bucket") as caught:
            await call
        assert caught.value.hint == "create it, or correct output.url"
    with pytest.raises(StoreError, match="there is no such bucket"):
        assert [entry async for entry in store.list("")]


async def test_an_unreachable_host_shows_within_seconds(tmp_path: Path) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    await listener.aclose()
    store = open_store("s3://lake/x", s3_options(f"http://127.0.0.1:{port}"), tmp_path)
    with anyio.fail_after(30), pytest.raises(StoreError, match="cannot be reached"):
        await store.exists("a")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("status code: 403 Forbidden: <Error><Code>AccessDenied</Code>", "permission denied"),
        ("status code: 403 Forbidden: <Error><Code>InvalidAccessKeyId</Code>", "refuses the credentials"),
        ("status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>", "refuses the credentials"),
        ("status code: 400 Bad Request: <Error><Code>ExpiredToken</Code>", "have expired"),
        ("status code: 400 Bad Request: <Error><Code>AuthorizationHeaderMalformed</Code>", "another region"),
        ("status code: 301 Moved Permanently: <Error><Code>PermanentRedirect</Code>", "another region"),
        ("Error performing PUT http://169.254.169.254/latest/api/token", "no credentials"),
        ("status code: 507 Insufficient Storage: XMinioStorageFull", "no space left"),
        ("status code: 501 Not Implemented", "lacks an operation"),
        ("status code: 404 Not Found: <Error><Code>ContainerNotFound</Code>", "no such bucket"),
        ("HTTP error: error sending request\nsource: invalid peer certificate: UnknownIssuer", "certificate is not trusted"),
        ("HTTP error: error sending request\nsource: dns error", "host is not known"),
        ("status code: 500 Internal Server Error", "the object store failed"),
    ],
)
async def test_every_failure_has_a_word_and_a_hint(error: str, text: str) -> None:
    ours = translated(ValueError(error), "s3://lake/x")
    assert text in ours.message
    assert ours.hint


async def test_a_signed_url_is_not_shown() -> None:
    error = ValueError("Error performing GET https://a.blob.core.windows.net/c/x?sv=2026&sig=SECRET%2F in 3ms - failed\nDebug: sig=SECRET")
    assert "SECRET" not in str(translated(error, "az://c/x"))


PROXIED = """
import sys, pathlib, anyio
from st_export.storage.open import open_store
options = {"endpoint": "http://s3.example.invalid", "allow_http": True, "access_key_id": "k", "secret_access_key": "s"}
store = open_store("s3://lake/proxied", options, pathlib.Path("."))
anyio.run(store.write, "a", b"through the proxy")
"""


async def test_the_proxy_of_the_environment_is_used(endpoint: str, tmp_path: Path) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    asked: list[bytes] = []

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client, await anyio.connect_tcp("127.0.0.1", int(endpoint.rpartition(":")[2])) as server:
            head = await client.receive()
            asked.append(head.partition(b"\r\n")[0])
            # the server behind takes an unknown host name for a bucket's
            await server.send(head.replace(b"http://s3.example.invalid", b"", 1).replace(b"s3.example.invalid", b"127.0.0.1"))
            await client.send(await server.receive())

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        environment = {"HTTP_PROXY": proxy, "http_proxy": proxy, "PATH": ""}
        done = await anyio.run_process([sys.executable, "-c", PROXIED], cwd=ROOT, env=environment, check=False, stderr=subprocess.PIPE)
        tasks.cancel_scope.cancel()
    assert (done.returncode, asked) == (0, [b"PUT http://s3.example.invalid/lake/proxied/a HTTP/1.1"]), done.stderr
    assert await open_store("s3://lake/proxied", s3_options(endpoint), tmp_path).read("a") == b"through the proxy"

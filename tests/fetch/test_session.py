"""TLS, proxies, redirects: where requests and secrets go."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from yarl import URL

from st_export.errors import ConfigError, EntityRefused, RequestRejected, ServiceUnavailable
from st_export.fetch.session import Session, proxy_for, require_https
from st_export.flow import EntityName, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.fetch.conftest import House, Service

pytestmark = pytest.mark.anyio
FILE = Request(EntityName("telecom.recordings"), "/telecom/v2/tenant/1001/calls/5/recording")


class Pieces:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.begun: list[str | None] = []
        self.data = b""

    async def begin(self, content_type: str | None) -> None:
        self.begun.append(content_type)
        self.data = b""

    async def write(self, chunk: bytes) -> None:
        self.data += chunk


@asynccontextmanager
async def serving(handler: Callable[[web.BaseRequest], Any], context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(web.Server(handler), "127.0.0.1", 0, ssl=context)
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", "req", *options, *files], check=True, capture_output=True)
    return folder


async def say_ok(request: web.BaseRequest) -> web.Response:
    return web.Response(text="ok")


def tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def fetch(url: str) -> bytes:
    async with Session(connections=2, timeout_seconds=5) as session, await session.request("GET", URL(url), headers={}) as response:
        return await response.read()


async def test_certificates_are_verified_and_ssl_cert_file_is_honoured(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with serving(say_ok, tls(certificate)) as url:
        with pytest.raises(Exception, match="certificate is not trusted"):
            await fetch(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert await fetch(url) == b"ok"


async def test_an_untrusted_service_ends_at_once_with_a_hint(service: Service, wire: Callable[..., Any], certificate: Path) -> None:
    async with serving(say_ok, tls(certificate)) as url, wire(url, auth_url=f"{service.url}/connect/token") as house:
        with pytest.raises(ServiceUnavailable, match="failed 1 times, last: the service's certificate is not trusted") as caught:
            await house.get()
    assert "SSL_CERT_FILE" in str(caught.value.hint)


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[str]) -> None:
    line = (await reader.readline()).decode()
    asked.append(line.strip())
    while (header := await reader.readline()).strip():
        if header.lower().startswith(b"proxy-authorization"):
            asked.append(header.decode().strip())
    host, port = line.split()[1].rsplit(":", 1)
    far_reader, far_writer = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)


async def test_https_proxy_and_no_proxy_are_honoured(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    proxy = await asyncio.start_server(lambda reader, writer: tunnel(reader, writer, asked), "127.0.0.1", 0)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass@127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(say_ok, tls(certificate)) as url:
        assert await fetch(url) == b"ok"
        assert asked == [f"CONNECT {url.removeprefix('https://')} HTTP/1.1", "Proxy-Authorization: Basic bWU6cGFzcw=="]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert await fetch(url) == b"ok"
    assert len(asked) == 2
    proxy.close()


def test_plain_http_never_takes_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".internal,10.0.0.1")
    found = [proxy_for(URL(url)).url for url in ("http://127.0.0.1:1", "https://a.internal", "https://10.0.0.1", "https://api.example")]
    assert found == [None, None, None, URL("http://proxy.example:3128")]


@pytest.mark.parametrize("url", ["https://api.servicetitan.io", "http://127.0.0.1:8911", "http://localhost:1/x", "http://[::1]:5"])
def test_https_and_loopback_are_fine(url: str) -> None:
    assert require_https(url) == URL(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.servicetitan.io",
        "http://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "api.example",
        "",
        "https://u:p@x.example",
        "http://a:b:c",
    ],
)
def test_anything_else_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError):
        require_https(url)


async def test_a_redirect_elsewhere_loses_both_secrets(service: Service, house: House) -> None:
    far: list[tuple[str, bool]] = []

    async def blob(request: web.BaseRequest) -> web.Response:
        far.append(
            (
                request.raw_path if isinstance(request, web.Request) else request.path_qs,
                bool({"Authorization", "ST-App-Key"} & set(request.headers)),
            )
        )
        return web.Response(body=b"RIFF" * 1000, content_type="audio/mpeg")

    async with serving(blob) as url:
        service.script.append(web.Response(status=302, headers={"Location": f"{url}/blob?sig=a%2Bb"}))
        sink = Pieces()
        download = await house.client.download(FILE, sink)
    assert (download.content_type, download.bytes, sink.data) == ("audio/mpeg", 4000, b"RIFF" * 1000)
    assert far == [("/blob?sig=a%2Bb", False)]
    assert "ST-App-Key" in service.seen[0].headers


async def test_secrets_do_not_come_back_after_a_detour(service: Service, house: House) -> None:
    async def bounce(_: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{service.url}/back"})

    async with serving(bounce) as url:
        service.script.append(web.Response(status=302, headers={"Location": url}))
        with pytest.raises(EntityRefused):
            await house.client.download(FILE, Pieces())
    assert ["Authorization" in request.headers for request in service.seen[:2]] == [True, False]


@pytest.mark.parametrize("location", ["http://blob.example/x", "file:///etc/passwd", "ftp://127.0.0.1/x"])
async def test_a_redirect_to_anything_but_https_is_refused(service: Service, house: House, location: str) -> None:
    service.script.append(web.Response(status=302, headers={"Location": location}))
    with pytest.raises(RequestRejected, match="which is not followed"):
        await house.client.download(FILE, Pieces())


async def test_endless_redirects_end(service: Service, house: House) -> None:
    service.script.extend([web.Response(status=302, headers={"Location": f"/{hop}"}) for hop in range(9)])
    with pytest.raises(RequestRejected):
        await house.client.download(FILE, Pieces())
    assert len(service.seen) == house.limiter.departed == 6


async def test_a_binary_begins_anew_after_a_cut(service: Service, house: House) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    service.script.extend([cut, web.Response(body=b"whole", content_type="audio/mpeg")])
    sink = Pieces()
    download = await house.client.download(FILE, sink)
    assert (sink.data, download.bytes, download.retries, sink.begun[-1]) == (b"whole", 5, 1, "audio/mpeg")


async def test_a_full_disk_is_not_taken_for_the_networks_fault(service: Service, house: House) -> None:
    class Full(Pieces):
        async def write(self, chunk: bytes) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await house.client.download(FILE, Full())
    assert len(service.seen) == 1


async def test_a_missing_certificate_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
    with pytest.raises(ConfigError, match="certificates cannot be read"):
        await fetch("https://127.0.0.1:1")

"""moto's S3 on loopback behind a hook that sees every request: it may kill the asking program, or answer in S3's place."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "lake"
REGION = "us-east-1"
KEYS = {"access_key_id": "key", "secret_access_key": "secret"}


class QuietHandler(MotoRequestHandler):
    """Logs nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 -- werkzeug's name
        pass


@dataclass
class S3:
    """The server as tests use it. `before` and `after` are called with each request's method and path with query; `before` may answer."""

    endpoint: str = ""
    before: Callable[[str, str], Response | None] | None = None
    after: Callable[[str, str], None] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def options(self, **more: object) -> dict[str, object]:
        """Return `output.options` for it."""
        return {"endpoint": self.endpoint, "region": REGION, **KEYS, **more}

    def client(self, service: str = "s3") -> Any:
        """Return Amazon's own client for it."""
        keys = {f"aws_{name}": value for name, value in KEYS.items()}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **keys)

    def kill_after(self, number: int, kill: Callable[[], None]) -> None:
        """Kill the asking program as soon as its `number`th write is done, before it can know."""
        lock, writes = threading.Lock(), itertools.count(1)

        def after(method: str, path: str) -> None:
            with lock:
                if is_write(method, path) and next(writes) == number:
                    kill()

        self.after = after

    def wrap(self, application: Any) -> Any:
        """Return the application behind the hook."""

        def answer(environ: dict[str, Any], start_response: Any) -> Any:
            method, query = environ["REQUEST_METHOD"], environ["QUERY_STRING"]
            path = environ["PATH_INFO"] + (f"?{query}" if query else "")
            self.asked.append((method, path))
            instead = self.before(method, path) if self.before is not None else None
            if instead is not None:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                return instead(environ, start_response)
            answered = application(environ, start_response)
            if self.after is not None:
                self.after(method, path)
            return answered

        return answer


def is_write(method: str, path: str) -> bool:
    """Return whether a request changes objects: a deletion is a POST in bulk."""
    return method in ("PUT", "DELETE") or (method == "POST" and "?" in path)


def refusal(status: int, code: str, message: str = "as S3 words it", **headers: str) -> Response:
    """Return an error as S3 answers it; werkzeug leaves the body out for HEAD, as S3 does."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, headers, mimetype="application/xml")


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run the server with a bucket `lake`."""
    s3 = S3()
    application = s3.wrap(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)
    s3.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        s3.client().create_bucket(Bucket=BUCKET)
        yield s3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""What the look-alike says: an answer before it is sent, and the refusals in the service's several styles."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, field
from typing import Any

import orjson

_traces = itertools.count(1)


@dataclass(slots=True)
class Answer:
    """A status, a body and its headers. `rows`: how many records it holds, for the latency; `packed`: the body in gzip, once made."""

    status: int
    body: bytes
    content_type: str | None = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    packed: bytes | None = None

    def gzipped(self) -> bytes:
        """Return the body in gzip, made once."""
        if self.packed is None:
            self.packed = gzip_bytes(self.body)
        return self.packed


def gzip_bytes(body: bytes) -> bytes:
    """Return bytes as one gzip member, packed fast."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """Return a JSON answer."""
    return Answer(status, orjson.dumps(value), headers=headers)


def problem(status: int, title: str, errors: dict[str, list[str]] | None = None, **headers: str) -> Answer:
    """Return the documented error: a problem document with a trace id."""
    document = {
        "type": f"https://httpstatuses.io/{status}", "title": title, "status": status, "traceId": f"00-{next(_traces):032x}-01",
        "errors": errors or {}, "data": {},
    }  # fmt: skip
    return Answer(status, orjson.dumps(document), "application/problem+json; charset=utf-8", headers)


def gateway(status: int, message: str) -> Answer:
    """Return an error in the gateway's own style."""
    return Answer(status, orjson.dumps({"statusCode": status, "message": message}))


def html(status: int, title: str) -> Answer:
    """Return an error page of a proxy."""
    page = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, page.encode(), "text/html; charset=utf-8")


def unknown_path() -> Answer:
    """Return the gateway's refusal of a path that is no call."""
    return gateway(404, "Unable to match incoming request to an operation.")


def invalid(name: str, text: str) -> Answer:
    """Return the refusal of a parameter."""
    return problem(400, "One or more validation errors occurred.", {name: [text]})


def rate_limited(seconds: float, told: str, *, exact: bool = False) -> Answer:
    """Return a 429; `told` says where the wait stands: `header`, `body`, `both`, `none`. It is told in whole seconds unless `exact`."""
    wait = f"{seconds:g}" if exact else str(max(1, -(-int(seconds * 1000) // 1000)))
    sentence = f" Try again in {wait} seconds." if told in ("body", "both") else ""
    headers = {"Retry-After": wait} if told in ("header", "both") else {}
    return problem(429, f"Rate limit is exceeded.{sentence}", None, **headers)

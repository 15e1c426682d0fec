"""Bytes of an answer into bytes of JSON: read within a cap, inflated by what they are, not by what the label says.

Gateways mislabel: gzip without a label, a label without gzip, several gzip members, a byte order mark, a wrong charset. All
of these are read. What is cut off or damaged is an error, never a shorter page.
"""

from __future__ import annotations

import codecs
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from st_export.fetch.retry import CallFailed
from st_export.fetch.session import FOREIGN, failure_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import aiohttp

PAGE_BYTES = 256 << 20
"""Cap of a page, on the wire and inflated: ten times the heaviest page known (25 MB). Beyond it lies a bomb."""

_GZIP = b"\x1f\x8b"
_LAYERS = 2
_INFLATE_CHUNK_BYTES = 4 << 20


class BodyUnreadable(ValueError):
    """The bytes are damaged, cut off or beyond the cap."""


async def chunks_of(
    response: aiohttp.ClientResponse, *, cap_bytes: int, progress: Callable[[int], None] | None = None
) -> AsyncIterator[bytes]:
    """Yield the bytes of an answer as they come on the wire; `progress` is told the size of each chunk.

    Raises:
        BodyUnreadable: there are more than `cap_bytes`.
        CallFailed: the connection broke, or the body was cut off in transport.

    """
    size = 0
    while chunk := await _next_chunk(response):
        size += len(chunk)
        if progress is not None:
            progress(len(chunk))
        if size > cap_bytes:
            raise BodyUnreadable(f"the body has more than {cap_bytes:,} bytes")
        yield chunk


async def beginning_of(response: aiohttp.ClientResponse, *, cap_bytes: int, progress: Callable[[int], None]) -> bytes:
    """Return the text of a refusal, or as much of it as comes: the status says enough, a broken explanation changes nothing."""
    wire = bytearray()
    try:
        async for chunk in chunks_of(response, cap_bytes=cap_bytes, progress=progress):
            wire += chunk
    except (BodyUnreadable, CallFailed):
        response.close()
    try:
        return plain_bytes(bytes(wire), encoding=response.headers.get("Content-Encoding", "").lower(), charset=None, cap_bytes=cap_bytes)
    except BodyUnreadable:
        return bytes(wire)


async def _next_chunk(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.readany()
    except FOREIGN as error:
        raise failure_of(error) from error


def content_of(status: int, wire: bytes) -> bytes:
    """Return a body as it came; that of a 204, which has none by definition, is a list of no rows. An empty 200 stays empty: cut off."""
    return b"[]" if status == HTTPStatus.NO_CONTENT and not wire else wire


def plain_bytes(wire: bytes, *, encoding: str, charset: str | None, cap_bytes: int) -> bytes:
    """Return the JSON text of a body in UTF-8 without a byte order mark.

    Args:
        wire: the body as it came.
        encoding: the `Content-Encoding` header, lower case; a hint only.
        charset: the charset of the content type; a hint only.
        cap_bytes: the most bytes that may come of it; enforced while inflating.

    Raises:
        BodyUnreadable: compressed bytes are damaged, cut off, followed by others, or inflate beyond the cap.

    """
    body = wire
    layers = 0
    while body[:2] == _GZIP and layers < _LAYERS:
        body = _gunzip(body, cap_bytes)
        layers += 1
    if not layers and encoding == "deflate" and body[:1] not in (b"{", b"["):
        body = _inflate_deflate(body, cap_bytes)
    return _utf8(body, charset)


def _gunzip(wire: bytes, cap_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest: bytes = wire
    while rest[:2] == _GZIP:
        member = zlib.decompressobj(wbits=31)
        for part in _inflate(member, rest, cap_bytes - size):
            parts.append(part)
            size += len(part)
        if not member.eof:
            raise BodyUnreadable("the compressed body is cut off")
        rest = member.unused_data
    if rest.strip(b"\0"):
        raise BodyUnreadable("the compressed body is followed by other bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate_deflate(wire: bytes, cap_bytes: int) -> bytes:
    # The label stands for both forms: with the zlib header, as the standard says, and without, as some servers do.
    for bits in (15, -15):
        member = zlib.decompressobj(wbits=bits)
        try:
            body = b"".join(_inflate(member, wire, cap_bytes))
        except BodyUnreadable:
            if bits < 0:
                raise
            continue
        if member.eof:
            return body
    raise BodyUnreadable("the compressed body is cut off")


def _inflate(member: zlib._Decompress, wire: bytes, cap_bytes: int) -> list[bytes]:
    parts: list[bytes] = []
    size = 0
    rest = wire
    while rest and not member.eof:
        try:
            part = member.decompress(rest, _INFLATE_CHUNK_BYTES)
        except zlib.error as error:
            raise BodyUnreadable(f"the compressed body is damaged: {error}") from error
        size += len(part)
        if size > cap_bytes:
            raise BodyUnreadable(f"the body inflates to more than {cap_bytes:,} bytes")
        parts.append(part)
        rest = member.unconsumed_tail
    return parts


def _utf8(body: bytes, charset: str | None) -> bytes:
    if body[:3] == codecs.BOM_UTF8:
        return body[3:]
    wide = _wide_charset(body)
    if wide is None and (
        charset is None or charset.lower().replace("_", "-") in ("utf-8", "utf8", "us-ascii", "utf-16", "utf-16le", "utf-16be")
    ):
        return body
    try:
        if wide is not None:
            return body.decode(wide).lstrip("\ufeff").encode()
        return _from_label(body, charset or "utf-8")
    except UnicodeError as error:
        raise BodyUnreadable(f"the text is neither UTF-8 nor what its label says: {error}") from error


def _wide_charset(body: bytes) -> str | None:
    # JSON begins with an ASCII character: a zero beside it is UTF-16, labelled or not.
    head = body[:2]
    if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if len(head) == 2 and 0 in head:
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return None


def _from_label(body: bytes, charset: str) -> bytes:
    try:
        codecs.utf_8_decode(body, "strict", True)
    except UnicodeDecodeError:
        try:
            return body.decode(charset).encode()
        except LookupError as error:
            raise BodyUnreadable(f"the text is not UTF-8, and its label `{charset[:40]}` is unknown") from error
    return body

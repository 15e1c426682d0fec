"""Bodies of bytes: what a page says about itself, and where its records lie, without parsing the records.

An envelope is small and its records are large. `read_envelope` therefore parses what stands before and after the array of
records, and only counts brackets in between; `borders` proposes places between two records, so that a large array can be
taken in pieces. Turning records into columns is left to `columns`.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from st_export.decode.text import Unreadable, loads
from st_export.flow import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.flow import Json

__all__ = ["Unreadable", "borders", "normalise", "read_envelope", "records_of", "slices"]

MAX_BODY_BYTES = 512 * 1024 * 1024
"""No body grows past this when it is unpacked: twenty times the heaviest page of 5,000 rows that is known (25 MB)."""

CHUNK_BYTES = 2 * 1024 * 1024
"""Records are taken in pieces of about this size: their Python objects need some ten times as much memory."""

_MARKS = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_HEAD_BYTES = 64 * 1024
_TAIL_BYTES = 64 * 1024
_BLOCK_BYTES = 1024 * 1024
_CANDIDATES = 4
_MARK = "records stand here 5b1f"
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"{}[]'))
_STRING = re.compile(rb'"[^"]*"')
_DATA = re.compile(rb'"data"\s*:\s*\[')
_SCALAR = rb'(?:null|true|false|-?[0-9][0-9.eE+-]*|"(?:[^"\\]|\\.)*")'
_LEAD = re.compile(rb"\s*\{\s*((?:\"[^\"\\]+\"\s*:\s*" + _SCALAR + rb"\s*,\s*){0,2}\"[^\"\\]+\"\s*:)")
_KEY = re.compile(rb'("[^"\\]+")\s*:\s*(' + _SCALAR + rb")?")


def normalise(body: bytes, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body as JSON text in UTF-8 without a byte order mark.

    A body that is still gzip, though nothing said so, is unpacked, all its members. UTF-16 and UTF-32 are taken only where the
    byte order mark shows them: labels are often wrong.

    Raises:
        Unreadable: the gzip is damaged, the text is none, or there is more than `max_bytes`.

    """
    if body[:2] == b"\x1f\x8b":
        body = _unzip(body, max_bytes)
    if len(body) > max_bytes:
        raise Unreadable(f"the answer has {len(body)} bytes, more than {max_bytes}")
    if body[:3] == b"\xef\xbb\xbf":
        return body[3:]
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            try:
                return body.decode(encoding).encode()
            except UnicodeError as error:
                raise Unreadable(f"not {encoding}: {error}") from error
    return body


def read_envelope(body: bytes) -> Envelope:
    """Return what a page says about itself, and the byte offsets of its records.

    The quick way parses the text before and after the array `data`, with a mark in its place, and makes sure that the array was
    not cut off: its last record is parsed too, or, where that cannot be told from the rest, all brackets are counted. (A body
    cut inside a record lacks that record's closing bracket.) What the quick way does not understand is parsed whole. What
    passes here and is damaged all the same shows when the records are decoded, as `Unreadable` too.

    Source: the envelopes `{page, pageSize, hasMore, totalCount, data}`, `{hasMore, continueFrom, data}` and bare answers of the
    specs.

    Raises:
        Unreadable: the body is empty, cut off, or not JSON in UTF-8.

    """
    start = _skip_blanks(body, 0)
    if start == len(body):
        raise Unreadable("the answer is empty")
    if body[start] == ord("{"):
        quick = _quick_envelope(body)
        if quick is not None:
            return quick
    elif body[start] == ord("["):
        end = len(body.rstrip())
        if body[end - 1] == ord("]") and _ends_whole(body, start + 1, end - 1):
            return Envelope(shape="array", records=(start, end))
    return _whole_envelope(body, start)


def records_of(body: bytes, envelope: Envelope) -> list[Json]:
    """Return all records of a page by parsing its body whole; an answer that is an object or a bare value is one record.

    Raises:
        Unreadable: the body is not JSON.

    """
    document = loads(body)
    if envelope.shape != "array":
        return [document]
    records = document.get("data") if isinstance(document, dict) else document
    return records if isinstance(records, list) else []


def borders(body: bytes, start: int, end: int, target_bytes: int) -> Iterator[int]:
    """Yield offsets at which the array items in `body[start:end]` may be cut, the likeliest first and `end` last.

    Each is the offset of a comma that stands before what looks like the beginning of another record: the keys that `body[start:]`
    begins with. It is a guess; the proof is the reader's: if `[` + body[start:border] + `]` parses as one JSON array, the
    brackets and quotes up to the border are closed, so the comma there separates two items of the array.
    """
    if end - start > target_bytes:
        lead = _lead_pattern(body, start)
        if lead is not None:
            searched = start + target_bytes
            for _ in range(_CANDIDATES):
                found = lead.search(body, searched, end)
                if found is None:
                    break
                yield found.start("comma")
                searched = found.end()
    yield end


def slices(body: bytes, envelope: Envelope, target_bytes: int = CHUNK_BYTES) -> Iterator[list[Json]]:
    """Yield the records of a page as Python values, in lists of about `target_bytes` of JSON.

    A chunk is cut at a guessed border and parsed as an array of its own. A text that begins at an item and parses as an array
    when put into brackets is balanced, hence its end is a true border (see `borders`). Where the guess fails the next one is
    tried, then the rest at once, then the whole body.

    Raises:
        Unreadable: the body is not JSON after all.

    """
    if envelope.shape != "array":
        yield records_of(body, envelope)
        return
    start, end = envelope.records[0] + 1, envelope.records[1] - 1
    done = 0
    while start < end:
        for border in borders(body, start, end, target_bytes):
            try:
                records = loads(b"[" + body[start:border] + b"]")
            except Unreadable:
                continue
            yield records
            done += len(records)
            start = border + 1
            break
        else:
            yield records_of(body, envelope)[done:]
            return


def _quick_envelope(body: bytes) -> Envelope | None:
    opening = _DATA.search(body, 0, _HEAD_BYTES)
    if opening is None:
        return None
    start = opening.end() - 1
    close = body.rfind(b"]", max(start, len(body) - _TAIL_BYTES))
    if close < 0:
        return None
    try:
        document = orjson.loads(body[: start + 1] + b'"' + _MARK.encode() + b'"' + body[close:])
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or document.get("data") != [_MARK] or not _ends_whole(body, start + 1, close):
        return None
    return _envelope(document, "array", (start, close + 1))


def _whole_envelope(body: bytes, start: int) -> Envelope:
    document = loads(body)
    end = len(body.rstrip())
    if isinstance(document, list):
        return Envelope(shape="array", records=(start, end))
    if not isinstance(document, dict):
        return Envelope(shape="value", records=(start, end))
    data = document.get("data", _MARK)
    is_envelope = isinstance(data, list) or (data is None and "hasMore" in document)
    # Where the array lies is not known. The offsets of the whole object serve as well: what it holds is no list of array
    # items, so that the reader parses the body whole.
    return _envelope(document, "array" if is_envelope else "object", (start, end))


def _envelope(document: dict[str, Any], shape: Any, records: tuple[int, int]) -> Envelope:
    def integer(name: str) -> int | None:
        value = document.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    has_more, token, fields = document.get("hasMore"), document.get("continueFrom"), document.get("fields")
    return Envelope(
        shape=shape,
        records=records,
        has_more=has_more if isinstance(has_more, bool) else None,
        continue_from=token if isinstance(token, str) else None,
        page=integer("page"),
        page_size=integer("pageSize"),
        total_count=integer("totalCount"),
        fields=_field_names(fields) if isinstance(fields, list) else None,
    )


def _field_names(fields: list[Any]) -> tuple[str, ...]:
    names = (field.get("name") if isinstance(field, dict) else field for field in fields)
    return tuple(name if isinstance(name, str) else "" for name in names)


def _ends_whole(body: bytes, start: int, end: int) -> bool:
    """Whether the last item of the array whose items lie at `[start, end)` is whole, by parsing it alone."""
    lead = _lead_pattern(body, start) if end - start > _TAIL_BYTES else None
    last = None
    if lead is not None:
        for found in lead.finditer(body, end - _TAIL_BYTES, end):
            last = found
    if last is None:
        return _is_balanced(body[start:end])
    try:
        orjson.loads(memoryview(body)[last.start("comma") + 1 : end])
    except orjson.JSONDecodeError:
        # Cut off, or records behind it that begin unlike the first one.
        return _is_balanced(body[start:end])
    return True


def _is_balanced(body: bytes) -> bool:
    """Whether brackets and quotes are closed at the end and never more are closed than opened, those inside strings not counted.

    More are closed where what follows the array holds an array too: `…}],"hasMore":true,"fields":[`.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side are taken away wherever they stand: no other character changes sides by that.
    kept = b"".join(
        body[at : at + _BLOCK_BYTES].translate(None, _NOT_STRUCTURE).replace(b'""', b"") for at in range(0, len(body), _BLOCK_BYTES)
    )
    kept = _STRING.sub(b"", kept)
    if b'"' in kept or kept.count(b"{") != kept.count(b"}") or kept.count(b"[") != kept.count(b"]"):
        return False
    marks = np.frombuffer(kept, dtype=np.uint8)
    # `{` and `[` have the second bit from below set where `}` and `]` have not: 0x7b, 0x5b against 0x7d, 0x5d.
    return not len(marks) or int(np.cumsum(np.where(marks & 2, 1, -1), dtype=np.int64).min()) >= 0


def _lead_pattern(body: bytes, start: int) -> re.Pattern[bytes] | None:
    lead = _LEAD.match(body, start, start + _HEAD_BYTES)
    if lead is None:
        return None
    parts = [re.escape(found[1]) + rb"\s*:" + (rb"\s*" + _SCALAR + rb"\s*," if found[2] else rb"") for found in _KEY.finditer(lead[1])]
    return re.compile(rb"\}\s*(?P<comma>,)\s*\{\s*" + rb"\s*".join(parts))


def _skip_blanks(body: bytes, at: int) -> int:
    while at < len(body) and body[at] in b" \t\r\n":
        at += 1
    return at


def _unzip(body: bytes, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = max_bytes
    try:
        while body[:2] == b"\x1f\x8b":
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(body, room + 1))
            room -= len(parts[-1])
            if room < 0:
                raise Unreadable(f"the answer unpacks to more than {max_bytes} bytes")
            if not member.eof:
                raise Unreadable("the gzip of the answer is cut off")
            body = member.unused_data
    except zlib.error as error:
        raise Unreadable(f"the gzip of the answer is damaged: {error}") from error
    return b"".join(parts)

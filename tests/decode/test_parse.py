"""Bodies: envelopes found without parsing the records, cut-off bodies, encodings, pieces."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from st_export.decode.parse import Unreadable, normalise, read_envelope, records_of, slices
from st_export.flow import Envelope

RECORDS = [{"id": n, "tags": ["a]", "}{", 'b"\\'], "items": [{"id": 1}, {"id": 2}], "name": "x" * (n % 7)} for n in range(300)]
FEED = {"hasMore": True, "continueFrom": "t[1]", "data": RECORDS}


def test_an_envelope_is_read_around_its_records() -> None:
    body = orjson.dumps({"page": 2, "pageSize": 50, "hasMore": False, "totalCount": 80, "data": RECORDS, "more": [1]})
    found = read_envelope(orjson.dumps(FEED))
    assert (found.shape, found.has_more, found.continue_from) == ("array", True, "t[1]")
    other = read_envelope(body)
    assert (other.page, other.page_size, other.has_more, other.total_count) == (2, 50, False, 80)
    assert [list(pieces(body, other)), list(pieces(orjson.dumps(FEED), found))] == [RECORDS, RECORDS]


@pytest.mark.parametrize(
    ("body", "envelope", "records"),
    [
        (b"[1,2]", Envelope("array", (0, 5)), [1, 2]),
        (b' {"a":1} ', Envelope("object", (1, 8)), [{"a": 1}]),
        (b"5", Envelope("value", (0, 1)), [5]),
        (b'{"data":[],"hasMore":false}', Envelope("array", (8, 10), has_more=False), []),
        (b'{"data":null,"hasMore":false}', Envelope("array", (0, 29), has_more=False), []),
        (b'{"x":{"data":[9]},"data":[1]}', Envelope("array", (0, 29)), [1]),
        (b'{"fields":[{"name":"A"},{"name":null}],"data":[[1,2]]}', Envelope("array", (46, 53), fields=("A", "")), [[1, 2]]),
    ],
)
def test_each_shape_of_an_answer(body: bytes, envelope: Envelope, records: list[Any]) -> None:
    assert read_envelope(body) == envelope
    assert pieces(body, envelope) == records


@pytest.mark.parametrize(
    "body", [orjson.dumps({"data": RECORDS[:3]}), orjson.dumps(FEED | {"data": RECORDS[:3]}), orjson.dumps(RECORDS[:3])]
)
def test_a_body_cut_off_anywhere_is_unreadable(body: bytes) -> None:
    for end in range(len(body)):
        with pytest.raises(Unreadable):
            read_envelope(body[:end])


@pytest.mark.parametrize("body", [b"", b"  ", b"<html>502</html>", b"NaN", b'{"data":[1}'])
def test_what_is_not_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_envelope(body)


@pytest.mark.parametrize("target", [1, 50, 1000, 10**6])
@pytest.mark.parametrize("indent", [0, orjson.OPT_INDENT_2])
def test_pieces_make_up_the_page_whatever_their_size(target: int, indent: int) -> None:
    body = orjson.dumps(FEED, option=indent)
    found = list(slices(body, read_envelope(body), target))
    assert [record for piece in found for record in piece] == RECORDS
    assert target > 1000 or len(found) > 3


def test_damage_between_balanced_brackets_shows_when_the_records_are_read() -> None:
    body = b'{"data":[{"a":1},{"a" 2}]}'
    with pytest.raises(Unreadable):
        pieces(body, read_envelope(body))


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf[1]",
        gzip.compress(b"[1]", mtime=0),
        gzip.compress(b"[", mtime=0) + gzip.compress(b"1]", mtime=0),
        "[1]".encode("utf-16"),
        gzip.compress(b"\xef\xbb\xbf[1]", mtime=0),
    ],
)
def test_marks_and_unlabelled_gzip_are_taken_off(body: bytes) -> None:
    assert normalise(body) == b"[1]"


@pytest.mark.parametrize(
    "body", [gzip.compress(b"[1]", mtime=0)[:-4], b"\x1f\x8bnonsense", gzip.compress(b"1" * 2000, mtime=0), b"1" * 2000]
)
def test_damaged_or_exploding_gzip_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        normalise(body, max_bytes=1000)


def pieces(body: bytes, envelope: Envelope) -> list[Any]:
    found = [record for piece in slices(body, envelope) for record in piece]
    assert found == records_of(body, envelope)
    return found

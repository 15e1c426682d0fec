"""What Arrow's JSON reader accepts: each way in which it could say something other than what was sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from st_export.decode.casts import NotStrict, finish, read_array
from st_export.decode.controls import Controls
from st_export.decode.nodes import build_node
from tests.decode.cases import column

MONEY = pa.decimal128(38, 9)
STRUCT = pa.struct([("a", pa.int64())])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((pa.int64(), text) for text in ('1.0', '1.5', '1e2', '"1"', "true", "9223372036854775808", "[1]", "{}", "NaN", "01")),
        *((pa.float64(), text) for text in ('"1"', "true", '"NaN"', "1e400", "[1.0]")),
        *((MONEY, text) for text in ("true", '""', '"NA"', '" 1"', '"1,5"', '"0x1"', "0.1234567891", "[1]", "NaN", '"1_000"')),
        *((pa.bool_(), text) for text in ("1", "0", '"true"', "[]")),
        *((pa.string(), text) for text in ("1", "true", "{}", "[]", '"\\ud800"', '"a\tb"')),
        *((pa.list_(pa.int64()), text) for text in ("{}", "1", '"a"', '["a"]', "[1.5]", "[[1]]")),
        *((STRUCT, text) for text in ("[]", "1", '"a"', '{"b":1}', '{"A":1}', '{"a":1,"a":2}', '{"a":{}}', '{"a":1,}')),
        *((STRUCT, text) for text in ('{"a":1}]}{"d":[{"a":2}', '{"a":1}],"d":[{"a":2}', '{"a":1}],"e":[1', '{"a":1}]} x', '{"a":1')),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(kind: pa.DataType, text: str) -> None:
    with pytest.raises(NotStrict):
        read_array(text.encode(), kind)


@pytest.mark.parametrize("text", [b'"\xff"', b'"a\xed\xa0\x80"'])
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    with pytest.raises(NotStrict, match="UTF-8"):
        read_array(text, pa.string())


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "9007199254740993", "123456789012345678901234567890", "1e16"])
def test_doubles_that_are_not_what_was_sent_are_refused(text: str) -> None:
    with pytest.raises(NotStrict):
        finished("double", text, pa.float64())


@pytest.mark.parametrize("exponent", range(15, 60))
@pytest.mark.parametrize("digits", ["1", "-3", "9.99", "123456789"])
def test_decimals_that_wrap_around_are_refused(digits: str, exponent: int) -> None:
    with pytest.raises(NotStrict):
        finished("decimal", f"{digits}e{exponent}", MONEY)


@pytest.mark.parametrize("length", range(16, 60))
def test_decimals_with_many_digits_are_refused(length: int) -> None:
    with pytest.raises(NotStrict):
        finished("decimal", f'"{"7" * length}"', MONEY)


def test_decimals_are_read_from_their_text() -> None:
    sent = '0.1,"0.10",1234567.89,1.0000000000000000000,"1E+2",-0.0,0,null,"100"'
    expected = ["0.1", "0.1", "1234567.89", "1", "100", "0", "0", None, "100"]
    assert finished("decimal", sent, MONEY).to_pylist() == [text and Decimal(text) for text in expected]


def test_null_and_empty_are_told_apart() -> None:
    lists = read_array(b"null,[],[null]", pa.list_(pa.bool_()))
    structs = read_array(b'null,{},{"a":null}', STRUCT)
    assert (lists.to_pylist(), structs.to_pylist()) == ([None, [], [None]], [None, {"a": None}, {"a": None}])


def test_moments_in_bulk_are_cut_to_microseconds() -> None:
    sent = '"0001-01-01T00:00:00Z","2026-11-23T10:00:00.1234567Z","2026-11-23T10:00:00.5Z",null,"2026-11-23T10:00:00Z"'
    array = finished("timestamp", sent, pa.timestamp("us", tz="UTC"))
    assert array.cast(pa.int64()).to_pylist() == [-62135596800000000, 1795428000123456, 1795428000500000, None, 1795428000000000]


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00.123456+05:00", "2026-01-01T00:00:00.1234+05:00", "2026-01-01T00:00:00+05:00", "2026-01-01T00:00:00ZZ",
     "2026-01-01T00:00:00.123456xZ", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "", " 2026-01-01", "10000-01-01T00:00:00Z"],
)  # fmt: skip
def test_moments_of_another_form_are_left_to_the_careful_way(text: str) -> None:
    with pytest.raises(NotStrict):
        finished("timestamp", f'"{text}"', pa.timestamp("us", tz="UTC"))


def finished(kind: Any, items: str, target: pa.DataType) -> pa.Array:
    node = build_node(column("x", kind), target, None)
    return finish(node, read_array(items.encode(), node.sent), Controls())

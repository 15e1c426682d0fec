"""JSON text to Python values and back, without losing a digit or a character.

orjson is fast, but it turns integers past 64 bits into doubles, cuts numbers after 17 digits, and refuses lone surrogates
and numbers past the doubles. A text that may hold any of these is read by the standard library instead. Which way was taken
never shows in the values: a number that the two would read differently always sends its whole text the exact way.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from st_export.flow import Json

_SURE_DIGITS = 15
"""A double keeps any decimal number of 15 significant digits (IEEE 754)."""

_INTEGER_DIGITS = 18
"""Any integer of 18 digits fits 64 bits."""

_LONGEST_INTEGER = 1000
"""Digits up to which an integer becomes an `int`; beyond, its text is kept (the interpreter refuses 4300 and more)."""

_DIGITS = bytes(ord("9") if chr(code) in "0123456789." else code for code in range(256))
_SHORTEST_RUN = b"9" * (_SURE_DIGITS + 1)
_RUN = re.compile(rb"9+")


class Unreadable(Exception):
    """A body is cut off, or is not JSON; `reason` says what was found."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LongNumber:
    """A JSON number that neither an int nor a double holds, as its text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LongNumber) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"LongNumber({self.text!r})"


def loads(text: bytes) -> Json:
    """Return the value of a JSON text in UTF-8: dict, list, str, bool, None, int, float or LongNumber; of a repeated key the last.

    Raises:
        Unreadable: the text is not JSON.

    """
    if not has_long_number(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            # Lone surrogates and numbers past the doubles are JSON all the same: the exact way decides.
            return _exact_loads(text)
    return _exact_loads(text)


def json_text(value: Json) -> str:
    """Return a value of `loads` as compact JSON text that encodes to UTF-8; lone surrogates are escaped."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # An integer past 64 bits, a LongNumber or a lone surrogate.
        return _exact_text(value)


def has_long_number(text: bytes) -> bool:
    """Return whether a text may hold a number that only the exact way reads; digits inside strings count too."""
    runs = text.translate(_DIGITS)
    start = runs.find(_SHORTEST_RUN)
    while start >= 0:
        run = _RUN.match(runs, start)
        end = run.end() if run is not None else start + 1
        if _is_long(text[start:end], text[end : end + 1]):
            return True
        start = runs.find(_SHORTEST_RUN, end)
    return False


def _is_long(token: bytes, after: bytes) -> bool:
    if b"." not in token:
        return len(token) > _INTEGER_DIGITS or after in (b"e", b"E")
    return len(token.strip(b"0").replace(b".", b"").strip(b"0")) > _SURE_DIGITS


def _exact_loads(text: bytes) -> Json:
    try:
        return json.loads(text.decode("utf-8"), parse_float=_fraction, parse_int=_integer, parse_constant=_refuse)
    except RecursionError as error:
        raise Unreadable("values nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from error


def _integer(text: str) -> int | LongNumber:
    return int(text) if len(text) <= _LONGEST_INTEGER else LongNumber(text)


def _fraction(text: str) -> float | LongNumber:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return LongNumber(text)
    mantissa = text.lower().partition("e")[0]
    if len(mantissa.lstrip("-").replace(".", "").strip("0")) <= _SURE_DIGITS:
        return number
    return number if Decimal(text) == Decimal(repr(number)) else LongNumber(text)


def _refuse(text: str) -> Json:
    raise ValueError(f"{text} is no JSON value")


def _exact_text(value: Json) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_exact_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_exact_text, value)) + "]"
    if isinstance(value, LongNumber):
        return value.text
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=not _encodes(value))
    return json.dumps(value)


def _encodes(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)

"""One JSON value to the value of its column: exact, or a misfit.

Each function takes a value that is not None and returns `(column value, fits)`. A value that does not fit belongs whole into
`_rescued`; its column value is None, or what the contract names for it (a rounded decimal, the date of a date-time).
The vectorised casts in `casts` accept less and never something else.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from st_export.decode.text import LongNumber, json_text

if TYPE_CHECKING:
    from st_export.flow import Json

MISFIT: tuple[None, bool] = (None, False)

_INT64 = 1 << 63
_EXACT_DOUBLE = 1 << 53
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MICROSECONDS = 86_400_000_000
FIRST_DAY = 1 - _EPOCH
"""0001-01-01 in days since 1970, the first day that every reader of date32 knows."""
LAST_DAY = date(9999, 12, 31).toordinal() - _EPOCH
FIRST_MICROSECOND = FIRST_DAY * _DAY_MICROSECONDS
LAST_MICROSECOND = (LAST_DAY + 1) * _DAY_MICROSECONDS - 1

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?", re.ASCII | re.IGNORECASE
)
_MIDNIGHT = re.compile(r"(?:[T ]00:00(?::00(?:\.0+)?)?)?Z?", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_PADDED = re.compile(r"[+-]?0\d", re.ASCII)
_LONGEST_NUMBER = 1000
"""A text of more characters is no number to us: exact arithmetic on it would cost more than it is worth."""


def to_int64(value: Json) -> tuple[int | None, bool]:
    """Return an integer of 64 bits: integers, whole doubles, and text that is an integer in its plain spelling."""
    if isinstance(value, bool):
        return MISFIT
    if isinstance(value, float):
        if not value.is_integer():
            return MISFIT
        value = int(value)
    elif isinstance(value, str):
        if len(value) > 20 or not _INTEGER.fullmatch(value):
            return MISFIT
        value = int(value)
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value, True
    return MISFIT


def to_bool(value: Json) -> tuple[bool | None, bool]:
    """Return true or false; nothing else fits."""
    return (value, True) if isinstance(value, bool) else MISFIT


def to_string(value: Json) -> tuple[str | None, bool]:
    """Return a text as it is; other values and texts with lone surrogates do not fit."""
    if not isinstance(value, str):
        return MISFIT
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return MISFIT
    return value, True


def to_json(value: Json) -> tuple[str | None, bool]:
    """Return a free-form value as JSON text; everything fits."""
    return json_text(value), True


def to_double(value: Json) -> tuple[float | None, bool]:
    """Return a double: numbers and numeric texts. An integer that no double equals does not fit; a longer fraction is rounded."""
    if isinstance(value, bool):
        return MISFIT
    if isinstance(value, float):
        return value, True
    if isinstance(value, int):
        return (float(value), True) if -_EXACT_DOUBLE <= value <= _EXACT_DOUBLE or _is_double(value) else MISFIT
    text = _number_text(value)
    if text is None:
        return MISFIT
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return MISFIT
    return number, _decimal(text) == Decimal(repr(number))


def to_decimal_double(value: Json) -> tuple[float | None, bool]:
    """Return a decimal's double, where the lake keeps decimals so: as `to_double`, and a zero has no sign."""
    number, fits = to_double(value)
    return (None if number is None else number + 0.0), fits


class ToDecimal:
    """Return a decimal of `precision` digits, `scale` of them after the point: numbers and numeric texts.

    More places are rounded half to even and do not fit; too many whole digits give None. Zeros at the end are not places. With
    `plain` a text with padding zeros (`007`) does not fit: where types are guessed from a description, it may be a code.
    """

    def __init__(self, precision: int, scale: int, *, plain: bool = False) -> None:
        self._whole_digits = precision - scale
        self._limit = Decimal(10) ** self._whole_digits
        self._step = Decimal(1).scaleb(-scale)
        self._context = Context(prec=2 * precision + 2, rounding=ROUND_HALF_EVEN, Emin=-999_999_999, Emax=999_999_999)
        self._zero = Decimal(0).quantize(self._step)
        self._plain = plain

    def __call__(self, value: Json) -> tuple[Decimal | None, bool]:
        """Return the decimal of a value, and whether it is exact."""
        number = self._number(value)
        if number is None:
            return MISFIT
        if not number:
            return self._zero, True
        if number.adjusted() >= self._whole_digits:
            return MISFIT
        rounded = number.quantize(self._step, context=self._context)
        if abs(rounded) >= self._limit:
            return MISFIT
        return (rounded or self._zero), rounded == number

    def _number(self, value: Json) -> Decimal | None:
        if isinstance(value, int):
            return None if isinstance(value, bool) else Decimal(value)
        if isinstance(value, float):
            return Decimal(repr(value))
        if self._plain and isinstance(value, str) and _PADDED.match(value):
            return None
        text = _number_text(value)
        return None if text is None else _decimal(text)


def to_timestamp(value: Json) -> tuple[int | None, bool]:
    """Return microseconds since 1970 UTC of a date-time text; no zone is taken as UTC, finer fractions are cut."""
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return MISFIT
    year, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return MISFIT
    clock = int(hour or 0), int(minute or 0), int(second or 0)
    offset = int(offset_hours or 0), int(offset_minutes or 0)
    if clock > (23, 59, 59) or clock[1] > 59 or clock[2] > 59 or offset[0] > 23 or offset[1] > 59:
        return MISFIT
    seconds = (clock[0] * 60 + clock[1]) * 60 + clock[2]
    seconds -= (offset[0] * 60 + offset[1]) * 60 * (-1 if sign == "-" else 1)
    moment = days * _DAY_MICROSECONDS + seconds * 1_000_000 + int((fraction or "0")[:6].ljust(6, "0"))
    return (moment, True) if FIRST_MICROSECOND <= moment <= LAST_MICROSECOND else MISFIT


def to_date(value: Json) -> tuple[int | None, bool]:
    """Return days since 1970 of a civil date; midnight, with or without `Z`, is a date.

    Of another date-time it is the date as it stands there, never shifted, and the value does not fit.
    """
    if not isinstance(value, str) or to_timestamp(value) == MISFIT:
        return MISFIT
    days = date.fromisoformat(value[:10]).toordinal() - _EPOCH
    return days, _MIDNIGHT.fullmatch(value, 10) is not None


def _number_text(value: Json) -> str | None:
    if isinstance(value, LongNumber):
        return value.text
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value):
        return value
    return None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        # An exponent past what the decimal module counts.
        return None


def _is_double(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False

"""Moments, dates and numbers against Python's own arithmetic, for random texts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import orjson
from hypothesis import given
from hypothesis import strategies as st

from st_export.decode.text import json_text, loads
from st_export.decode.values import ToDecimal, to_date, to_double, to_int64, to_timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=ZONES).filter(lambda moment: 1 < moment.year < 9999), st.from_regex(r"[0-9]{0,3}", fullmatch=True))
def test_a_moment_is_its_microseconds_whatever_the_zone(moment: datetime, ticks: str) -> None:
    text = moment.isoformat(timespec="microseconds")
    text = text[:26] + ticks + text[26:]
    assert to_timestamp(text) == ((moment - EPOCH) // timedelta(microseconds=1), True)


@given(st.datetimes(), st.sampled_from(["", "Z"]))
def test_a_date_stands_as_written_and_only_midnight_fits(moment: datetime, zone: str) -> None:
    days = (moment.date() - date(1970, 1, 1)).days
    assert to_date(moment.isoformat() + zone) == (days, moment.time().isoformat() == "00:00:00")
    assert to_date(moment.date().isoformat()) == (days, True)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_exact_or_rescued(number: Decimal) -> None:
    value, fits = ToDecimal(38, 9)(str(number))
    if number and number.adjusted() >= 29:
        assert (value, fits) == (None, False)
        return
    with localcontext(prec=2000, Emin=-999999, rounding=ROUND_HALF_EVEN):
        rounded = number.quantize(Decimal("1e-9"))
    assert (value, fits) == (rounded, rounded == number)
    assert not str(value).startswith("-0E")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_itself(number: float) -> None:
    assert to_double(number) == (number, True)
    assert to_double(repr(number)) == (number, True)


@given(st.integers())
def test_an_integer_fits_64_bits_or_is_a_misfit(number: int) -> None:
    expected = (number, True) if -(2**63) <= number < 2**63 else (None, False)
    assert (to_int64(number), to_int64(str(number))) == (expected, expected)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters()),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))  # fmt: skip
def test_json_comes_back_as_it_was(value: object) -> None:
    assert loads(json_text(value).encode()) == value


@given(st.integers(), st.from_regex(r"[0-9]{1,30}", fullmatch=True), st.integers(-30, 30))
def test_long_numbers_keep_their_digits(whole: int, fraction: str, exponent: int) -> None:
    token = f"{whole}.{fraction}e{exponent}"
    (value,) = loads(f"[{token}]".encode())
    kept = Decimal(json_text(value))
    assert kept == Decimal(token) or abs(kept - Decimal(token)) <= abs(Decimal(token)) * Decimal("1e-15")
    if kept != Decimal(token):
        assert isinstance(orjson.loads(token), float)

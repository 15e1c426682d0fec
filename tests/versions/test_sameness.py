"""Rows are equal exactly when Python says so of their values, and equal rows have equal hashes."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from st_export.commit import sameness
from st_export.commit.sameness import aligned, equal_values, row_hashes, value_hashes

if TYPE_CHECKING:
    import pytest

US = pa.timestamp("us", "UTC")
NESTED = pa.list_(pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string())), ("c", pa.struct([("d", pa.float64())]))]))
SCALARS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]),
    pa.string(): st.sampled_from(["", "a", "ab", "b", "a\x00", "\x00", "ä", "NA", "x" * 300]),
    pa.bool_(): st.booleans(),
    pa.float64(): st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf]),
    pa.decimal128(38, 9): st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("-0.1"), Decimal(10**28)]),
    US: st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)]),
    pa.date32(): st.sampled_from([date(1, 1, 1), date(2026, 11, 25)]),
}


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_list(kind):
        return st.none() | st.lists(values_of(kind.value_type), max_size=3)
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    return st.none() | SCALARS[kind]


def plain(value: Any) -> Any:
    """Return a value whose `==` is ours: NaN equals itself."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


@given(st.data(), st.sampled_from([*SCALARS, pa.list_(pa.int64()), NESTED, NESTED.value_type]))
def test_equality_is_of_values_and_hashes_follow(data: st.DataObject, kind: pa.DataType) -> None:
    pairs = data.draw(st.lists(st.tuples(values_of(kind), values_of(kind)), max_size=8))
    start = data.draw(st.integers(0, len(pairs)))
    left = pa.array([one for one, _ in pairs], kind).slice(start)
    right = pa.array([other for _, other in pairs], kind).slice(start)
    equal = [plain(one) == plain(other) for one, other in pairs[start:]]
    assert equal_values(left, right).tolist() == equal
    assert (value_hashes(left) == value_hashes(right)).tolist() == equal


def test_the_order_of_columns_items_and_texts_counts() -> None:
    texts = pa.array(["ab", "ba", "", "a"])
    assert len(set(row_hashes([texts, texts.take(pa.array([1, 0, 3, 2]))], 4).tolist())) == 4
    lists = pa.array([[1, 2], [2, 1], [1], [], None, [None]], pa.list_(pa.int64()))
    assert len(set(value_hashes(lists).tolist())) == 6


def test_a_struct_of_nulls_is_not_null() -> None:
    values = pa.array([{"a": None}, None], pa.struct([("a", pa.int64())]))
    assert equal_values(values, values.take(pa.array([1, 0]))).tolist() == [False, False]


def test_long_texts_are_hashed_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array(["x" * 10, "y" * 100, "", "x" * 10, "z" * 40, "x" * 10])
    whole = value_hashes(texts)
    assert whole[0] == whole[3] == whole[5]
    monkeypatch.setattr(sameness, "HASH_BYTES", 16)
    steps = value_hashes(texts)
    assert steps[[0, 2, 3, 5]].tolist() == whole[[0, 2, 3, 5]].tolist()


def test_an_older_schema_is_filled_with_nulls() -> None:
    old = pa.RecordBatch.from_pylist([{"a": {"x": 1}, "b": [{"y": 1}], "gone": 1}, {"a": None, "b": None, "gone": 2}])
    new = pa.schema(
        [
            ("added", pa.string()),
            ("a", pa.struct([("x", pa.int64()), ("z", pa.bool_())])),
            ("b", pa.list_(pa.struct([("z", US), ("y", pa.int64())]))),
        ]
    )
    rows = aligned(old.slice(0), new)
    assert rows is not None
    assert rows.to_pylist() == [
        {"added": None, "a": {"x": 1, "z": None}, "b": [{"z": None, "y": 1}]},
        {"added": None, "a": None, "b": None},
    ]
    part = aligned(old.slice(1), new)
    assert part is not None
    assert part.to_pylist() == [{"added": None, "a": None, "b": None}]


def test_a_retyped_column_that_does_not_fit_is_told() -> None:
    old = pa.RecordBatch.from_pylist([{"a": "text"}])
    new = pa.schema([("a", pa.int64())])
    assert aligned(old, new) is None
    as_null = aligned(old, new, misfits_as_null=True)
    assert as_null is not None
    assert as_null.to_pylist() == [{"a": None}]

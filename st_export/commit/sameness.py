"""Rows compared as a whole: 64-bit hashes to find what may be equal, and the exact answer for pairs.

All of it is vectorised over Arrow arrays and handles nested values. Equal means: both null, or equal values; NaN equals NaN, 0.0
equals -0.0; an empty list is not null, a struct of nulls is not null; items of a list have an order. The hash of equal rows is
equal; that of different rows may be, so it only ever preselects.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

Hashes = np.ndarray
"""One unsigned 64-bit hash a row."""
Mask = np.ndarray
"""One boolean a row."""

HASH_BYTES = 1 << 18
"""Bytes of text hashed in one step; of a single longer text only these count for the hash, all for equality."""

_NULL = np.uint64(0x9E3779B97F4A7C15)
_SEED = np.uint64(0x243F6A8885A308D3)
_BASE = 0x5851F42D4C957F2D
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def row_hashes(columns: Sequence[pa.Array | pa.ChunkedArray], rows: int) -> Hashes:
    """Return one hash a row over several columns of `rows` rows each; the order of the columns counts."""
    hashes = np.full(rows, _SEED, dtype=np.uint64)
    for column in columns:
        hashes = _mix(hashes * _MIX_2 + value_hashes(_one(column)))
    return hashes


def value_hashes(values: pa.Array) -> Hashes:
    """Return one hash a value of any type of our schemas."""
    kind = values.type
    if pa.types.is_struct(kind):
        hashes = row_hashes(values.flatten(), len(values))
    elif pa.types.is_list(kind):
        hashes = _list_hashes(values)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        hashes = _text_hashes(values)
    elif pa.types.is_null(kind):
        return np.full(len(values), _NULL, dtype=np.uint64)
    else:
        hashes = _mix(_words(values))
    if values.null_count:
        hashes[_nulls(values)] = _NULL
    return hashes


def equal_rows(left: Sequence[pa.Array], right: Sequence[pa.Array], rows: int) -> Mask:
    """Return which rows are equal in all columns; both sides have the same types and `rows` rows."""
    equal = np.ones(rows, dtype=bool)
    for one, other in zip(left, right, strict=True):
        equal &= equal_values(one, other)
        if not equal.any():
            break
    return equal


def equal_values(left: pa.Array, right: pa.Array) -> Mask:
    """Return which values are equal, place by place. Both sides have one type and length."""
    kind = left.type
    if not kind.equals(right.type) or len(left) != len(right):
        raise ValueError(f"not to be compared: {len(left)} of {kind}, {len(right)} of {right.type}")
    if pa.types.is_null(kind):
        return np.ones(len(left), dtype=bool)
    left_null, right_null = _nulls(left), _nulls(right)
    if pa.types.is_struct(kind):
        equal = equal_rows(left.flatten(), right.flatten(), len(left))
    elif pa.types.is_list(kind):
        equal = _equal_lists(left, right, ~(left_null | right_null))
    else:
        equal = _mask(pc.equal(left, right))
        if pa.types.is_floating(kind):
            equal |= _mask(pc.and_(pc.is_nan(left), pc.is_nan(right)))
    result: Mask = np.where(left_null | right_null, left_null & right_null, equal)
    return result


def aligned(rows: pa.RecordBatch, schema: pa.Schema, *, misfits_as_null: bool = False) -> pa.RecordBatch | None:
    """Return the rows in the columns and types of a schema; None (or a column of nulls) where values cannot be of their column's type.

    A column that the rows lack, because their file is older than the catalog, is null; one that the schema lacks is left out.
    """
    columns = []
    for field in schema:
        index = rows.schema.get_field_index(field.name)
        if index < 0:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        column = _fitted(rows.column(index), field.type)
        if column is None:
            if not misfits_as_null:
                return None
            column = pa.nulls(rows.num_rows, field.type)
        columns.append(column)
    relaxed = pa.schema([field.with_nullable(nullable=True) for field in schema])
    return pa.RecordBatch.from_arrays(columns, schema=relaxed)


def _fitted(values: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Return the values in another type; structs by their fields' names, those that are new being null."""
    if values.type.equals(kind):
        return values
    if pa.types.is_struct(kind) and pa.types.is_struct(values.type):
        return _fitted_struct(values, kind)
    if pa.types.is_list(kind) and pa.types.is_list(values.type):
        items = _fitted(values.values, kind.value_type)
        offsets = pa.array(values.offsets.to_numpy(), pa.int32())
        mask = pa.array(_nulls(values)) if values.null_count else None
        return None if items is None else pa.ListArray.from_arrays(offsets, items, type=kind, mask=mask)
    try:
        return values.cast(kind, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _fitted_struct(values: pa.Array, kind: pa.DataType) -> pa.Array | None:
    children = dict(zip((field.name for field in values.type), values.flatten(), strict=True))
    fields = [_fitted(children.get(field.name, pa.nulls(len(values), field.type)), field.type) for field in kind]
    if any(field is None for field in fields):
        return None
    return pa.StructArray.from_arrays(fields, fields=list(kind), mask=pa.array(_nulls(values)))


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _nulls(values: pa.Array) -> Mask:
    return np.zeros(len(values), dtype=bool) if values.null_count == 0 else _mask(values.is_null())


def _mask(values: pa.Array) -> Mask:
    filled = pc.fill_null(values, fill_value=False) if values.null_count else values
    mask: Mask = filled.to_numpy(zero_copy_only=False)
    return mask.copy() if not mask.flags.writeable else mask


def _mix(words: Hashes) -> Hashes:
    """Scatter 64 bits so that each depends on all (the finaliser of splitmix64)."""
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    mixed: Hashes = words ^ (words >> np.uint64(31))
    return mixed


def _words(values: pa.Array) -> Hashes:
    """Return fixed-width values as 64-bit words; what stands under a null does not matter."""
    kind = values.type
    if pa.types.is_decimal(kind):
        width = kind.byte_width // 8
        buffer = values.buffers()[1]
        words = np.frombuffer(buffer, dtype=np.uint64)[values.offset * width : (values.offset + len(values)) * width].reshape(-1, width)
        folded = words[:, 0].copy()
        for index in range(1, width):
            folded = _mix(folded) + words[:, index]
        return folded
    if pa.types.is_floating(kind):
        numbers = pc.fill_null(values, 0).cast(pa.float64()).to_numpy(zero_copy_only=False) + 0.0  # -0.0 becomes 0.0
        return np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64)
    if pa.types.is_boolean(kind):
        return _mask(values).astype(np.uint64)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        values = values.cast(pa.int32())
    elif pa.types.is_temporal(kind):
        values = values.cast(pa.int64())
    integers: Hashes = pc.fill_null(values, 0).to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64)
    return integers


def _list_hashes(values: pa.Array) -> Hashes:
    offsets = values.offsets.to_numpy()
    if len(values) == 0:
        return np.zeros(0, dtype=np.uint64)
    first, last = int(offsets[0]), int(offsets[-1])
    lengths = np.diff(offsets)
    items = value_hashes(values.values.slice(first, last - first))
    places = np.arange(first, last, dtype=np.int64) - np.repeat(offsets[:-1], lengths)
    return _mix(_sums(_mix(items + places.astype(np.uint64) * _MIX_1), offsets - first, lengths) + lengths.astype(np.uint64))


def _text_hashes(values: pa.Array) -> Hashes:
    """Hash texts as polynomials of their bytes, in pieces of rows so that the steps stay small."""
    count = len(values)
    hashes = np.zeros(count, dtype=np.uint64)
    if count == 0 or values.buffers()[2] is None:
        return _mix(hashes)
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int32)[values.offset : values.offset + count + 1].astype(np.int64)
    content = np.frombuffer(values.buffers()[2], dtype=np.uint8)
    lengths = np.diff(offsets)
    start = 0
    while start < count:
        end = max(start + 1, int(np.searchsorted(offsets, offsets[start] + HASH_BYTES, side="right")) - 1)
        first, last = int(offsets[start]), min(int(offsets[end]), int(offsets[start]) + HASH_BYTES)
        powers, inverses = _powers()
        terms = (content[first:last].astype(np.uint64) + np.uint64(1)) * powers[: last - first]
        starts = offsets[start:end] - first
        ends = np.minimum(offsets[start + 1 : end + 1], last) - first
        sums = _sums(terms, np.append(starts, ends[-1]), ends - starts)
        hashes[start:end] = sums * inverses[np.minimum(starts, HASH_BYTES - 1)]
        start = end
    return _mix(hashes + lengths.astype(np.uint64) * _MIX_1)


def _sums(terms: Hashes, offsets: np.ndarray, lengths: np.ndarray) -> Hashes:
    """Return the sum of each stretch of terms, modulo 2**64."""
    totals = np.zeros(len(terms) + 1, dtype=np.uint64)
    np.cumsum(terms, out=totals[1:])
    starts = offsets[:-1]
    sums: Hashes = totals[starts + lengths] - totals[starts]
    return sums


@lru_cache(maxsize=1)
def _powers() -> tuple[Hashes, Hashes]:
    """Return the powers of the base and of its inverse modulo 2**64, for the places of one step."""
    inverse = pow(_BASE, -1, 1 << 64)
    tables = []
    for base in (_BASE, inverse):
        factors = np.full(HASH_BYTES, base, dtype=np.uint64)
        factors[0] = 1
        tables.append(np.multiply.accumulate(factors))
    return tables[0], tables[1]


def _equal_lists(left: pa.Array, right: pa.Array, both: Mask) -> Mask:
    left_starts, right_starts = left.offsets.to_numpy(), right.offsets.to_numpy()
    lengths = np.diff(left_starts)
    equal: Mask = both & (lengths == np.diff(right_starts))
    rows = np.flatnonzero(equal & (lengths > 0))
    if len(rows) == 0:
        return equal
    counts = lengths[rows].astype(np.int64)
    owners = np.repeat(rows, counts)
    places = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    same = equal_values(
        left.values.take(pa.array(left_starts[:-1][owners] + places)), right.values.take(pa.array(right_starts[:-1][owners] + places))
    )
    equal[owners[~same]] = False
    return equal

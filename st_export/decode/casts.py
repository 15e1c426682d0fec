"""JSON text to Arrow without Python objects: a strict reader, then vectorised casts. All of it runs without the interpreter's lock.

Arrow's JSON reader with a fixed schema refuses nearly all that does not fit: a number for a text, a fraction for an integer, a
field that is not in the schema, a field that comes twice, a decimal with too many places. What it lets through is caught here
(found by trying each, see `tests/decode/test_reader.py`): text that is not UTF-8, several documents in a row, NaN, integers that
no double equals, and decimals with exponents that wrap around. `NotStrict` is raised for anything that is not surely right;
the records are then converted one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from st_export.decode.values import FIRST_DAY, FIRST_MICROSECOND

if TYPE_CHECKING:
    from st_export.decode.controls import Controls
    from st_export.decode.nodes import Node

_EXACT_DOUBLE = float(1 << 53)
_SURE_DECIMAL = 10**15
"""Decimals below this have not wrapped around: a wrapped one is a number of any size, and a real one this large is rare."""

_NAME = "0"
"""The name of the array in the document that is read: no unknown field of this name is ever learnt."""

HEAD, TAIL = b'{"0":[', b"]}"
"""What stands around the items in the document that is read."""

_MIDNIGHTS = pa.array(["", "T00:00:00", "T00:00:00Z", "T00:00:00.0000000", "T00:00:00.0000000Z"])


class NotStrict(Exception):
    """The quick way cannot vouch for a value here."""


def read_array(items: bytes | memoryview, kind: pa.DataType) -> pa.Array:
    """Return the items of a JSON array, given without its brackets, as an Arrow array of `kind`; an absent field is null.

    That it returns proves that `items` is the balanced inside of one JSON array.

    Raises:
        NotStrict: the text is not JSON in UTF-8, or does not fit the type.

    """
    return read_document(array_document(items), kind)


def array_document(items: bytes | memoryview) -> bytes:
    """Return the JSON document for `read_document`: an object whose only field is the array of these items."""
    return b"".join((HEAD, items, TAIL))


def read_document(document: bytes | pa.Buffer, kind: pa.DataType) -> pa.Array:
    """Read a document of `array_document` as `read_array` does; raises `NotStrict` too."""
    if not (isinstance(document, bytes) and document.isascii()):
        _check_utf8(document)
    parse = pa.json.ParseOptions(explicit_schema=pa.schema([pa.field(_NAME, pa.list_(kind))]), unexpected_field_behavior="error")
    options = pa.json.ReadOptions(use_threads=False, block_size=len(document) + 1)
    try:
        table = pa.json.read_json(pa.BufferReader(document), read_options=options, parse_options=parse)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise NotStrict(str(error)) from error
    column = table.column(0)
    if table.num_rows != 1 or column.num_chunks != 1:
        raise NotStrict("not one array")
    return column.chunk(0).values


def _check_utf8(text: bytes | pa.Buffer) -> None:
    ends = pa.py_buffer(np.array([0, len(text)], dtype=np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(text)).validate(full=True)
    except pa.ArrowInvalid as error:
        raise NotStrict("not UTF-8") from error


def finish(node: Node, array: pa.Array, controls: Controls) -> pa.Array:  # noqa: PLR0911 - one line a kind
    """Return an array of the node's target type from one of its sent type.

    Raises:
        NotStrict: a value does not convert exactly.

    """
    if node.is_plain and array.type == node.target:
        return array
    if node.kind == "list":
        return _finish_list(node, array, controls)
    if node.kind == "struct":
        return _finish_struct(node, array, controls)
    if array.null_count == len(array):
        return pa.nulls(len(array), node.target)
    if node.kind == "decimal":
        return _decimals(array, node.target)
    if node.kind == "hash":
        return _hashes(array, controls)
    cast = _CASTS.get(node.kind)
    if cast is None:
        raise NotStrict(f"{node.kind} has no quick way")
    return cast(array)


def finish_fields(node: Node, array: pa.Array, controls: Controls) -> dict[str, pa.Array]:
    """Return the fields of a struct that the lake has, by name, in their target types.

    Raises:
        NotStrict: as `finish`.

    """
    fields: dict[str, pa.Array] = {}
    for at, child in enumerate(node.fields.values()):
        sent = array.field(at)
        if child.is_kept:
            fields[child.name] = finish(child, sent, controls)
        elif child.kind == "left out" and sent.null_count < len(sent):
            raise NotStrict("a value without a column")
    return fields


def _finish_list(node: Node, array: pa.Array, controls: Controls) -> pa.Array:
    if node.item is None or array.offset:
        raise NotStrict("a list that is a slice")
    items = finish(node.item, array.values, controls)
    return pa.ListArray.from_arrays(array.offsets, items, type=node.target, mask=array.is_null())


def _finish_struct(node: Node, array: pa.Array, controls: Controls) -> pa.Array:
    children = finish_fields(node, array, controls)
    if node.target is None or not children:
        raise NotStrict("a struct without fields")
    return pa.StructArray.from_arrays(list(children.values()), fields=list(node.target), mask=array.is_null())


def _timestamps(array: pa.Array) -> pa.Array:
    """Return microseconds of date-time texts that all end with `Z`, or all have no zone."""
    zoned = pc.ends_with(array, "Z")
    if pc.all(zoned).as_py():
        array = pc.utf8_slice_codeunits(array, 0, -1)
    elif pc.any(zoned).as_py():
        raise NotStrict("zones differ")
    # 26 characters are a moment to the microsecond; an offset would be cut in two here, which the cast refuses.
    if pc.max(pc.binary_length(array)).as_py() > 26:
        rest = pc.utf8_slice_codeunits(array, 26)
        if not pc.all(pc.or_(pc.ascii_is_decimal(rest), pc.equal(rest, ""))).as_py():
            raise NotStrict("no fraction of a second")
        array = pc.utf8_slice_codeunits(array, 0, 26)
    moments = _cast(array, pa.timestamp("us"))
    if pc.min(moments).cast(pa.int64()).as_py() < FIRST_MICROSECOND:
        raise NotStrict("before the year 1")
    return moments.cast(pa.timestamp("us", tz="UTC"))


def _dates(array: pa.Array) -> pa.Array:
    times = pc.utf8_slice_codeunits(array.drop_null() if array.null_count else array, 10)
    if not pc.all(pc.is_in(times, _MIDNIGHTS)).as_py():
        raise NotStrict("a time of day")
    days = _cast(pc.utf8_slice_codeunits(array, 0, 10), pa.date32())
    if pc.min(days).cast(pa.int32()).as_py() < FIRST_DAY:
        raise NotStrict("before the year 1")
    return days


def _decimals(array: pa.Array, target: pa.DataType) -> pa.Array:
    extremes = pc.min_max(array).as_py()
    if max(-extremes["min"], extremes["max"]) >= _SURE_DECIMAL:
        raise NotStrict("a large decimal")
    if pa.types.is_decimal(target):
        return array
    doubles = _cast(array.cast(pa.string()), pa.float64())
    if not pc.all(pc.equal(_cast(doubles.cast(pa.string()), array.type), array)).as_py():
        raise NotStrict("more digits than a double has")
    return doubles


def _doubles(array: pa.Array) -> pa.Array:
    # NaN fails the comparison too.
    if not pc.all(pc.less(pc.abs(array), _EXACT_DOUBLE)).as_py():
        raise NotStrict("not a finite, exact double")
    return array


def _hashes(array: pa.Array, controls: Controls) -> pa.Array:
    distinct = array.dictionary_encode()
    hashes = pa.array([controls.hashed(value) for value in distinct.dictionary.to_pylist()], pa.string())
    return hashes.take(distinct.indices)


_CASTS = {"timestamp": _timestamps, "date": _dates, "double": _doubles}


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return array.cast(kind)
    except pa.ArrowInvalid as error:
        raise NotStrict(str(error)) from error

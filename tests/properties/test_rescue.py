"""What went in is found in columns or in `_rescued`, and the quick way agrees with the careful one, for random records."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa  # noqa: TC002 - hypothesis resolves annotations
from hypothesis import given, settings
from hypothesis import strategies as st

from st_export.catalog.entity import Column
from st_export.catalog.schema import entity_schema
from st_export.decode.casts import NotStrict
from st_export.decode.columns import CarefulReader, quick_columns
from st_export.decode.controls import Controls
from st_export.decode.nodes import row_node
from st_export.decode.text import json_text, loads
from st_export.decode.unknown import Learner
from tests.decode.cases import decode, entity

NAMES = ["id", "a", "b", "c", "d"]
SCALARS = ["int64", "bool", "string", "timestamp", "date", "decimal", "double", "json"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
DIGITS = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
MOMENTS = st.from_regex(
    r"20[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,8})?(Z|[+-]0[0-9]:00)?)?", fullmatch=True
)
LEAVES = (
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-5, 5),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
        DIGITS,
        MOMENTS,
    ).map(json.dumps)
    | DIGITS
)
"""JSON texts, so that long numbers can be said."""


def listed(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"


def named(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}"


KEYS = st.sampled_from([*NAMES, "x", "y"]) | TEXTS
JSONS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3).map(listed) | st.dictionaries(KEYS, inner, max_size=4).map(named), max_leaves=6
)


def columns(depth: int = 2) -> st.SearchStrategy[list[Column]]:
    return st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=4).flatmap(
        lambda names: st.tuples(*(typed(n, depth) for n in names)).map(list)
    )


def typed(name: str, depth: int) -> st.SearchStrategy[Column]:
    scalar = st.sampled_from(SCALARS).map(lambda kind: Column(name, kind))  # type: ignore[arg-type]
    if depth == 0:
        return scalar
    struct = columns(depth - 1).map(lambda fields: Column(name, "struct", fields=tuple(fields)))
    return scalar | struct | typed("item", depth - 1).map(lambda item: Column(name, "list", item=item))


def fitting(column: Column) -> st.SearchStrategy[str]:
    """JSON texts that fit a column, nulls among them."""
    if column.type == "struct":
        fields = {field.name: fitting(field) for field in column.fields}
        return st.none().map(json.dumps) | st.fixed_dictionaries({}, optional=fields).map(named)
    if column.item is not None:
        return st.none().map(json.dumps) | st.lists(fitting(column.item), max_size=3).map(listed)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "int64": st.integers(-(2**63), 2**63 - 1),
        "bool": st.booleans(),
        "string": TEXTS,
        "timestamp": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
        "date": st.dates().map(str),
        "decimal": st.decimals(-(10**9), 10**9, places=4, allow_nan=False).map(str) | st.integers(-100, 100),
        "double": st.floats(-1e9, 1e9, allow_nan=False),
        "json": st.none(),
    }
    return (st.none() | kinds[column.type]).map(json.dumps)


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[Column, ...], list[str]]:
    """Columns, and records for them: most values fit, some do not, some fields are unknown."""
    chosen = tuple(draw(columns()))
    mixed = {column.name: fitting(column) | JSONS if draw(st.booleans()) else fitting(column) for column in chosen}
    unknown = draw(
        st.dictionaries(st.sampled_from(["x", "y", "zeta"]), st.sampled_from([LEAVES, st.integers(0, 9).map(str), JSONS]), max_size=2)
    )
    records = st.lists(st.fixed_dictionaries({}, optional=mixed | unknown).map(named), min_size=1, max_size=6)
    return chosen, draw(records)


@settings(max_examples=300, deadline=None)
@given(tables())
def test_quick_and_careful_agree(table: tuple[tuple[Column, ...], list[str]]) -> None:
    chosen, records = table
    schema = entity_schema(entity(*chosen))
    row = row_node(chosen, schema, {})
    items = ",".join(records).encode()
    values = loads(b"[" + items + b"]")
    one_by_one = CarefulReader(row, Learner(row))
    one_by_one._stubborn = frozenset(row.fields)
    expected = one_by_one.columns(values)
    learner = Learner(row)
    assert_same(CarefulReader(row, learner).columns(values), expected)
    try:
        quick, _ = quick_columns(row, items, Controls(), learner)
    except NotStrict:
        return
    assert_same(quick, expected)


def assert_same(found: dict[str, pa.Array], expected: dict[str, pa.Array]) -> None:
    for name, array in expected.items():
        found[name].validate(full=True)
        assert found[name].type == array.type
        assert found[name].equals(array), (name, found[name], array)


@settings(max_examples=300, deadline=None)
@given(tables())
def test_nothing_is_lost(table: tuple[tuple[Column, ...], list[str]]) -> None:
    chosen, records = table
    body = b'{"hasMore":false,"data":[' + ",".join(records).encode() + b"]}"
    found = [row for piece in decode(entity(*chosen), body) for row in piece.batch.to_pylist()]
    assert len(found) == len(records)
    for row, text in zip(found, records, strict=True):
        rescued = loads((row["_rescued"] or "{}").encode())
        sent = loads(text.encode())
        places = [name for name in sent if name not in {column.name for column in chosen}]
        assert all(rescued[name] == sent[name] for name in places)
        for column in chosen:
            assert not missing(column, sent.get(column.name), row[column.name], column.name, rescued)


def missing(column: Column, sent: Any, kept: Any, path: str, rescued: dict[str, Any]) -> list[str]:
    """The paths of what was sent and is neither in the column's value nor in `_rescued`."""
    if sent is None or (path in rescued and rescued[path] == sent):
        return []
    if column.type == "struct" and isinstance(sent, dict) and kept is not None:
        known = {field.name: field for field in column.fields}
        return [
            place
            for name, value in sent.items()
            for place in (
                missing(known[name], value, kept[name], f"{path}.{name}", rescued)
                if name in known
                else []
                if any(value == other for other in rescued.values())
                else [f"{path}.{name}"]
            )
        ]
    if column.item is not None and isinstance(sent, list) and kept is not None and len(sent) == len(kept):
        return [place for at, value in enumerate(sent) for place in missing(column.item, value, kept[at], f"{path}[{at}]", rescued)]
    return [] if kept is not None and holds(column, sent, kept) else [path]


def holds(column: Column, sent: Any, kept: Any) -> bool:
    if column.type == "json":
        return bool(loads(kept.encode()) == sent)
    if column.type in ("decimal", "int64"):
        text = sent if isinstance(sent, str) else json_text(sent)
        return bool(Decimal(text) == kept)
    if column.type == "double":
        return bool(float(sent) == kept)
    if column.type in ("timestamp", "date"):
        return str(kept)[:10] in sent or "+" in sent or sent.count("-") > 2
    return bool(orjson.dumps(sent) == orjson.dumps(kept))

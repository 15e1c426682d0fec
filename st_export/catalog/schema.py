"""Entities → Arrow schemas: the API's columns, then ours, in the same order in every file. The only importer of Arrow here.

Nullable is everything but the key. Lists name their items `element`, as Parquet does, so that what is read back is equal.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from st_export.catalog.entity import Column, Entity

_TIMESTAMP = pa.timestamp("us", tz="UTC")
_STRING = pa.string()
_SIMPLE: dict[str, Any] = {
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": _STRING,
    "json": _STRING,
    "timestamp": _TIMESTAMP,
    "date": pa.date32(),
    "double": pa.float64(),
}
_OWN_FIELDS = (
    pa.field("_tenant_id", pa.int64()),
    pa.field("_exported_at", _TIMESTAMP),
    pa.field("_run_id", _STRING),
    pa.field("_deleted", pa.bool_()),
    pa.field("_rescued", _STRING),
)
OWN_COLUMNS = tuple(field.name for field in _OWN_FIELDS)
"""The columns of ours that stand last in every file of every entity, in their order."""

_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_MAX_DIGITS = 38


def number_type(numbers: str) -> Any:
    """Return the Arrow type of a `decimal` column for the option `numbers`: `decimal`, `decimal(P,S)` or `double`.

    Raises `ConfigError` where it is none of them, or P is not in 1…38 or S not in 0…P.
    """
    if numbers == "double":
        return pa.float64()
    match = _DECIMAL.fullmatch("decimal(38,9)" if numbers == "decimal" else numbers)
    digits, places = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= digits <= _MAX_DIGITS or places > digits:
        raise ConfigError(f"`numbers: {numbers}` is no number type", hint="`decimal`, `decimal(P,S)` with S ≤ P ≤ 38, or `double`")
    return pa.decimal128(digits, places)


def arrow_type(column: Column, numbers: str = "decimal") -> Any:
    """Return the Arrow type of a column; `numbers` says how `decimal` is stored. Raises `ConfigError` as `number_type`."""
    return _arrow_type(column, number_type(numbers))


def entity_schema(
    entity: Entity,
    numbers: str = "decimal",
    drop: Collection[str] = (),
    hash: Collection[str] = (),  # noqa: A002
) -> pa.Schema:
    """Return the schema of an entity's files: API columns, columns of its kind, columns of ours.

    `drop` and `hash` are paths of columns (`phoneSettings`, `address.street`, `items.cost` or `items[].cost`): the first are
    left out, the second become strings. Paths that the entity does not have are without effect here: an unknown field may
    have that name. Raises `ConfigError` where a key column is dropped, and as `number_type`.
    """
    decimal = number_type(numbers)
    dropped = frozenset(_plain_path(path) for path in drop)
    hashed = frozenset(_plain_path(path) for path in hash)
    for name in entity.key:
        if name in dropped:
            raise ConfigError(f"`{name}` is the key of {entity.name} and cannot be dropped", hint="hash it, if it must not be seen")
    columns = _controlled(entity.columns, "", dropped, hashed)
    fields = [pa.field(column.name, _arrow_type(column, decimal)) for column in columns]
    fields.extend(_kind_fields(entity))
    fields.extend(_OWN_FIELDS)
    return pa.schema([field.with_nullable(field.name not in entity.key) for field in fields])


def type_text(column: Column, numbers: str = "decimal") -> str:
    """Return a column's Arrow type as text: `decimal128(38, 9)`, `list<struct<id: int64>>`, `timestamp[us, UTC]`."""
    return arrow_text(arrow_type(column, numbers))


def arrow_text(arrow: Any) -> str:
    """Return an Arrow type as text, in the words of `type_text`."""
    if pa.types.is_list(arrow):
        return f"list<{arrow_text(arrow.value_type)}>"
    if pa.types.is_struct(arrow):
        return f"struct<{', '.join(f'{field.name}: {arrow_text(field.type)}' for field in arrow)}>"
    if pa.types.is_timestamp(arrow):
        return f"timestamp[{arrow.unit}, {arrow.tz}]" if arrow.tz else f"timestamp[{arrow.unit}]"
    if pa.types.is_date32(arrow):
        return "date32"
    return "float64" if pa.types.is_float64(arrow) else str(arrow)


def _arrow_type(column: Column, decimal: Any) -> Any:
    if column.type == "list" and column.item is not None:
        return pa.list_(pa.field("element", _arrow_type(column.item, decimal)))
    if column.type == "struct":
        return pa.struct([pa.field(field.name, _arrow_type(field, decimal)) for field in column.fields])
    return decimal if column.type == "decimal" else _SIMPLE[column.type]


def _kind_fields(entity: Entity) -> list[pa.Field]:
    fields: list[pa.Field] = []
    if entity.kind == "child" and entity.parents and not entity.batch_ids:
        fields.append(pa.field("_parent_id", _SIMPLE[entity.parents[-1].type]))
        if len(entity.parents) > 1:
            fields.append(pa.field("_parent_ids", pa.list_(pa.field("element", _STRING))))
    if entity.per is not None or entity.kind in ("report", "capacity"):
        fields.extend((pa.field("_window_from", _TIMESTAMP), pa.field("_window_to", _TIMESTAMP)))
    if entity.segment_parameter is not None:
        fields.append(pa.field("_segment", _STRING))
    return fields


def _plain_path(path: str) -> str:
    return path.replace("[]", "")


def _controlled(columns: Sequence[Column], prefix: str, dropped: frozenset[str], hashed: frozenset[str]) -> list[Column]:
    """Return the columns without the dropped ones, the hashed ones as strings, inside lists and structs too."""
    kept = (_controlled_column(column, f"{prefix}{column.name}", dropped, hashed) for column in columns)
    return [column for column in kept if column is not None]


def _controlled_column(column: Column, path: str, dropped: frozenset[str], hashed: frozenset[str]) -> Column | None:
    if path in dropped:
        return None
    if path in hashed:
        return replace(column, type="string", item=None, fields=())
    if column.item is not None:
        item = _controlled_column(column.item, path, dropped, hashed)
        return replace(column, item=item) if item is not None else None
    if column.type != "struct":
        return column
    fields = tuple(_controlled(column.fields, f"{path}.", dropped, hashed))
    return replace(column, fields=fields) if fields else None

"""Response schemas of an OpenAPI document → columns: nested types, types that contain themselves, corrections.

What a schema does not say (free-form objects, alternatives, a type inside itself) becomes `json`. Leaves out which schema
belongs to which entity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from st_export.catalog.entity import Column, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Schema = dict[str, Any]
"""A schema object as the document has it."""

_MAX_DEPTH = 32
_STRINGS: dict[str, Scalar] = {"date-time": "timestamp", "date": "date"}
_NUMBERS: dict[str, Scalar] = {"double": "double", "float": "double"}


class Schemas:
    """The named schemas of one document, and the reading of columns from them."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._named: dict[str, Schema] = document.get("components", {}).get("schemas", {})

    def properties(self, schema: Schema) -> dict[str, Schema]:
        """Return the properties of a schema, through references; none where it is no object."""
        resolved, _ = self._resolve(schema, ())
        properties: dict[str, Schema] = resolved.get("properties", {})
        return properties

    def item(self, schema: Schema) -> Schema | None:
        """Return the schema of an array's items, None where it is no array."""
        resolved, _ = self._resolve(schema, ())
        return resolved.get("items", {}) if resolved.get("type") == "array" else None

    def values(self, schema: Schema) -> tuple[str, ...]:
        """Return the values that a schema allows, through references; none where it does not list them."""
        resolved, _ = self._resolve(schema, ())
        return tuple(str(value) for value in resolved.get("enum", ()))

    def row_columns(self, schema: Schema) -> tuple[Column, ...]:
        """Return the columns of a row with this schema: an object's properties, else one column `value`."""
        resolved, seen = self._resolve(schema, ())
        if not resolved.get("properties"):
            return (self._column("value", schema, (), 0),)
        return tuple(self._column(name, value, seen, 1) for name, value in resolved["properties"].items())

    def _column(self, name: str, schema: Schema, seen: tuple[str, ...], depth: int) -> Column:
        resolved, inner = self._resolve(schema, seen)
        if depth > _MAX_DEPTH or (len(inner) > len(seen) and inner[-1] in seen):
            return Column(name, "json")
        if resolved.get("type") == "array":
            return Column(name, "list", item=self._column("item", resolved.get("items", {}), inner, depth + 1))
        if resolved.get("properties"):
            fields = (self._column(field, value, inner, depth + 1) for field, value in resolved["properties"].items())
            return Column(name, "struct", fields=tuple(fields))
        return Column(name, _scalar(resolved))

    def _resolve(self, schema: Schema, seen: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """Follow references and single alternatives; add the name of a reference that was followed to those seen."""
        for _ in range(_MAX_DEPTH):
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                schema, seen = self._named.get(name, {}), (*seen, name)
                if seen.count(name) > 1:
                    break
            elif len(schema.get("oneOf", ())) == 1 and "properties" not in schema:
                schema = schema["oneOf"][0]
            elif len(schema.get("allOf", ())) == 1 and "properties" not in schema:
                schema = schema["allOf"][0]
            else:
                break
        return schema, seen


def merge_columns(columns: Sequence[Column], others: Iterable[Column]) -> tuple[Column, ...]:
    """Return `columns` and, after them, what only `others` have, inside structs too; where types differ `columns` win."""
    merged = {column.name: column for column in columns}
    for other in others:
        merged[other.name] = _merge_column(merged[other.name], other) if other.name in merged else other
    return tuple(merged.values())


def retype_columns(columns: Sequence[Column], path: str, word: Scalar) -> tuple[Column, ...]:
    """Return the columns with the scalar at `path` (`items[].cost`, `campaign.status`) retyped; as they are where it is not."""
    name, _, rest = path.partition(".")
    is_list = name.endswith("[]")
    plain = name.removesuffix("[]")
    return tuple(_retype(column, rest, word, is_list=is_list) if column.name == plain else column for column in columns)


def find_column(columns: Sequence[Column], path: str) -> Column | None:
    """Return the column at `path` (`leadCall.modifiedOn`, `assets[].url`), None where there is none."""
    name, _, rest = path.partition(".")
    column = next((column for column in columns if column.name == name.removesuffix("[]")), None)
    if column is not None and name.endswith("[]"):
        column = column.item
    if column is None or not rest:
        return column
    return find_column(column.fields, rest)


def _retype(column: Column, rest: str, word: Scalar, *, is_list: bool) -> Column:
    if is_list:
        return replace(column, item=_retype(column.item, rest, word, is_list=False)) if column.item is not None else column
    if rest:
        return replace(column, fields=retype_columns(column.fields, rest, word))
    return Column(column.name, word)


def _merge_column(column: Column, other: Column) -> Column:
    if column.type != other.type:
        return column
    if column.item is not None and other.item is not None:
        return replace(column, item=_merge_column(column.item, other.item))
    return replace(column, fields=merge_columns(column.fields, other.fields)) if column.type == "struct" else column


def _scalar(schema: Schema) -> Scalar:
    word = schema.get("type")
    if word == "integer":
        return "int64"
    if word == "boolean":
        return "bool"
    if word == "number":
        return _NUMBERS.get(schema.get("format", ""), "decimal")
    if word == "string":
        return _STRINGS.get(schema.get("format", ""), "string")
    return "json"

"""One schema over files that were written under different catalogs.

The rule, never silent:

- a column that some files lack is null in their rows; a field that a struct gained likewise;
- a retyped column is cast up where every value keeps its meaning: a narrower integer to a wider one, an integer to a decimal
  with room for it, a decimal to one with at least as many digits on both sides of the point, anything plain to text;
- every other change (decimal and double, a list that became a struct, date and date-time) is an error that names the column
  and both types. Nothing is read with a guess.

Files are never rewritten: the rule is applied where they are read (`query`, `compact`, `catalog.json`). Other engines: DuckDB with
`union_by_name` and `pyarrow.dataset` with the newest schema follow the same rule; polars adds missing columns and struct fields
when asked but casts no integer to decimal; Spark with the declared columns of `st-export views` adds columns and struct fields and refuses
retyped ones; BigQuery reads added columns from the declared schema and refuses retyped ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from st_export.errors import EntityFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INT_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}
"""Decimal digits that a signed integer of so many bits may need."""


def unified(schemas: Sequence[pa.Schema], entity: str) -> pa.Schema:
    """Return the one schema that holds the rows of all files: the newest last, its order of columns first.

    Args:
        schemas: distinct schemas of an entity's files, the newest (or the catalog's) last.
        entity: for the error.

    Raises:
        EntityFailed: a column was retyped in a way that would change values; names the column and both types.

    """
    newest = schemas[-1]
    fields: dict[str, pa.Field] = {}
    for schema in (newest, *reversed(schemas[:-1])):
        for field in schema:
            known = fields.get(field.name)
            fields[field.name] = field if known is None else _joined(known, field, entity, field.name)
    everywhere = set.intersection(*(set(schema.names) for schema in schemas))
    return pa.schema([field if field.name in everywhere else field.with_nullable(True) for field in _own_last(fields.values())])


def _own_last(fields: Iterable[pa.Field]) -> list[pa.Field]:
    """Return the API's columns before ours, each in the order given."""
    return sorted(fields, key=lambda field: field.name.startswith("_"))


def _joined(one: pa.Field, other: pa.Field, entity: str, path: str) -> pa.Field:
    nullable = one.nullable or other.nullable
    return pa.field(one.name, _join(one.type, other.type, entity, path), nullable=nullable)


def _join(one: pa.DataType, other: pa.DataType, entity: str, path: str) -> pa.DataType:
    """Return the type that holds the values of both."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return _join_structs(one, other, entity, path)
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(pa.field("element", _join(one.value_type, other.value_type, entity, f"{path}[]"), nullable=True))
    joined = _join_numbers(one, other) or _join_text(one, other)
    if joined is None:
        raise EntityFailed(
            f"column `{path}` has the type {other} in some files and {one} in others; no type holds both without a loss",
            hint=f"move the files of the older type out of `{entity}/`, then `st-export reset {entity}` and run again",
            entity=entity,
        )
    return joined


def _join_structs(one: pa.DataType, other: pa.DataType, entity: str, path: str) -> pa.DataType:
    fields = {one.field(index).name: one.field(index) for index in range(one.num_fields)}
    for index in range(other.num_fields):
        field = other.field(index)
        known = fields.get(field.name)
        fields[field.name] = field if known is None else _joined(known, field, entity, f"{path}.{field.name}")
    return pa.struct(list(fields.values()))


def _join_numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_signed_integer(one) and pa.types.is_signed_integer(other):
        return one if one.bit_width >= other.bit_width else other
    digits = (_digits(one), _digits(other))
    if digits[0] is None or digits[1] is None:
        return None
    whole = max(digits[0][0], digits[1][0])
    places = max(digits[0][1], digits[1][1])
    for arrow, (own_whole, own_places) in ((one, digits[0]), (other, digits[1])):
        # Only an existing decimal type may win: an invented wider one would differ from the catalog's.
        if pa.types.is_decimal(arrow) and own_whole >= whole and own_places >= places:
            return arrow
    return None


def _digits(arrow: pa.DataType) -> tuple[int, int] | None:
    """Return how many digits a number may have before and behind the point."""
    if pa.types.is_signed_integer(arrow):
        return INT_DIGITS[arrow.bit_width], 0
    if pa.types.is_decimal(arrow):
        return arrow.precision - arrow.scale, arrow.scale
    return None


def _join_text(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    text = (pa.string(), pa.large_string())
    if one in text and not pa.types.is_nested(other):
        return one
    return other if other in text and not pa.types.is_nested(one) else None

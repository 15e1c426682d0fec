"""Types of columns as short text, and back: `int64`, `list<decimal>`, `struct<id: int64, name: string>`.

The text is what the catalog's files hold. It leaves out how a type is stored (Arrow), which `schema` decides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, get_args

from st_export.catalog.entity import Column, Scalar

if TYPE_CHECKING:
    from typing import Literal

_SCALARS: dict[str, Scalar] = {word: word for word in get_args(Scalar)}
_ITEM = "item"


def format_type(column: Column) -> str:
    """Return the column's type as text, without its name."""
    if column.type == "list" and column.item is not None:
        return f"list<{format_type(column.item)}>"
    if column.type == "struct":
        return f"struct<{', '.join(f'{field.name}: {format_type(field)}' for field in column.fields)}>"
    return column.type


def parse_column(name: str, text: str) -> Column:
    """Return the column with this name and type text.

    Raises `ValueError` where the text is no type.
    """
    scalar = _SCALARS.get(text)
    if scalar is not None:
        return Column(name, scalar)
    kind, item, fields = _parse_nested(text)
    return Column(name, kind, item, fields)


@lru_cache(maxsize=4096)
def _parse_nested(text: str) -> tuple[Literal["list", "struct"], Column | None, tuple[Column, ...]]:
    if text.startswith("list<") and text.endswith(">"):
        return "list", parse_column(_ITEM, text[5:-1]), ()
    if text.startswith("struct<") and text.endswith(">"):
        return "struct", None, tuple(_parse_field(part) for part in _split_fields(text[7:-1]))
    raise ValueError(f"`{text}` is no column type")


def _parse_field(text: str) -> Column:
    name, separator, type_text = text.partition(": ")
    if not separator:
        raise ValueError(f"`{text}` is no field: `name: type` is expected")
    return parse_column(name, type_text)


def _split_fields(text: str) -> list[str]:
    """Split at the commas that are not inside angle brackets."""
    fields: list[str] = []
    pending = ""
    depth = 0
    for part in text.split(", "):
        pending = f"{pending}, {part}" if pending else part
        depth += part.count("<") - part.count(">")
        if depth == 0:
            fields.append(pending)
            pending = ""
    if pending:
        raise ValueError(f"`{text}` has brackets that do not match")
    return fields

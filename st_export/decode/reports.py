"""Report answers: rows by position, named by the answer's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from st_export.flow import Json


def column_names(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a report's fields: names that repeat, upper and lower case taken as one, get `_2`, `_3`.

    A field without a name is called by its position, `column_4`.
    """
    taken: set[str] = set()
    names: list[str] = []
    for position, field in enumerate(fields, start=1):
        stem = field or f"column_{position}"
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)


def named_rows(fields: Sequence[str], rows: list[Json]) -> list[Json]:
    """Return rows by position as objects by column name; what is no list stays as it is.

    Cells beyond the fields are named by their position, `[7]`; a row that is too short lacks the last columns.

    Source: reporting-v2, `…/reports/{id}/data`: `fields[]` and `data[][]`.
    """
    names = column_names(fields)
    return [_named(names, row) if isinstance(row, list) else row for row in rows]


def _named(names: tuple[str, ...], row: list[Json]) -> dict[str, Json]:
    record = dict(zip(names, row, strict=False))
    record.update({f"[{position}]": value for position, value in enumerate(row[len(names) :], start=len(names))})
    return record

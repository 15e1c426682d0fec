"""`_rescued`: for each row one JSON object of what its columns cannot hold, by path, as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export.decode.nodes import ITEMS
from st_export.decode.text import json_text

if TYPE_CHECKING:
    from st_export.flow import Json

Path = tuple["Path | None", str | int]
"""A place in a record: the place around it, then a field's name or an item's number. Spelt out only where it is needed."""

Misfit = tuple[Path, "Json"]
"""What one place of a record held that its column cannot hold."""


def spell(path: Path) -> str:
    """Return the path as it stands in `_rescued`: `address.floor`, `items[2].cost`, `tagTypeIds[1]`."""
    parts: list[str] = []
    place: Path | None = path
    while place is not None:
        outer, step = place
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            parts.append(f".{step}" if outer is not None else step)
        place = outer
    return "".join(reversed(parts))


def in_order(record: dict[str, Json], misfits: list[Misfit]) -> list[Misfit]:
    """Return a row's misfits in the order in which their fields were sent."""
    if len(misfits) == 1:
        return misfits
    order = {name: number for number, name in enumerate(record)}
    return sorted(misfits, key=lambda misfit: order[_top(misfit[0])])


def rescued_text(misfits: list[Misfit]) -> str | None:
    """Return a row's `_rescued`, None where nothing is.

    Two places can be spelt alike (a field named `a.b` beside a field `b` in `a`): the later one is then put in brackets and
    quotes, `["a.b"]`, so that none is lost.
    """
    if not misfits:
        return None
    values: dict[str, Json] = {}
    for path, value in misfits:
        name = spell(path)
        while name in values:
            name = f"[{json_text(name)}]"
        values[name] = value
    return json_text(values)


def steps(path: Path) -> tuple[str, ...]:
    """Return the path as names from the record inwards, every item of a list as `[]`."""
    found: list[str] = []
    place: Path | None = path
    while place is not None:
        place, step = place
        found.append(ITEMS if isinstance(step, int) else step)
    return tuple(reversed(found))


def _top(path: Path) -> str:
    outer, step = path
    while outer is not None:
        outer, step = outer
    return str(step)

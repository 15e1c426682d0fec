"""The truth: every version of every record that the look-alike ever had, to hold an export against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson

from st_export.simulate.answers import Answer
from st_export.simulate.routes import Route, all_routes
from st_export.simulate.values import time_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.simulate.rows import Rows, Version
    from st_export.simulate.tenant import Tenant

_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class TruthVersion:
    """A version of a record as a view shows it. `at` since when; `current` the last one; `listed` whether lists show it still."""

    id: str
    parent: str | None
    at: str
    modified_on: str
    current: bool
    listed: bool
    record: bytes

    def to_line(self) -> bytes:
        """Return the version as one line of JSON; the record stands in it as it was sent."""
        head = {
            "id": self.id,
            "parent": self.parent,
            "at": self.at,
            "modifiedOn": self.modified_on,
            "current": self.current,
            "listed": self.listed,
        }
        return orjson.dumps(head)[:-1] + b',"record":' + self.record + b"}\n"


def view_of(path: str) -> Route:
    """Return the view of a path (with or without ids filled in, placeholders as the documents have them) or of a collection's name.

    A name stands for its feed, else its list.

    Raises:
        KeyError: no such view.

    """
    found = [route for route in all_routes() if route.path == path]
    if not found:
        named = [route for route in all_routes() if route.collection == path]
        order = ("feed", "list", "one", "part", "object")
        found = sorted((each for each in named if each.kind in order), key=lambda each: order.index(each.kind))
    if not found:
        raise KeyError(f"no call at {path}")
    return found[0]


def truth(tenant: Tenant, route: Route, *, current_only: bool = False) -> Iterator[TruthVersion]:
    """Yield the versions of all records of a view, row by row, the oldest version first; removed records are not current."""
    rows = tenant.rows(route.collection)
    for start in range(0, rows.count, _CHUNK):
        wanted = [
            (row, number, version)
            for row in range(start, min(start + _CHUNK, rows.count))
            for number, version in enumerate(rows.versions(row))
            if not version.gone and (not current_only or number == len(rows.versions(row)) - 1)
        ]
        if wanted:
            yield from _written(tenant, route, rows, wanted)


def _written(tenant: Tenant, route: Route, rows: Rows, wanted: list[tuple[int, int, Version]]) -> Iterator[TruthVersion]:
    index = np.array([row for row, _, _ in wanted], dtype=np.int64)
    versions = {place: version for place, (row, _, version) in enumerate(wanted) if row in rows.history}
    records = tenant.write(route, index, versions)
    shown = time_texts(np.array([version.at for _, _, version in wanted]))
    modified = time_texts(np.array([version.modified for _, _, version in wanted]))
    parent = tenant.parent_of(route.collection)
    parents = tenant.id_texts(parent, rows.parent[index]) if parent else [str(each + 1) for each in rows.parent[index].tolist()]
    ids = tenant.id_texts(route.collection, index) if tenant.id_is_text(route.collection) else list(map(str, rows.ids[index].tolist()))
    for place, (row, number, version) in enumerate(wanted):
        yield TruthVersion(
            id=ids[place].strip('"'),
            parent=parents[place].strip('"') if parent is not None else None,
            at=shown[place].strip('"'),
            modified_on=modified[place].strip('"'),
            current=number == len(rows.versions(row)) - 1,
            listed=not version.deleted,
            record=records[place].encode(),
        )


def truth_lines(tenant: Tenant, route: Route, *, current_only: bool) -> Answer:
    """Return the truth of a view as lines of JSON."""
    return Answer(200, b"".join(each.to_line() for each in truth(tenant, route, current_only=current_only)), "application/x-ndjson")

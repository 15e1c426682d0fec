"""Records to columns: quickly where all fits, one value at a time where something does not, with the same result.

The quick way never sees Python objects (`casts`). Where it refuses a piece, the records are parsed, unknown fields are taken
out, and each column is tried the quick way again on its own; only columns that still refuse are converted value by value, and
what does not fit goes to `_rescued` under its path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from st_export.decode.casts import NotStrict, array_document, finish, finish_fields, read_array, read_document
from st_export.decode.controls import NO_CONTROLS
from st_export.decode.nodes import Node, after_controls, inside
from st_export.decode.rescue import in_order, rescued_text
from st_export.decode.unknown import Learner, rescued

if TYPE_CHECKING:
    from st_export.decode.controls import Controls
    from st_export.decode.rescue import Misfit, Path
    from st_export.flow import Json

Columns = dict[str, pa.Array]
"""Arrays by column name, all of one length."""

RESCUED = "_rescued"


def quick_columns(row: Node, items: bytes | memoryview, controls: Controls, learner: Learner) -> tuple[Columns, int]:
    """Return the columns of the records in `items` (the inside of a JSON array) and their number, `_rescued` among them.

    Raises:
        NotStrict: something does not surely fit.

    """
    unknowns = learner.unknowns
    cuts = learner.cutter.cut(memoryview(items), unknowns) if unknowns.runs else None
    document = array_document(items) if cuts is None else cuts.document
    kind = learner.kind(unknowns, cuts.markers()) if cuts is not None else learner.kind(unknowns, ()) if unknowns.fields else row.sent
    rows = read_document(document, kind)
    if rows.null_count:
        raise NotStrict("a record that is null")
    columns = finish_fields(row, rows, controls)
    texts = rescued(row, rows, document, unknowns if cuts is None else unknowns.nested(), cuts)
    columns[RESCUED] = pa.nulls(len(rows), pa.string()) if texts is None else texts
    return columns, len(rows)


class CarefulReader:
    """Records as Python values to columns; `learner` is told of unknown fields.

    Columns that refused the quick way last time are not tried again until they had nothing to rescue.
    """

    def __init__(self, row: Node, learner: Learner) -> None:
        self._nodes = list(after_controls(row).fields.values())
        self._known = frozenset(node.name for node in self._nodes)
        self._learner = learner
        self._stubborn: frozenset[str] = frozenset()

    def columns(self, records: list[dict[str, Json]]) -> Columns:
        """Return the columns of records that the controls have been applied to, `_rescued` among them."""
        misfits: dict[int, list[Misfit]] = {}
        for at, record in enumerate(records):
            if not record.keys() <= self._known:
                misfits[at] = self._unknown(record)
        columns: Columns = {}
        stubborn = set()
        for node in self._nodes:
            values = [record.get(node.name) for record in records]
            array = None if node.name in self._stubborn else quick_column(node, values)
            if array is None:
                stubborn.add(node.name)
                count = sum(map(len, misfits.values()))
                array = self._convert(node, values, misfits)
                if count == sum(map(len, misfits.values())) and node.kind != "json":
                    stubborn.discard(node.name)
            columns[node.name] = array
        self._stubborn = frozenset(stubborn)
        columns[RESCUED] = pa.array(self._rescued(records, misfits), pa.string())
        return columns

    def look_at(self, record: dict[str, Json]) -> None:
        """Tell the learner of the unknown fields at the top of a record."""
        if not record.keys() <= self._known:
            ordered = in_order(record, self._unknown(record))
            self._learner.meet_order([path for path, _ in ordered])

    def _rescued(self, records: list[dict[str, Json]], misfits: dict[int, list[Misfit]]) -> list[str | None]:
        texts: list[str | None] = [None] * len(records)
        for at, found in misfits.items():
            ordered = in_order(records[at], found)
            self._learner.meet_order([path for path, _ in ordered])
            texts[at] = rescued_text(ordered)
        return texts

    def _unknown(self, record: dict[str, Json]) -> list[Misfit]:
        found: list[Misfit] = []
        for name, value in record.items():
            if name not in self._known:
                found.append(((None, name), value))
                self._learner.meet((), name, value)
        self._learner.meet_runs(record, self._known)
        return found

    def _convert(self, node: Node, values: list[Json], misfits: dict[int, list[Misfit]]) -> pa.Array:
        path: Path = (None, node.name)
        converted: list[Any] = []
        for at, value in enumerate(values):
            found: list[Misfit] = []
            converted.append(convert(node, value, path, found, self._learner))
            if found:
                misfits.setdefault(at, []).extend(found)
        return pa.array(converted, node.target)


def convert(node: Node, value: Json, path: Path, misfits: list[Misfit], learner: Learner) -> Any:
    """Return the column value of one JSON value; what does not fit is added to `misfits` under its path."""
    if value is None:
        return None
    if node.kind == "struct":
        if isinstance(value, dict):
            return _convert_struct(node, value, path, misfits, learner)
    elif node.item is not None:
        if isinstance(value, list):
            item = node.item
            return [convert(item, part, (path, at), misfits, learner) for at, part in enumerate(value)]
    elif node.convert is not None:
        converted, fits = node.convert(value)
        if not fits:
            misfits.append((path, value))
        return converted
    misfits.append((path, value))
    return None


def _convert_struct(node: Node, value: dict[str, Json], path: Path, misfits: list[Misfit], learner: Learner) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for name, part in value.items():
        field = node.fields.get(name)
        if field is None:
            misfits.append(((path, name), part))
            learner.meet(inside(node), name, part)
        else:
            converted[name] = convert(field, part, (path, name), misfits, learner)
    return converted


def quick_column(node: Node, values: list[Json]) -> pa.Array | None:
    """Return the column of values if all of them fit, None where that is not sure."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pa.nulls(len(values), node.target)
    try:
        if node.kind in ("int64", "bool", "string", "timestamp", "date"):
            return _quick_scalars(node, values, kinds)
        if node.kind == "json" or (node.kind == "decimal" and str in kinds and node.is_careful):
            return None
        return finish(node, read_array(orjson.dumps(values)[1:-1], node.sent), NO_CONTROLS)
    except (NotStrict, OverflowError, UnicodeEncodeError, orjson.JSONEncodeError):
        return None


def _quick_scalars(node: Node, values: list[Json], kinds: set[type]) -> pa.Array | None:
    wanted = {"int64": int, "bool": bool}.get(node.kind, str)
    if kinds != {wanted}:
        # Arrow would take 1.5 for an integer and a bool for a number.
        return None
    if node.kind in ("timestamp", "date"):
        return finish(node, pa.array(values, pa.string()), NO_CONTROLS)
    return pa.array(values, node.target)

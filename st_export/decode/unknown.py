"""Fields outside the catalog, when every page has them: read by type like the known ones, and written as `_rescued` in bulk.

The service adds fields with each release, and then they stand in every record. The careful way (`columns`) shows them here; from
the next piece on the quick reader knows them as well. Those of whole records are cut out of the text before it is read, where they
can be, whatever they hold (`cuts`). The others are read by their types. Arrow cannot tell an absent field from a null one: that is
settled by counting the field's name in the text, where both are possible and the count agrees with neither, the piece is
refused. So only names that occur nowhere else in the entity are learnt, and only types that print back as they were sent.
The order of fields is learnt as well, from records that have both of two fields; records that contradict each other in it
end the learning. What is printed must be the same to the letter whichever way a record is read: it is part of its version.
"""

from __future__ import annotations

import re
import threading
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from st_export.decode.casts import NotStrict
from st_export.decode.cuts import Cutter
from st_export.decode.nodes import ITEMS, NOTHING, PLAIN_NAME, Node, Place, Run, Unknowns, inside, known_names, sent_type
from st_export.decode.rescue import steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from st_export.decode.controls import Tree
    from st_export.decode.cuts import Cuts
    from st_export.decode.rescue import Path
    from st_export.flow import Json

_MOST_FIELDS = 200
"""Unknown fields that are learnt for one entity; more of them are a map with data for names."""

_MOST_SEQUENCES = 1000
"""Sets of fields in one record that are remembered as seen; they are many where many fields come and go."""

_MOST_RUNS = 4
"""Places of a record where runs of unknown fields begin that are learnt; the whole text is searched for each."""

_MOST_SHOWN = 100
"""Records whose runs are shown to the cutter; the ones that it cuts out later show it what is new."""

_LONGEST_SEQUENCE = 50
"""Unknown fields in one record whose order is learnt; their pairs grow by the square."""

Entries = tuple[pa.Array, Place]
"""Texts by row, and the place that they came from."""

_SAFE_DIGITS = 15
_TOKEN = re.compile(rb"\s*([^\s,}\]]*)")
_ESCAPED_LETTER = re.compile(rb"\\u00[3-7]")
_SPACED_COLON = re.compile(rb'"\s+:')
_NEEDS_ESCAPE = '["\\\\\\x00-\\x1f\\x7f]'


class Learner:
    """The unknown fields of one entity that have been met, shared by its readers.

    What the controls hash is never learnt: only the careful way knows it.
    """

    def __init__(self, row: Node, tree: Tree | None = None) -> None:
        self._tree = tree or {}
        self._taken = known_names(row)
        self._met: dict[tuple[Place, str], pa.DataType | None] = {}
        self._places: dict[str, Place] = {}
        self._before: set[tuple[Place, Place]] = set()
        self._sequences: set[tuple[Place, ...]] = set()
        self._shapes: set[tuple[str, ...]] = set()
        self._runs: dict[str, set[str | None]] = {}
        self._is_ordered = True
        self._lock = threading.Lock()
        self.unknowns = Unknowns()
        self.lessons = 0
        self.cutter = Cutter(row.fields.keys() | self._tree.keys())
        self._shown = 0
        self._row = row
        self._kind: tuple[Unknowns, tuple[str, ...], pa.DataType] | None = None

    def meet(self, place: Place, name: str, value: Json) -> None:
        """Learn the type of an unknown field from a value of it; a mixture of types is not learnt."""
        key = (place, name)
        before = self._met.get(key, pa.null())
        seen = _type_of(value)
        if before is None or (seen is not None and key in self._met and before.equals(seen)):
            return
        with self._lock:
            after = _merged(self._met.get(key, pa.null()), seen)
            fresh = key not in self._met
            if not self._is_learnable(place, name):
                after = None
            if fresh and len(self._met) >= _MOST_FIELDS:
                return
            if fresh or self._met[key] != after:
                self._met[key] = after
                self._publish()

    def _is_learnable(self, place: Place, name: str) -> bool:
        if not PLAIN_NAME.fullmatch(name) or name in self._taken or self._places.setdefault(name, place) != place:
            return False
        branch: Tree | str | None = self._tree
        for part in (*place, name):
            if part != ITEMS:
                branch = branch.get(part) if isinstance(branch, dict) else branch
        return branch is None

    def meet_order(self, paths: list[Path]) -> None:
        """Learn the order of fields from the paths of one record's misfits, in the order in which they were sent."""
        sequence = tuple(dict.fromkeys(map(steps, paths)))
        if sequence in self._sequences or not self._is_ordered:
            return
        with self._lock:
            pairs = set(combinations(sequence, 2)) if len(sequence) <= _LONGEST_SEQUENCE else {(sequence[0], sequence[0])}
            self._before |= pairs
            self._is_ordered = all((second, first) not in self._before for first, second in pairs)
            if len(self._sequences) >= _MOST_SEQUENCES:
                self._sequences.clear()
            self._sequences.add(sequence)
            self._publish()

    def meet_runs(self, record: dict[str, Json], known: AbstractSet[str]) -> None:
        """Learn where unknown fields stand side by side in a record, `known` being the names of the others, and their form."""
        shape = tuple(record)
        if shape in self._shapes and self._shown >= _MOST_SHOWN:
            return
        runs = list(_runs(record, known))
        with self._lock:
            if self._shown < _MOST_SHOWN:
                self._shown += 1
                for run, members in runs:
                    self.cutter.show(run, members)
            if shape in self._shapes:
                return
            if len(self._shapes) >= _MOST_SEQUENCES:
                self._shapes.clear()
            self._shapes.add(shape)
            fresh = False
            for run, _ in runs:
                if len(self._runs) <= _MOST_RUNS:
                    followers = self._runs.setdefault(run.first, set())
                    fresh |= run.follower not in followers
                    followers.add(run.follower)
            if fresh:
                self._publish()

    def kind(self, unknowns: Unknowns, markers: tuple[str, ...]) -> pa.DataType:
        """Return the type to read records as that bear these unknown fields; markers stand for those of whole records."""
        last = self._kind
        if last is None or last[0] is not unknowns or last[1] != markers:
            fields = [pa.field(marker, pa.bool_()) for marker in markers]
            kind = sent_type(self._row, unknowns.nested() if markers else unknowns)
            self._kind = last = (unknowns, markers, pa.struct([*kind, *fields]))
        return last[2]

    def _cuttable(self) -> tuple[Run, ...]:
        """Return the runs, those that others stand in behind them; none where one of them begins or ends in several ways."""
        if len(self._runs) > _MOST_RUNS or any(len(found) > 1 or not self._is_learnable((), first) for first, found in self._runs.items()):
            return ()
        runs = [Run(first, follower) for first, (follower,) in self._runs.items()]
        return tuple(sorted(runs, key=lambda run: sum(((other.first,), (run.first,)) in self._before for other in runs)))

    def _publish(self) -> None:
        unknowns: dict[Place, dict[str, pa.DataType]] = {}
        for (place, name), kind in self._met.items():
            if kind is not None and self._is_ordered:
                unknowns.setdefault(place, {})[name] = _readable(kind)
        self.unknowns = Unknowns(unknowns, self._before, self._cuttable() if self._is_ordered else ())
        self.lessons += 1


def rescued(row: Node, rows: pa.StructArray, document: bytes | pa.Buffer, unknowns: Unknowns, cuts: Cuts | None = None) -> pa.Array | None:
    """Return the `_rescued` texts of rows that were read with unknown fields, None where no row has any.

    `cuts` are the runs that have been cut out of the text; their markers are the last columns of `rows`.

    Raises:
        NotStrict: it is not sure whether a null was sent, or how a number was spelt, or a cut was none through whole fields.

    """
    markers = [] if cuts is None else [rows.field(at) for at in range(rows.type.num_fields - len(cuts.cuts), rows.type.num_fields)]
    if cuts is not None and len(markers) == 1 and not unknowns.fields:
        return cuts.objects(markers)[0]
    text = document if isinstance(document, bytes) else b""
    if unknowns.fields or (cuts is not None and len(cuts.cuts) > 1):
        text = bytes(memoryview(document))
    entries = _entries(row, rows, '"', text, unknowns) if unknowns.fields else []
    keys: dict[Place, str] = {}
    if cuts is not None:
        entries += cuts.entries(markers)
        keys = {(cut.run.first,): cut.marker for cut in cuts.cuts}
    joined, _ = _joined(entries, unknowns)
    if len(entries) > 1:
        _check_order([entry for entry in entries if ITEMS not in entry[1]], text, unknowns, keys)
    if joined is None or joined.null_count == len(joined):
        return None
    return pc.binary_join_element_wise("{", joined, "}", "")


def _runs(record: dict[str, Json], known: AbstractSet[str]) -> Iterator[tuple[Run, dict[str, Json]]]:
    """Yield the runs of a record with their members."""
    members: dict[str, Json] = {}
    for name in (*record, None):
        if name is not None and name not in known:
            members[name] = record[name]
        elif members:
            yield Run(next(iter(members)), name), members
            members = {}


def _check_order(entries: list[Entries], text: bytes, unknowns: Unknowns, markers: Mapping[Place, str]) -> None:
    """Make sure that each record sends in the learnt order what it has."""
    found = {place: _rows_and_offsets(texts, text, markers.get(place, place[-1])) for texts, place in entries}
    for one, two in combinations(found, 2):
        first, second = (one, two) if (one, two) in unknowns.before else (two, one)
        _, ones, twos = np.intersect1d(found[first][0], found[second][0], assume_unique=True, return_indices=True)
        if (found[first][1][ones] > found[second][1][twos]).any():
            raise NotStrict("fields in another order")


def _rows_and_offsets(texts: pa.Array, text: bytes, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that have a field, and where its name stands in the text for each of them."""
    rows = texts.is_valid().to_numpy(zero_copy_only=False).nonzero()[0]
    lengths = np.fromiter(map(len, text.split(b'"' + name.encode() + b'":')), np.int64)
    if len(lengths) != len(rows) + 1:
        raise NotStrict(f"{name} is spelt in several ways")
    return rows, np.cumsum(lengths[:-1]) + np.arange(len(rows)) * (len(name) + 3)


def _entries(node: Node, array: pa.Array, prefix: str | pa.Array, text: bytes, unknowns: Unknowns) -> list[Entries]:
    """Return, for the rows of an array, texts like `"items[2].cost":1`, null where there is nothing, each with its place."""
    if not _has_any(node, unknowns):
        return []
    if node.item is not None:
        return _item_entries(node.item, array, prefix, text, unknowns)
    entries: list[Entries] = []
    for at, child in enumerate(node.fields.values()):
        if _has_any(child, unknowns):
            own = _concat(prefix, child.name + ("." if child.kind == "struct" else ""))
            entries += _entries(child, array.field(at), own, text, unknowns)
    own_place = inside(node)
    for at, name in enumerate(unknowns.fields.get(own_place, {}), start=len(node.fields)):
        texts = _field_entries(array, array.field(at), name, _concat(prefix, name + '":'), text)
        if texts.null_count < len(texts):
            entries.append((texts, (*own_place, name)))
    return entries


def _item_entries(item: Node, array: pa.Array, prefix: str | pa.Array, text: bytes, unknowns: Unknowns) -> list[Entries]:
    parents = pc.list_parent_indices(array)
    if array.offset or (array.null_count and len(parents) != len(array.values)):
        raise NotStrict("a list that is a slice")
    numbers = pc.subtract(pa.array(range(len(parents)), pa.int64()), array.offsets.cast(pa.int64()).take(parents))
    outer = prefix if isinstance(prefix, str) else prefix.take(parents)
    own = pc.binary_join_element_wise(outer, "[", numbers.cast(pa.string()), "]." if item.kind == "struct" else "]", "")
    joined, place = _joined(_entries(item, array.values, own, text, unknowns), unknowns)
    if joined is None:
        return []
    there = joined.is_valid()
    counts = pc.cumulative_sum(pa.concat_arrays([pa.array([0], pa.int32()), there.cast(pa.int32())]))
    lists = pa.ListArray.from_arrays(counts.take(array.offsets), joined.drop_null())
    texts = pc.binary_join(lists, ",")
    return [(pc.if_else(pc.equal(texts, ""), None, texts), place)]


def _field_entries(parent: pa.Array, array: pa.Array, name: str, prefix: str | pa.Array, text: bytes) -> pa.Array:
    parents, there = len(parent) - parent.null_count, len(array) - array.null_count
    # Without nulls nothing is in doubt, and the text need not be searched.
    sent = parents if parents == there else text.count(b'"' + name.encode() + b'":')
    if sent not in (parents, there) or (parents != there and (_ESCAPED_LETTER.search(text) or _SPACED_COLON.search(text))):
        raise NotStrict(f"{name} is null or absent")
    printed = _numbers(array, parent, name, text, sent) if pa.types.is_floating(array.type) else _printed(array)
    if sent == parents:
        printed = pc.if_else(parent.is_valid(), pc.fill_null(printed, "null"), None)
    return pc.binary_join_element_wise(prefix, printed, "")


def _printed(array: pa.Array) -> pa.Array:
    """Return the values as JSON texts, null for null."""
    if pa.types.is_list(array.type):
        items = pc.fill_null(_printed(array.values), "null")
        lists = pa.ListArray.from_arrays(array.offsets, items, mask=array.is_null())
        return pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")
    if not pa.types.is_string(array.type):
        return array.cast(pa.string())
    if pc.any(pc.match_substring_regex(array, _NEEDS_ESCAPE)).as_py():
        return pa.array([None if value is None else orjson.dumps(value).decode() for value in array.to_pylist()], pa.string())
    return pc.binary_join_element_wise('"', array, '"', "")


def _numbers(array: pa.Array, parent: pa.Array, name: str, text: bytes, sent: int) -> pa.Array:
    """Return the texts of numbers as they were sent: 1 and 1.0 are the same double."""
    # Cutting the text at the name is several times as fast as a regular expression over it.
    tokens = [_TOKEN.match(rest)[1] for rest in text.split(b'"' + name.encode() + b'":')[1:]]  # type: ignore[index] # matches always
    if len(tokens) != sent or not all(0 < len(token) <= _SAFE_DIGITS for token in tokens):
        raise NotStrict(f"{name} has long numbers")
    values = orjson.loads(b"[" + b",".join(tokens) + b"]")
    printed = pa.array([None if value is None else orjson.dumps(value).decode() for value in values], pa.string())
    places = parent.is_valid() if sent == len(parent) - parent.null_count else array.is_valid()
    return pc.replace_with_mask(pa.nulls(len(array), pa.string()), places, printed)


def _joined(entries: list[Entries], unknowns: Unknowns) -> tuple[pa.Array | None, Place]:
    """Return the entries of each row in their order, null where there are none, and the place of one of them."""
    if not entries:
        return None, ()
    ranks = [sum((other, place) in unknowns.before for _, other in entries) for _, place in entries]
    if sorted(ranks) != list(range(len(ranks))):
        raise NotStrict("two fields that were never seen in one record")
    arrays = [array for _, (array, _) in sorted(zip(ranks, entries, strict=True), key=lambda ranked: ranked[0])]
    if len(arrays) == 1:
        return arrays[0], entries[0][1]
    # The empty text in front: Arrow leaves a row out altogether where all of its texts are null and skipped.
    texts = pc.utf8_slice_codeunits(pc.binary_join_element_wise("", *arrays, ",", null_handling="skip"), 1)
    return pc.if_else(pc.equal(texts, ""), None, texts), entries[0][1]


def _concat(prefix: str | pa.Array, end: str) -> str | pa.Array:
    return prefix + end if isinstance(prefix, str) else pc.binary_join_element_wise(prefix, end, "")


def _has_any(node: Node, unknowns: Unknowns) -> bool:
    if node.item is not None:
        return _has_any(node.item, unknowns)
    if node.kind != "struct":
        return False
    return inside(node) in unknowns.fields or any(_has_any(child, unknowns) for child in node.fields.values())


def _type_of(value: Json) -> pa.DataType | None:
    if value is None:
        return pa.null()
    if isinstance(value, list):
        kind: pa.DataType | None = pa.null()
        for item in value:
            kind = _merged(kind, None if isinstance(item, list | float) else _type_of(item))
        return None if kind is None else pa.list_(kind)
    if isinstance(value, int) and not isinstance(value, bool):
        return pa.int64() if -(1 << 63) <= value < 1 << 63 else None
    return {bool: pa.bool_(), str: pa.string(), float: pa.float64()}.get(type(value))


def _readable(kind: pa.DataType) -> pa.DataType:
    """Return the type to read: where only nulls were seen, one that prints whatever it accepts."""
    if pa.types.is_list(kind):
        return pa.list_(_readable(kind.value_type))
    return NOTHING if pa.types.is_null(kind) else kind


def _merged(one: pa.DataType | None, two: pa.DataType | None) -> pa.DataType | None:
    """Return the type that holds values of both, None where there is none that prints them back."""
    if one is None or two is None or one.equals(two):
        return None if one is None or two is None else one
    for narrow, wide in ((one, two), (two, one)):
        if pa.types.is_null(narrow):
            return wide
        if pa.types.is_int64(narrow) and pa.types.is_floating(wide):
            return wide
    if pa.types.is_list(one) and pa.types.is_list(two):
        item = _merged(one.value_type, two.value_type)
        return None if item is None or pa.types.is_floating(item) else pa.list_(item)
    return None

"""Unknown fields of whole records, cut out of the text and kept as they stand there: no type of theirs has to be known.

Where fields outside the catalog stand side by side in a record (a run), the bytes from the first one's name to what follows the
last one are already what `_rescued` shall hold. Each run is cut out, a marker field takes its place, and Arrow reads what is left.
Where runs begin and end is guessed from names; the proof comes after it, from two readers:

- The markers' names are drawn by chance in this process, so that none stands in the text but those put there. If Arrow finds, at
  the top of distinct records, as many markers as were put in, each of them stands in the place of fields of that record.
- The runs are parsed as objects, each with a marker for its first name. If as many objects come out, each with its marker, every
  run is whole members of one object. Its text is kept where it is what orjson prints; otherwise what was parsed is printed. Once
  the form of a run is known (`forms`), a pattern that its text matches says both.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from itertools import combinations, repeat
from operator import contains
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from st_export.decode.casts import HEAD, TAIL, NotStrict
from st_export.decode.forms import Forms
from st_export.decode.nodes import PLAIN_NAME
from st_export.decode.text import Unreadable, has_long_number, json_text, loads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from st_export.decode.nodes import Place, Run, Unknowns
    from st_export.flow import Json

_CHANCE = secrets.token_hex(4)
_LEAD = re.compile(rb'\s*\{\s*("[^"\\]+"):')
_SAMPLE_BYTES = 4096
_BLOCK_BYTES = 96 * 1024
_LESSON_ROWS = 100
_OBJECTS_AT_ONCE = 500
"""Objects and arrays that are alive at a time: the interpreter looks for garbage when there are 700 new ones."""

_PLAIN, _CLOSING, _LAST = range(3)
_CLOSINGS = {ord("["): b"]", ord("{"): b"}"}


@dataclass(frozen=True, slots=True)
class Cut:
    """A run where it was found: the offsets of its beginnings and ends, its texts (`"x":1,"y":2`), the names in it."""

    run: Run
    marker: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    texts: pa.Array
    names: AbstractSet[str]
    is_long: bool


@dataclass(frozen=True, slots=True)
class Cuts:
    """The document for Arrow that is left, and what was cut out of it."""

    document: pa.Buffer
    cuts: Sequence[Cut]

    def fields(self) -> list[pa.Field]:
        """Return the fields that the markers are read as."""
        return [pa.field(cut.marker, pa.bool_()) for cut in self.cuts]

    def entries(self, markers: Sequence[pa.Array]) -> list[tuple[pa.Array, Place]]:
        """Return the texts of each run by row, `"x":1,"y":2`, null where a row has none, with the place of the run's first field.

        `markers` are the columns that Arrow read for `fields`.

        Raises:
            NotStrict: a cut was no cut through fields of a record, or a name stands in two runs of one record.

        """
        for cut, marker in zip(self.cuts, markers, strict=True):
            if len(marker) - marker.null_count != len(cut.texts):
                raise NotStrict("a cut that is not at the top of a record")
        for (one, first), (two, second) in combinations(zip(self.cuts, markers, strict=True), 2):
            if one.names & two.names and pc.any(pc.and_(first.is_valid(), second.is_valid())).as_py():
                raise NotStrict("a name in two places of a record")
        return [(_by_row(cut.texts, marker), (cut.run.first,)) for cut, marker in zip(self.cuts, markers, strict=True)]


class Cutter:
    """Cuts the runs of one entity; `known` are the names at the top of a record that have a column or that the controls name.

    It remembers how ends were found last time.
    """

    def __init__(self, known: AbstractSet[str]) -> None:
        self._known = frozenset(known)
        self._ways: dict[Run, int] = {}
        self._forms: dict[Run, Forms] = {}
        self._rarest: dict[Run, int] = {}

    def cut(self, items: memoryview, unknowns: Unknowns) -> Cuts | None:
        """Return what is left of the inside of a JSON array and its runs, None where they do not come out whole."""
        cuts: list[Cut] = []
        for number, run in enumerate(unknowns.runs):
            if run not in self._rarest:
                self._rarest[run] = _rarest(items, run.key)
            starts = _positions(items, run.key, self._rarest[run])
            for cut in cuts:
                starts = starts[~_are_inside(starts, cut)]
            if len(starts):
                cut_out = self._whole(items, run, starts, f"{_CHANCE}{number}")
                if cut_out is None:
                    return None
                cuts.append(cut_out)
        if not cuts or not _is_printed_alike(cuts, is_alone=len(cuts) == 1 and not any(unknowns.fields)):
            return None
        rest = _rest(items, cuts)
        return None if rest is None else Cuts(rest, cuts)

    def _whole(self, items: memoryview, run: Run, starts: NDArray[np.int64], marker: str) -> Cut | None:
        border = _border(items, run)
        if border is None:
            return None
        usual = self._ways.get(run, _PLAIN)
        for way in sorted(range(3), key=lambda way: way != usual):
            ends = _ends(items, starts, len(run.key), border, way, at_end=run.follower is None)
            try:
                cut = None if ends is None else self._proven(items, run, starts, ends, marker)
            except Unreadable:
                # A long number so deep that only the other parser reads it.
                return None
            if cut is not None:
                self._ways[run] = way
                return None if run.first in cut.names or cut.names & self._known else cut
        return None

    def _proven(self, items: memoryview, run: Run, starts: NDArray[np.int64], ends: NDArray[np.int64], marker: str) -> Cut | None:
        """Return the cut if every run in it is whole members of one object: by its form where that is known, else by parsing."""
        forms = self._forms.setdefault(run, Forms())
        pieces = _pieces(items, starts, ends)
        sent = pieces.take(pa.array(np.arange(1, len(pieces), 2)))
        names, pattern = forms.names, forms.pattern
        if pattern is None:
            parsed = _parsed(sent, run, marker)
            if parsed is not None and forms.is_open:
                forms.learn(pattern, _objects(sent[:_LESSON_ROWS]), is_worth_it=True)
            return None if parsed is None else Cut(run, marker, starts, ends, *parsed)
        try:
            texts = sent.cast(pa.string())
        except pa.ArrowInvalid:
            return None
        fits = pc.match_substring_regex(texts, pattern)
        strange = sent.filter(pc.invert(fits))
        if not len(strange):
            return Cut(run, marker, starts, ends, texts, names - {run.first}, is_long=False)
        parsed = _parsed(strange, run, marker)
        if parsed is None:
            return None
        forms.learn(pattern, _objects(strange[:_LESSON_ROWS]), is_worth_it=len(strange) < len(sent) // 2)
        others, other_names, is_long = parsed
        texts = pc.replace_with_mask(texts, pc.invert(fits), others)
        return Cut(run, marker, starts, ends, texts, (names - {run.first}) | other_names, is_long)


def _rarest(text: memoryview, word: bytes) -> int:
    sample = bytes(text[:_SAMPLE_BYTES])
    return min(range(len(word)), key=lambda at: sample.count(word[at]))


def _positions(text: memoryview, needle: bytes, rarest: int) -> NDArray[np.int64]:
    """Return the offsets of a word of four bytes or more: looks for its rarest byte, several times as fast as `bytes.find`."""
    if len(text) < max(len(needle), 8):
        return np.empty(0, np.int64)
    letters = np.frombuffer(text, np.uint8)[rarest : len(text) - len(needle) + rarest + 1]
    # Block by block: a new array of flags as long as the text costs more than the comparison.
    flags = np.empty(_BLOCK_BYTES, np.bool_)
    parts = []
    for start in range(0, len(letters), _BLOCK_BYTES):
        block = letters[start : start + _BLOCK_BYTES]
        parts.append(np.equal(block, needle[rarest], out=flags[: len(block)]).nonzero()[0] + start)
    found: NDArray[np.int64] = np.concatenate(parts)
    width = 8 if len(needle) >= 8 else 4
    words: NDArray[Any] = np.ndarray(len(text) - width + 1, f"<u{width}", text, strides=(1,))
    for at in {*range(0, len(needle) - width, width), len(needle) - width}:
        found = found[words[found + at] == int.from_bytes(needle[at : at + width], "little")]
    return found


def _is_printed_alike(cuts: Sequence[Cut], *, is_alone: bool) -> bool:
    """Whether what is cut out says the same beside other entries of a row as it would if the row were printed at once.

    A name can be spelt like the path of a nested field, and long numbers change how the doubles beside them are printed.
    """
    return is_alone or not any(cut.is_long or not all(map(PLAIN_NAME.fullmatch, cut.names)) for cut in cuts)


def _are_inside(starts: NDArray[np.int64], cut: Cut) -> NDArray[np.bool_]:
    before = np.searchsorted(cut.starts, starts) - 1
    inside: NDArray[np.bool_] = (before >= 0) & (starts < cut.ends[before])
    return inside


def _border(items: memoryview, run: Run) -> bytes | None:
    """Return what stands behind the run: the next known field, or the end of the record and the beginning of the next."""
    if run.follower is not None:
        return b"," + orjson.dumps(run.follower) + b":"
    lead = _LEAD.match(items)
    return b"},{" + lead[1] + b":" if lead is not None else None


def _ends(items: memoryview, starts: NDArray[np.int64], width: int, border: bytes, way: int, *, at_end: bool) -> NDArray[np.int64] | None:
    """Return where the runs that begin at `starts` end, guessed in one of three ways; None where one of them has no end.

    A run ends at the first border behind it; at the first border behind the bracket that closes its first value; at the last border
    before the next run.
    """
    if way == _LAST:
        found = _positions(items, border, _rarest(items, border))
        ends = np.append(found, -1)[np.searchsorted(found, np.append(starts[1:], len(items))) - 1]
    else:
        offsets = pa.py_buffer(np.append(starts, len(items)).astype(np.int32))
        rows = pa.BinaryArray.from_buffers(pa.binary(), len(starts), [None, offsets, pa.py_buffer(items)])
        ends = starts + (_behind(rows, b"", border) if way == _PLAIN else _behind_closing(rows, starts + width, items, border))
    # What was not found lies before the beginning now.
    if at_end and ends[-1] < starts[-1] and items[-1] == ord("}"):
        ends[-1] = len(items) - 1
    return None if (ends < starts).any() else ends


def _behind(rows: pa.Array, closing: bytes, border: bytes) -> NDArray[np.int64]:
    """Return the offsets in each row behind what closes, where a border follows; -1 where none does."""
    found: NDArray[np.int64] = pc.find_substring(rows, closing + border).to_numpy().astype(np.int64)
    found[found >= 0] += len(closing)
    return found


def _behind_closing(rows: pa.Array, values: NDArray[np.int64], items: memoryview, border: bytes) -> NDArray[np.int64]:
    """Return as `_behind` what closes the values that begin at these offsets."""
    openings = np.frombuffer(items, np.uint8)[np.minimum(values, len(items) - 1)]
    # Most values are of the first one's kind, the others are looked at again.
    usual = int(openings[0])
    ends = _behind(rows, _CLOSINGS.get(usual, b""), border)
    others = (openings != usual).nonzero()[0]
    for opening in set(openings[others].tolist()):
        places = others[openings[others] == opening]
        ends[places] = _behind(rows.take(pa.array(places)), _CLOSINGS.get(opening, b""), border)
    return ends


def _objects(texts: pa.Array) -> list[Json]:
    return [loads(b"{" + text + b"}") for text in texts.to_pylist()]


def _parsed(sent: pa.Array, run: Run, marker: str) -> tuple[pa.Array, frozenset[str], bool] | None:
    """Return texts as they shall be printed, the names in them but the first, and whether there are long numbers.

    None where the texts do not prove to be whole members of one object each.
    """
    border = f'}},{{"{marker}":'.encode()
    offsets = np.frombuffer(sent.buffers()[1], np.int32)[: len(sent) + 1].astype(np.int64)
    data = memoryview(sent.buffers()[2])[: int(offsets[-1])]
    # The end of one object and the beginning of the next, with the marker, in the place of each first name.
    pieces = _pieces(data, offsets[:-1], offsets[:-1] + len(run.key))[1:]
    text = b"".join((memoryview(_replaced(pieces, pa.scalar(border, pa.binary())))[2:], b"}"))
    begins = (offsets + (len(border) - len(run.key)) * np.arange(len(offsets))).tolist()
    names: set[str] = set()
    printed: list[bytes] = []
    step = max(1, _OBJECTS_AT_ONCE * len(sent) // (text.count(b"{") + text.count(b"[")))
    for first in range(0, len(sent), step):
        last = min(first + step, len(sent))
        try:
            objects = orjson.loads(b"".join((b"[", text[begins[first] : begins[last] - 1], b"]")))
            is_whole = len(objects) == last - first and all(map(contains, objects, repeat(marker)))
        except (orjson.JSONDecodeError, TypeError):
            # Not JSON, or a number among the objects.
            return None
        if not is_whole:
            return None
        names.update(*objects)
        printed.append(orjson.dumps(objects)[1:-1])
    again = b",".join(printed)
    is_long = again != text and has_long_number(text)
    # The parser has made sure that it is UTF-8.
    if again == text:
        texts = sent.view(pa.string())
    elif is_long:
        texts = pa.array([json_text(members)[1:-1] for members in _objects(sent)], pa.string())
    else:
        parts = again[len(border) - 2 : -1].split(border)
        texts = pc.binary_join_element_wise(run.key.decode(), pa.array(parts, pa.binary()).view(pa.string()), "")
    return texts, frozenset(names - {marker}), is_long


def _pieces(items: memoryview, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> pa.Array:
    """Return all of the items in pieces: what stands before the first start, from there to its end, to the next start, and so on."""
    offsets = np.empty(2 * len(starts) + 2, np.int32)
    offsets[0], offsets[1:-1:2], offsets[2:-1:2], offsets[-1] = 0, starts, ends, len(items)
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(items)])


def _replaced(pieces: pa.Array, by: pa.Scalar | pa.Array) -> pa.Buffer:
    """Return the text of pieces of which every other one is replaced, the first one among them."""
    found = pc.if_else(pa.array(np.arange(len(pieces)) & 1 == 0), by, pieces)
    _, offsets, data = found.buffers()
    return data.slice(0, int(np.frombuffer(offsets, np.int32)[len(found)]))


def _rest(items: memoryview, cuts: Sequence[Cut]) -> pa.Buffer | None:
    """Return the document of the items with a marker in the place of each run, None where runs overlap."""
    starts, ends = cuts[0].starts, cuts[0].ends
    which = np.ones(len(starts), np.int32)
    if len(cuts) > 1:
        starts, ends = np.concatenate([cut.starts for cut in cuts]), np.concatenate([cut.ends for cut in cuts])
        order = np.argsort(starts)
        starts, ends = starts[order], ends[order]
        which = np.repeat(np.arange(1, len(cuts) + 1, dtype=np.int32), [len(cut.starts) for cut in cuts])[order]
        if (ends[:-1] > starts[1:]).any():
            return None
    # An empty piece at both ends gives way to the document's own beginning and end.
    inserted = pa.array([HEAD, *(f'"{cut.marker}":true'.encode() for cut in cuts), TAIL], pa.binary())
    places = np.zeros(2 * len(starts) + 3, np.int32)
    places[2:-1:2], places[-1] = which, len(cuts) + 1
    size = np.array([len(items)])
    pieces = _pieces(items, np.concatenate(([0], starts, size)), np.concatenate(([0], ends, size)))
    return _replaced(pieces.slice(1, len(pieces) - 2), inserted.take(pa.array(places)))


def _by_row(texts: pa.Array, marker: pa.Array) -> pa.Array:
    if not marker.null_count:
        return texts
    there = marker.is_valid()
    return pc.replace_with_mask(pa.nulls(len(marker), pa.string()), there, texts)

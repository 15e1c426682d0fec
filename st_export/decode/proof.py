"""Whether runs that were cut out of a text are whole members of one object each, and what is printed of them.

Once the form of a run is known (`forms`), a pattern that its text matches says both. Usually all texts of a piece match together, one
behind the other: that needs one look. The rows that do not match are parsed as objects, each with a marker for its first name. If as
many objects come out, each with its marker, every run is whole members of one object. Its text is kept where it is what orjson
prints; otherwise what was parsed is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from operator import contains
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from st_export.decode.forms import Forms
from st_export.decode.text import has_long_number, json_text, loads

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from st_export.decode.forms import Matcher
    from st_export.decode.nodes import Run
    from st_export.flow import Json

_LESSON_ROWS = 50
_LONGEST_PAUSE = 32

_OBJECTS_AT_ONCE = 500
"""Objects and arrays that are alive at a time: the interpreter looks for garbage when there are 700 new ones."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is printed of each run (`{"x":1,"y":2}`), the names in them but the first, whether there are long numbers."""

    objects: pa.Array
    names: AbstractSet[str]
    is_long: bool


class Prover:
    """Proves the texts of one run for many readers; it learns their form."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._forms = Forms(run.key.decode())
        self._failures = 0
        self._pause = 0

    def show(self, members: dict[str, Json]) -> None:
        """Learn the form from the members of a run in a record that was read otherwise."""
        if self._forms.is_open:
            self._forms.learn(self._forms.told.pattern, [members], is_worth_it=True)

    def prove(self, items: memoryview, starts: NDArray[np.int64], ends: NDArray[np.int64], marker: str) -> Proof | None:
        """Return the proof for the runs between these offsets, None where one of them is not whole members of one object.

        Raises:
            Unreadable: a long number lies so deep that only the other parser reads it.

        """
        told = self._forms.told
        names, pattern, together = told.names, told.pattern, told.together
        if pattern is None:
            return self._parsed(items, starts, ends, marker)
        if together is not None and self._may_match():
            objects = _matched(items, starts, ends, together)
            self._count(is_match=objects is not None)
            if objects is not None:
                return Proof(objects, names - {self._run.first}, is_long=False)
        return self._matched_or_parsed(items, starts, ends, marker, names, pattern)

    def _may_match(self) -> bool:
        self._pause = max(0, self._pause - 1)
        return not self._pause

    def _count(self, *, is_match: bool) -> None:
        self._failures = 0 if is_match else self._failures + 1
        self._pause = min(1 << self._failures, _LONGEST_PAUSE) if self._failures > 1 else 0

    def _parsed(self, items: memoryview, starts: NDArray[np.int64], ends: NDArray[np.int64], marker: str) -> Proof | None:
        sent = every_other(pieces(items, starts, ends))
        parsed = _parsed(sent, self._run, marker)
        if parsed is None:
            return None
        if self._forms.is_open:
            self._forms.learn(None, _values(sent[:_LESSON_ROWS]), is_worth_it=True)
        texts, names, is_long = parsed
        return Proof(_in_braces(texts), names, is_long)

    def _matched_or_parsed(
        self,
        items: memoryview,
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        marker: str,
        names: AbstractSet[str],
        pattern: str,
    ) -> Proof | None:
        """Look at each text on its own, and parse those that do not match."""
        sent = every_other(pieces(items, starts, ends))
        try:
            texts = sent.cast(pa.string())
        except pa.ArrowInvalid:
            return None
        # What follows the first name, which has been found there.
        rest = pieces(items, starts + len(self._run.key), ends)
        fits = pc.match_substring_regex(rest.view(pa.string()), pattern).to_numpy(zero_copy_only=False)[1::2]
        if fits.all():
            return Proof(_in_braces(texts), names - {self._run.first}, is_long=False)
        others = pa.array(~fits)
        strange = sent.filter(others)
        parsed = _parsed(strange, self._run, marker)
        if parsed is None:
            return None
        self._forms.learn(pattern, _values(strange[:_LESSON_ROWS]), is_worth_it=len(strange) < len(sent) // 2)
        printed, other_names, is_long = parsed
        texts = pc.replace_with_mask(texts, others, printed)
        return Proof(_in_braces(texts), (names - {self._run.first}) | other_names, is_long)


def pieces(items: memoryview, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> pa.Array:
    """Return all of the items in pieces: what stands before the first start, from there to its end, to the next start, and so on."""
    offsets = np.empty(2 * len(starts) + 2, np.int32)
    offsets[0], offsets[1:-1:2], offsets[2:-1:2], offsets[-1] = 0, starts, ends, len(items)
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(items)])


def every_other(found: pa.Array) -> pa.Array:
    """Return the second piece, the fourth, and so on."""
    return found.take(pa.array(np.arange(1, len(found), 2)))


def replaced(found: pa.Array, offsets: NDArray[np.int32], texts: bytes) -> pa.Buffer:
    """Return the text of pieces of which every other one is replaced, the first one among them.

    A piece is replaced by what lies between its offset in `texts` and the next one; for those that stay there is nothing.
    """
    is_there = np.full(len(found) // 8 + 1, 0b01010101, np.uint8)
    buffers = [pa.py_buffer(is_there), pa.py_buffer(offsets), pa.py_buffer(texts)]
    _, ends, data = pc.coalesce(pa.BinaryArray.from_buffers(pa.binary(), len(found), buffers), found).buffers()
    return data.slice(0, int(np.frombuffer(ends, np.int32)[len(found)]))


def _matched(items: memoryview, starts: NDArray[np.int64], ends: NDArray[np.int64], together: Matcher) -> pa.Array | None:
    """Return the objects of runs that match a pattern together, with what stands before and behind each of them.

    A run's first name stands nowhere but where runs begin (`Forms.together`), so that each one matches on its own as well.
    """
    if starts[0] == 0 or ends[-1] == len(items) or (ends[:-1] + 1 >= starts[1:]).any():
        return None
    found = every_other(pieces(items, starts - 1, ends + 1))
    _, offsets, data = found.buffers()
    places = np.frombuffer(offsets, np.int32)[: len(found) + 1]
    if together.fullmatch(data, int(places[0]), int(places[-1])) is None:
        return None
    # The letters have just been copied, and nobody else has them.
    letters = np.frombuffer(data, np.uint8)
    letters[places[:-1]] = ord("{")
    letters[places[1:] - 1] = ord("}")
    return found.view(pa.string())


def _in_braces(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise("{", texts, "}", "")


def _values(texts: pa.Array) -> Iterable[Json]:
    return [loads(b"{" + text + b"}") for text in texts.to_pylist()]


def _parsed(sent: pa.Array, run: Run, marker: str) -> tuple[pa.Array, frozenset[str], bool] | None:
    """Return texts as they shall be printed, the names in them but the first, and whether there are long numbers.

    None where the texts do not prove to be whole members of one object each.
    """
    border = f'}},{{"{marker}":'.encode()
    offsets = np.frombuffer(sent.buffers()[1], np.int32)[: len(sent) + 1].astype(np.int64)
    data = memoryview(sent.buffers()[2])[: int(offsets[-1])]
    # The end of one object and the beginning of the next, with the marker, in the place of each first name.
    found = pieces(data, offsets[:-1], offsets[:-1] + len(run.key))[1:]
    borders = (len(border) * ((np.arange(len(found) + 1) + 1) // 2)).astype(np.int32)
    text = b"".join((memoryview(replaced(found, borders, border * len(sent)))[2:], b"}"))
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
        texts = pa.array([json_text(members)[1:-1] for members in _values(sent)], pa.string())
    else:
        parts = again[len(border) - 2 : -1].split(border)
        texts = pc.binary_join_element_wise(run.key.decode(), pa.array(parts, pa.binary()).view(pa.string()), "")
    return texts, frozenset(names - {marker}), is_long

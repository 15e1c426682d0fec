"""Unknown fields of whole records, cut out of the text and kept as they stand there: no type of theirs has to be known.

Where fields outside the catalog stand side by side in a record (a run), the bytes from the first one's name to what follows the
last one are already what `_rescued` shall hold. Each run is cut out, a marker field takes its place, and Arrow reads what is left.
Where runs begin and end is guessed from names (`find`, `ends`); the proof comes after it, from two readers:

- The markers' names are drawn by chance in this process, so that none stands in the text but those put there. If Arrow finds, at
  the top of distinct records, as many markers as were put in, each of them stands in the place of fields of that record.
- The runs match a pattern for whole members of an object, or are parsed as such (`proof`).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from st_export.decode.casts import HEAD, TAIL, NotStrict
from st_export.decode.ends import CLOSING, WAYS, Ends
from st_export.decode.find import Finder
from st_export.decode.nodes import PLAIN_NAME
from st_export.decode.proof import Prover, pieces, replaced
from st_export.decode.text import Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from st_export.decode.nodes import Place, Run, Unknowns
    from st_export.flow import Json

_CHANCE = secrets.token_hex(4)
_LEAD = re.compile(rb'\s*\{\s*("[^"\\]+"):')


@dataclass(frozen=True, slots=True)
class Cut:
    """A run where it was found: the offsets of its beginnings and ends, its texts (`{"x":1,"y":2}`), the names in it but the first."""

    run: Run
    marker: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    objects: pa.Array
    names: AbstractSet[str]
    is_long: bool


@dataclass(frozen=True, slots=True)
class Cuts:
    """The document for Arrow that is left, and what was cut out of it."""

    document: pa.Buffer
    cuts: Sequence[Cut]

    def markers(self) -> tuple[str, ...]:
        """Return the names of the markers, which are read as bools."""
        return tuple(cut.marker for cut in self.cuts)

    def objects(self, markers: Sequence[pa.Array]) -> list[pa.Array]:
        """Return the texts of each run by row, `{"x":1,"y":2}`, null where a row has none.

        `markers` are the columns that Arrow read for the markers.

        Raises:
            NotStrict: a cut was no cut through fields of a record, a name stands in two runs of one record, or runs in another order.

        """
        for cut, marker in zip(self.cuts, markers, strict=True):
            if len(marker) - marker.null_count != len(cut.objects):
                raise NotStrict("a cut that is not at the top of a record")
        for (one, first), (two, second) in combinations(zip(self.cuts, markers, strict=True), 2):
            _check_pair(one, _rows_with(first), two, _rows_with(second))
        return [_by_row(cut.objects, marker) for cut, marker in zip(self.cuts, markers, strict=True)]

    def entries(self, markers: Sequence[pa.Array]) -> list[tuple[pa.Array, Place]]:
        """Return the same without braces, `"x":1,"y":2`, each with the place of the run's first field; raises `NotStrict` too."""
        objects = self.objects(markers)
        return [(_without_braces(texts), (cut.run.first,)) for cut, texts in zip(self.cuts, objects, strict=True)]


class Cutter:
    """Cuts the runs of one entity; `known` are the names at the top of a record that have a column or that the controls name.

    It remembers how ends were found last time.
    """

    def __init__(self, known: AbstractSet[str]) -> None:
        self._known = frozenset(known)
        self._finder = Finder()
        self._ends = Ends(self._finder)
        self._provers: dict[Run, Prover] = {}
        self._ways: dict[Run, int] = {}

    def show(self, run: Run, members: dict[str, Json]) -> None:
        """Learn the form of a run from its members in a record that was read otherwise."""
        self._prover(run).show(members)

    def cut(self, items: memoryview, unknowns: Unknowns) -> Cuts | None:
        """Return what is left of the inside of a JSON array and its runs, None where they do not come out whole."""
        cuts: list[Cut] = []
        for number, run in enumerate(unknowns.runs):
            starts = self._finder.positions(items, run.key)
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

    def _prover(self, run: Run) -> Prover:
        found = self._provers.get(run)
        return found if found is not None else self._provers.setdefault(run, Prover(run))

    def _whole(self, items: memoryview, run: Run, starts: NDArray[np.int64], marker: str) -> Cut | None:
        border = _border(items, run)
        if border is None:
            return None
        usual = self._ways.get(run, CLOSING)
        for way in sorted(WAYS, key=lambda way: way != usual):
            ends = self._ends.guess(items, run, starts, border, way)
            try:
                proof = None if ends is None else self._prover(run).prove(items, starts, ends, marker)
            except Unreadable:
                # A long number so deep that only the other parser reads it.
                return None
            if ends is not None and proof is not None:
                self._ways[run] = way
                is_clear = run.first not in proof.names and not proof.names & self._known
                return Cut(run, marker, starts, ends, proof.objects, proof.names, proof.is_long) if is_clear else None
        return None


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


def _rest(items: memoryview, cuts: Sequence[Cut]) -> pa.Buffer | None:
    """Return the document of the items with a marker in the place of each run, None where runs overlap."""
    starts, ends = cuts[0].starts, cuts[0].ends
    which = np.zeros(len(starts), np.int64)
    if len(cuts) > 1:
        starts, ends = np.concatenate([cut.starts for cut in cuts]), np.concatenate([cut.ends for cut in cuts])
        order = np.argsort(starts)
        starts, ends = starts[order], ends[order]
        which = np.repeat(np.arange(len(cuts)), [len(cut.starts) for cut in cuts])[order]
        if (ends[:-1] > starts[1:]).any():
            return None
    # Markers have one length. An empty piece at both ends gives way to the document's own beginning and end.
    texts = np.array([f'"{cut.marker}":true'.encode() for cut in cuts])[which]
    ends_of_texts = len(HEAD) + texts.itemsize * np.arange(len(texts) + 1)
    offsets = np.concatenate(([0], np.repeat(ends_of_texts, 2), ends_of_texts[-1:] + len(TAIL))).astype(np.int32)
    size = np.array([len(items)])
    found = pieces(items, np.concatenate(([0], starts, size)), np.concatenate(([0], ends, size)))
    return replaced(found.slice(1, len(found) - 2), offsets, b"".join((HEAD, texts.data, TAIL)))


def _rows_with(marker: pa.Array) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = marker.is_valid().to_numpy(zero_copy_only=False).nonzero()[0]
    return rows


def _check_pair(one: Cut, one_rows: NDArray[np.int64], two: Cut, two_rows: NDArray[np.int64]) -> None:
    """Make sure that no record has a name in both runs, and that the first run stands before the second wherever both are."""
    _, ones, twos = np.intersect1d(one_rows, two_rows, assume_unique=True, return_indices=True)
    if len(ones) and (one.names | {one.run.first}) & (two.names | {two.run.first}):
        raise NotStrict("a name in two places of a record")
    if (one.starts[ones] > two.starts[twos]).any():
        raise NotStrict("runs in another order")


def _by_row(texts: pa.Array, marker: pa.Array) -> pa.Array:
    if not marker.null_count:
        return texts
    there = marker.is_valid()
    return pc.replace_with_mask(pa.nulls(len(marker), pa.string()), there, texts)


def _without_braces(objects: pa.Array) -> pa.Array:
    return pc.binary_slice(objects.view(pa.binary()), 1, -1).view(pa.string())

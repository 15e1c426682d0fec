"""Where runs of unknown fields begin and end in a text, guessed from the words that stand there; `proof` proves it.

Words are found with numpy: several times as fast as `bytes.find`, and without the interpreter's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from st_export.decode.nodes import Run

_SAMPLE_BYTES = 4096
_BLOCK_BYTES = 256 * 1024
_OCTET = 8

_MOST_WORDS = 50
"""Words that are remembered; more of them are names that are data."""

CLOSING, PLAIN, LAST = WAYS = range(3)
"""A run ends at the first border behind the bracket that closes its first value; at the first border behind its beginning; at the
last border before the next run."""

_FEW = 50
"""Runs that are looked at one by one sooner than all of them again."""

_CLOSINGS = {ord("["): b"]", ord("{"): b"}"}


class Finder:
    """Finds words and borders; it remembers which byte of a word is rare."""

    def __init__(self) -> None:
        self._rare: dict[bytes, int] = {}

    def positions(self, text: memoryview, word: bytes) -> NDArray[np.int64]:
        """Return the offsets of a word of four bytes or more."""
        rare = self._rare.get(word)
        if rare is None:
            if len(self._rare) >= _MOST_WORDS:
                self._rare = {}
            rare = self._rare[word] = _rarest(text, word)
        return _positions(text, word, rare)

    def ends(
        self, items: memoryview, run: Run, starts: NDArray[np.int64], border: bytes, way: int, *, are_many: bool
    ) -> NDArray[np.int64] | None:
        """Return where the runs that begin at `starts` end, guessed in one of `WAYS`; None where one of them has no end.

        `are_many` says that the runs make up much of the text: it is cheaper then to look for borders in all of it.
        """
        if way == LAST:
            found = self.positions(items, border)
            ends = np.append(found, -1)[np.searchsorted(found, np.append(starts[1:], len(items))) - 1]
        else:
            if len(starts) > 1:
                # Where this is not the way, the first run usually shows it before all are looked at.
                first, second = starts[:2].tolist()
                closing = _CLOSINGS.get(items[first + len(run.key)], b"") if way == CLOSING else b""
                if _one_behind(items, first, second, closing, border) < 0:
                    return None
            ends = self._first(items, starts, starts + len(run.key) if way == CLOSING else None, border, are_many=are_many)
        # What was not found lies before the beginning now.
        if run.follower is None and ends[-1] < starts[-1] and items[-1] == ord("}"):
            ends[-1] = len(items) - 1
        return None if (ends < starts).any() else ends

    def _first(
        self, items: memoryview, starts: NDArray[np.int64], values: NDArray[np.int64] | None, border: bytes, *, are_many: bool
    ) -> NDArray[np.int64]:
        """Return the first borders behind the beginnings, those behind a bracket that closes the values that begin at `values`."""

        def behind(closing: bytes) -> NDArray[np.int64]:
            return self._next(items, starts, closing, border) if are_many else _behind(_rows(items, starts), starts, closing, border)

        if values is None:
            return behind(b"")
        openings = np.frombuffer(items, np.uint8)[np.minimum(values, len(items) - 1)]
        # Most values are of one kind, the others are looked at again.
        usual = int(np.bincount(openings).argmax())
        ends = behind(_CLOSINGS.get(usual, b""))
        others = (openings != usual).nonzero()[0]
        if len(others) > _FEW:
            for opening in set(openings[others].tolist()):
                ends = np.where(openings == opening, behind(_CLOSINGS.get(opening, b"")), ends)
            return ends
        for at in others.tolist():
            end = int(starts[at + 1]) if at + 1 < len(starts) else len(items)
            ends[at] = _one_behind(items, int(starts[at]), end, _CLOSINGS.get(int(openings[at]), b""), border)
        return ends

    def _next(self, items: memoryview, starts: NDArray[np.int64], closing: bytes, border: bytes) -> NDArray[np.int64]:
        """Return the same as `_behind`, by all places where a border stands."""
        found = self.positions(items, closing + border)
        found = np.append(found, -1)[np.searchsorted(found, starts)]
        ends = np.where(found < starts, -1, found + len(closing))
        ends[:-1][found[:-1] >= starts[1:]] = -1
        return ends


def _positions(text: memoryview, word: bytes, rare: int) -> NDArray[np.int64]:
    """Return the offsets of a word of four bytes or more, by its byte at `rare`, which should be rare in the text."""
    last = len(text) - len(word)
    if last < 0 or len(text) < _OCTET:
        return np.empty(0, np.int64)
    found = _bytes_at(text, word[rare]) - rare
    if len(found) and (found[0] < 0 or found[-1] > last):
        found = found[(found >= 0) & (found <= last)]
    width = _OCTET if len(word) >= _OCTET else 4
    words: NDArray[Any] = np.ndarray(len(text) - width + 1, f"<u{width}", text, strides=(1,))
    for at in {*range(0, len(word) - width, width), len(word) - width}:
        found = found[words[found + at] == int.from_bytes(word[at : at + width], "little")]
    return found


def _rarest(text: memoryview, word: bytes) -> int:
    """Return where in a word the byte stands that the beginning of the text has least often."""
    sample = bytes(text[:_SAMPLE_BYTES])
    return min(range(len(word)), key=lambda at: sample.count(word[at]))


def _bytes_at(text: memoryview, byte: int) -> NDArray[np.int64]:
    """Return the offsets of one byte in a text of eight bytes or more."""
    octets = np.ndarray(len(text) // _OCTET, "<u8", text)
    whole = len(octets) * _OCTET
    letters = np.frombuffer(text, np.uint8)
    # Block by block: a new array of flags as long as the text costs more than the comparison. Eight flags are one number that
    # is seldom other than zero, which makes what is looked through byte by byte short.
    flags = np.empty(min(_BLOCK_BYTES, whole), np.bool_)
    eights, are_any = flags.view(np.uint64), np.empty(len(flags) // _OCTET, np.bool_)
    parts = []
    for start in range(0, whole, _BLOCK_BYTES):
        size = min(_BLOCK_BYTES, whole - start)
        np.equal(letters[start : start + size], byte, out=flags[:size])
        some = np.not_equal(eights[: size // _OCTET], 0, out=are_any[: size // _OCTET]).nonzero()[0]
        parts.append(some + start // _OCTET if start else some)
    some = np.concatenate(parts) if len(parts) > 1 else parts[0]
    places = (octets[some].view(np.uint8) == byte).nonzero()[0]
    found: NDArray[np.int64] = some[places // _OCTET] * _OCTET + places % _OCTET
    rest = bytes(text[whole:])
    return np.append(found, [whole + at for at in range(len(rest)) if rest[at] == byte]) if byte in rest else found


def _rows(items: memoryview, starts: NDArray[np.int64]) -> pa.Array:
    """Return the items from each beginning to the next one."""
    offsets = pa.py_buffer(np.append(starts, len(items)).astype(np.int32))
    return pa.BinaryArray.from_buffers(pa.binary(), len(starts), [None, offsets, pa.py_buffer(items)])


def _behind(rows: pa.Array, starts: NDArray[np.int64], closing: bytes, border: bytes) -> NDArray[np.int64]:
    """Return the offsets behind what closes where a border follows, in rows that begin at `starts`; -1 where none does."""
    found: NDArray[np.int64] = pc.find_substring(rows, closing + border).to_numpy().astype(np.int64)
    return np.where(found < 0, -1, starts + found + len(closing))


def _one_behind(items: memoryview, start: int, end: int, closing: bytes, border: bytes) -> int:
    found = bytes(items[start:end]).find(closing + border)
    return -1 if found < 0 else start + found + len(closing)

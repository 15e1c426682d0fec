"""Where runs of unknown fields end in a text, guessed from the borders that stand there; `proof` proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from st_export.decode.find import Finder
    from st_export.decode.nodes import Run

CLOSING, PLAIN, LAST = WAYS = range(3)
"""A run ends at the first border behind the bracket that closes its first value; at the first border behind its beginning; at the
last border before the next run."""

_FEW = 50
"""Runs that are looked at one by one sooner than many at once."""

_CLOSINGS = np.zeros(256, np.uint8)
_CLOSINGS[[ord("["), ord("{")]] = ord("]"), ord("}")

_FIRST_WIDTH = 256
"""Bytes behind the beginning of a run in which its end is looked for, until it is known how long they are."""

_NEAR = 1 / 2
"""The part of the text that these bytes may be; all of it is looked through otherwise."""

_OCTET = 8


class Ends:
    """Guesses where runs end; it remembers how long they are."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._widths: dict[tuple[Run, int], int] = {}

    def guess(self, items: memoryview, run: Run, starts: NDArray[np.int64], border: bytes, way: int) -> NDArray[np.int64] | None:
        """Return where the runs that begin at `starts` end, guessed in one of `WAYS`; None where one of them has no end."""
        if way == LAST:
            found = self._finder.positions(items, border)
            ends = np.append(found, -1)[np.searchsorted(found, np.append(starts[1:], len(items))) - 1]
        else:
            closings = _closings(items, starts + len(run.key)) if way == CLOSING else np.zeros(len(starts), np.uint8)
            # Where this is not the way, the first run usually shows it before all are looked at.
            if len(starts) > 1 and _one_behind(items, starts[:2].tolist(), int(closings[0]), border) < 0:
                return None
            ends = np.full(len(starts), -1)
            for closing in np.bincount(closings).nonzero()[0].tolist():
                rows = (closings == closing).nonzero()[0]
                if len(rows) > _FEW:
                    ends[rows], rows = self._many_behind(items, run, starts, rows, closing, border)
                for at in rows.tolist():
                    ends[at] = _one_behind(items, starts[at : at + 2].tolist(), closing, border)
        # What was not found lies before the beginning now.
        if run.follower is None and ends[-1] < starts[-1] and items[-1] == ord("}"):
            ends[-1] = len(items) - 1
        return None if (ends < starts).any() else ends

    def _many_behind(
        self, items: memoryview, run: Run, starts: NDArray[np.int64], rows: NDArray[np.int64], closing: int, border: bytes
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first borders behind one closing bracket, or behind anything, in these rows, and the rows to look at again."""
        word = bytes([closing]) + border if closing else border
        width, most = self._widths.get((run, closing), _FIRST_WIDTH), int(len(items) * _NEAR) // len(starts)
        is_near = width <= most
        found = self._finder.near(items, starts, word, width) if is_near else self._finder.positions(items, word)
        ends = _next(found, starts, len(word) - len(border))[rows]
        missing = rows[ends < 0] if is_near else rows[:0]
        if len(missing) > _FEW:
            ends, missing = _next(self._finder.positions(items, word), starts, len(word) - len(border))[rows], rows[:0]
        if (run, closing) not in self._widths or len(missing) > _FEW // 10:
            self._widths[run, closing] = _width(ends - starts[rows], most - len(border)) + len(border)
        return ends, missing


def _closings(items: memoryview, values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the brackets that close values, 0 for those that none closes."""
    return _CLOSINGS[np.frombuffer(items, np.uint8)[np.minimum(values, len(items) - 1)]]


def _next(found: NDArray[np.int64], starts: NDArray[np.int64], lead: int) -> NDArray[np.int64]:
    """Return the first offset behind each beginning and before the next one, moved by `lead`; -1 where there is none."""
    ends: NDArray[np.int64] = np.append(found, -1)[np.searchsorted(found, starts)]
    is_missing = ends < 0
    is_missing[:-1] |= ends[:-1] >= starts[1:]
    ends += lead
    ends[is_missing] = -1
    return ends


def _one_behind(items: memoryview, ends: list[int], closing: int, border: bytes) -> int:
    """Return the same for the run between these offsets, or from there to the end of the items."""
    text = bytes(items[slice(*ends) if len(ends) > 1 else slice(ends[0], None)])
    lead = bytes([closing]) if closing else b""
    found = text.find(lead + border)
    return -1 if found < 0 else ends[0] + found + len(lead)


def _width(lengths: NDArray[np.int64], most: int) -> int:
    """Return the longest of some lengths in whole octets; where that is more than `most`, a length that few are longer than."""
    longest = int(lengths.max())
    if longest > most:
        few = min(_FEW // 2, len(lengths) - 1) + 1
        longest = int(np.partition(lengths, -few)[-few])
    return max(longest, 0) // _OCTET * _OCTET + _OCTET  # what was not found has no length

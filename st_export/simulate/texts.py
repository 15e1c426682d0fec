"""Records already written, kept by blocks of rows: small pages of small collections are put together from them.

Writing a record costs what a call of numpy costs, many times over, for five rows as for hundreds; a page of five rows written by itself
takes a millisecond of the look-alike's loop, and arrivals wait meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.simulate.values import Array

BLOCK_ROWS = 256

MOST_ROWS_OF_PAGE = 100
"""Larger pages are written by themselves."""

MOST_ROWS_OF_COLLECTION = 4_096
"""In a larger one the rows of a page lie in too many blocks."""

KEPT_CHARACTERS = 64 << 20
"""Characters kept, of all collections; the block least used goes first."""


class RecordTexts:
    """Texts of records that have never changed, by view and block."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], list[str]] = OrderedDict()
        self._characters = 0

    def texts(self, view: str, rows: Array, count: int, write: Callable[[Array], list[str]]) -> list[str]:
        """Return the texts of these rows of a collection of `count` rows; `write` makes those of a block that is not kept."""
        return [self._block(view, row // BLOCK_ROWS, count, write)[row % BLOCK_ROWS] for row in rows.tolist()]

    def _block(self, view: str, block: int, count: int, write: Callable[[Array], list[str]]) -> list[str]:
        kept = self._kept.get((view, block))
        if kept is None:
            start = block * BLOCK_ROWS
            kept = self._kept[view, block] = write(np.arange(start, min(start + BLOCK_ROWS, count), dtype=np.int64))
            self._characters += sum(map(len, kept))
            while self._characters > KEPT_CHARACTERS and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._characters -= sum(map(len, oldest))
        else:
            self._kept.move_to_end((view, block))
        return kept

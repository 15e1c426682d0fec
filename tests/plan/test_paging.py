"""How a window is cut by its rows, and which pieces are joined again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from st_export.flow import Window
from st_export.plan.paging import MOST_PIECES, joined, pieces_of

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: int, length: int = 1) -> Window:
    return Window(FIRST + timedelta(days=number), FIRST + timedelta(days=number + length))


@pytest.mark.parametrize(
    ("total", "is_sorted", "pieces"),
    [(1, True, 2), (1_000, True, 4), (1_000, False, 15), (1_000_000, True, MOST_PIECES)],
)
def test_a_piece_has_fewer_pages_than_a_walk_takes(total: int, is_sorted: bool, pieces: int) -> None:
    assert pieces_of(total, 100, is_sorted=is_sorted) == pieces


def test_neighbours_that_are_one_walk_together_are_joined() -> None:
    pieces = [(day(0), 0), (day(1), 3), (day(2), 2), (day(3), 5), (day(4), 0)]
    assert joined(pieces, lambda total, _: total <= 5) == [(day(0, 3), 5), (day(3, 2), 5)]


def test_a_piece_whose_rows_are_not_known_stands_alone() -> None:
    pieces: list[tuple[Window, int | None]] = [(day(0), 1), (day(1), None), (day(2), 1)]
    assert joined(pieces, lambda *_: True) == pieces

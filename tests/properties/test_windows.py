"""Windows are sets of moments: cutting, halving and taking away never lose or invent one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from st_export.flow import Window
from st_export.plan.windows import BEGINNING, covers, cut, cuts, days, midnight, without

FIRST, LAST = datetime(2015, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001 -- hypothesis wants them without a zone
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start = draw(moments)
    length = draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=900)))
    return Window(start, start + length)


@given(windows(), st.integers(2, 16), moments)
def test_pieces_cover_what_the_whole_covers(window: Window, pieces: int, moment: datetime) -> None:
    found = cuts(window, pieces)
    if not found:
        assert window.end is not None
        assert window.end - window.start <= timedelta(seconds=2)
    assert len(found) < pieces
    cut_up = cut(window, found)
    assert sum(covers([one], moment) for one in cut_up) == covers([window], moment)
    assert (cut_up[0].start, cut_up[-1].end) == (window.start, window.end)


@given(windows(), st.integers(2, 16))
def test_a_window_over_two_days_is_cut_at_midnight(window: Window, pieces: int) -> None:
    assert window.end is not None
    found = cuts(window, pieces)
    if window.end - window.start > timedelta(days=2):
        assert found
        assert found == [midnight(moment.date()) for moment in found]


@given(moments, st.integers(2, 16))
def test_a_window_from_the_year_1_is_cut_behind_the_oldest_record(oldest: datetime, pieces: int) -> None:
    window = Window(BEGINNING, datetime(2030, 6, 1, tzinfo=UTC))
    found = cuts(window, pieces, oldest)
    assert found == sorted(set(found))
    assert len(found) == pieces - 1
    assert all(oldest < moment for moment in found)


def test_without_a_guess_at_the_oldest_record_the_recent_years_are_cut() -> None:
    window = Window(BEGINNING, datetime(2026, 6, 1, tzinfo=UTC))
    found = cuts(window, 2)
    assert [moment.year for moment in found] == [2022, 2024]


@given(st.lists(windows(), max_size=4), windows(), moments)
def test_without_takes_away_just_what_is_done(several: list[Window], done: Window, moment: datetime) -> None:
    disjoint: tuple[Window, ...] = ()
    for window in several:
        for taken in disjoint:
            if covers([taken], window.start) or covers([window], taken.start):
                break
        else:
            disjoint = (*disjoint, window)
    left = without(disjoint, done)
    assert covers(left, moment) == (covers(disjoint, moment) and not covers([done], moment))


@given(windows(), st.integers(2, 16))
def test_cutting_ends_with_every_day_in_one_leaf(window: Window, pieces: int) -> None:
    leaves, todo = [], [window]
    while todo:
        one = todo.pop()
        assert one.end is not None
        found = cuts(one, pieces)
        if not found or one.end - one.start <= timedelta(days=1):
            leaves.append(one)
        else:
            todo.extend(cut(one, found))
    per_day = [day for leaf in leaves for day in days(leaf)]
    assert sorted(set(per_day)) == days(window)
    assert all(one.end == other.start for one, other in zip(sorted(leaves), sorted(leaves)[1:], strict=False))


def test_the_days_of_a_window_end_before_its_end() -> None:
    window = Window(datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))
    assert [str(day) for day in days(window)] == ["2026-10-31", "2026-11-01", "2026-11-02"]

"""Windows are sets of moments: cutting, halving and taking away never lose or invent one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from st_export.flow import Window
from st_export.plan.windows import covers, cut, days, middle, midnight, without

FIRST, LAST = datetime(2015, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001 -- hypothesis wants them without a zone
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start = draw(moments)
    length = draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=900)))
    return Window(start, start + length)


@given(windows(), moments)
def test_halves_cover_what_the_whole_covers(window: Window, moment: datetime) -> None:
    half = middle(window)
    if half is None:
        assert window.end is not None
        assert window.end - window.start <= timedelta(seconds=2)
        return
    assert covers(cut(window, half), moment) == covers([window], moment)


@given(windows())
def test_a_window_over_two_days_is_halved_at_midnight(window: Window) -> None:
    assert window.end is not None
    half = middle(window)
    if window.end - window.start > timedelta(days=2):
        assert half is not None
        assert half == midnight(half.date())


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


@given(windows())
def test_halving_ends_with_every_day_in_one_leaf(window: Window) -> None:
    leaves, todo = [], [window]
    while todo:
        one = todo.pop()
        assert one.end is not None
        half = middle(one)
        if half is None or one.end - one.start <= timedelta(days=1):
            leaves.append(one)
        else:
            todo.extend(cut(one, half))
    per_day = [day for leaf in leaves for day in days(leaf)]
    assert sorted(set(per_day)) == days(window)
    assert all(one.end == other.start for one, other in zip(sorted(leaves), sorted(leaves)[1:], strict=False))


def test_the_days_of_a_window_end_before_its_end() -> None:
    window = Window(datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))
    assert [str(day) for day in days(window)] == ["2026-10-31", "2026-11-01", "2026-11-02"]

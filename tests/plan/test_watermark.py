"""How far a finished read moves the mark: never past the run's start, and not far past what was seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from st_export.flow import Pass, Position
from st_export.plan.watermark import LONGEST_QUIET, SETTLING, mark_after, settled, with_newest

FIRST, LAST = datetime(2020, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001 -- hypothesis wants them without a zone
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


@given(moments, st.none() | moments, st.none() | moments)
def test_the_mark_lies_between_the_quiet_and_the_start(started: datetime, newest: datetime | None, before: datetime | None) -> None:
    mark = mark_after(started)
    found = settled(mark, newest, before)
    assert mark - LONGEST_QUIET <= found <= mark
    assert newest is None or found <= max(newest - SETTLING, mark - LONGEST_QUIET)


def test_a_quiet_list_stays_at_its_newest_record() -> None:
    started, newest = datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 11, 20, 2, tzinfo=UTC)
    assert settled(mark_after(started), newest, None) == newest - SETTLING
    assert settled(mark_after(started), None, newest - SETTLING) == newest - SETTLING


def test_the_newest_is_kept_through_a_pass_and_counts_at_its_end() -> None:
    started, newest = datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 11, 24, 20, tzinfo=UTC)
    begun = with_newest(Position(), Position(epoch=1, current=Pass(started)), newest)
    assert begun.current is not None
    assert begun.current.newest == newest
    ended = with_newest(begun, Position(epoch=1, watermark=mark_after(started)), newest - timedelta(days=1))
    assert ended.watermark == newest - SETTLING


def test_a_read_without_rows_or_a_mark_before_takes_the_start() -> None:
    started = datetime(2026, 11, 25, tzinfo=UTC)
    assert with_newest(Position(), Position(epoch=1, watermark=mark_after(started)), None).watermark == started - timedelta(hours=2)

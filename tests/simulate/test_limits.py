"""The rate limit counts a request when it arrives, not when its turn comes."""

from __future__ import annotations

from st_export.simulate.limits import RateLimit


def test_requests_looked_at_late_count_at_the_time_they_arrived() -> None:
    limit = RateLimit()
    assert [limit.wait_after("tenant", 2, at=moment) for moment in (100.0, 100.6, 101.0, 101.6)] == [0.0, 0.0, 0.0, 0.0]


def test_more_than_the_limit_within_a_second_waits() -> None:
    limit = RateLimit()
    waits = [limit.wait_after("tenant", 2, at=moment) for moment in (100.0, 100.5, 100.75)]
    assert waits == [0.0, 0.0, 0.75]

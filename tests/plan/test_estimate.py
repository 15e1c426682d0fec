"""What a reading costs: pages, the counts that cut a long list, totals at the limit."""

from __future__ import annotations

import pytest

from st_export.plan.estimate import Estimate, feed_requests, list_requests, pages_of, total_seconds, whole_requests


@pytest.mark.parametrize(("rows", "page_rows", "pages"), [(0, 50, 1), (1, 50, 1), (50, 50, 1), (51, 50, 2), (5_000, 50, 100)])
def test_an_empty_answer_is_a_page_too(rows: int, page_rows: int, pages: int) -> None:
    assert pages_of(rows, page_rows) == pages


@pytest.mark.parametrize(("rows", "can_cut", "requests"), [(0, True, 1), (200, True, 4), (201, True, 1 + 4 + 5 + 1 + 1), (201, False, 5)])
def test_a_long_list_costs_the_counts_that_cut_it(rows: int, can_cut: bool, requests: int) -> None:
    assert list_requests(rows, 50, can_cut=can_cut) == requests


def test_a_whole_reading_of_several_pages_asks_the_total_again() -> None:
    assert [whole_requests(rows, 100, has_total=True) for rows in (0, 100, 101)] == [1, 1, 3]
    assert whole_requests(101, 100, has_total=False) == 2


def test_a_feed_is_reckoned_by_the_thousand() -> None:
    assert [feed_requests(rows) for rows in (0, 1_000, 1_001)] == [1, 1, 2]


def test_all_together_share_the_limit_and_a_report_goes_on_beside_them() -> None:
    several = [Estimate(rows=10, requests=50), Estimate(requests=None), Estimate(requests=4, least_seconds=60.0)]
    assert total_seconds(several, 55.0) == 60.0
    assert total_seconds(several[:2], 51.0) == 1.0
    assert [one.seconds(50.0) for one in several] == [1.0, None, 60.0]

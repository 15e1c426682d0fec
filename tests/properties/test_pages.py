"""Page arithmetic: pages tile the rows, and smaller pages begin where the larger one began."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from st_export.fetch.pages import PageNumber, at_offset, page_count, smaller_size

sizes = st.integers(1, 5000)


@given(st.integers(0, 10**7), sizes)
def test_pages_hold_all_rows_and_the_last_one_is_needed(total: int, size: int) -> None:
    pages = page_count(total, size)
    assert pages * size >= total
    assert pages == 0 or (pages - 1) * size < total


@given(st.integers(1, 2000), sizes)
def test_smaller_pages_begin_where_the_page_began(number: int, size: int) -> None:
    page = PageNumber(number, size)
    smaller = smaller_size(size)
    if smaller is None:
        assert size == 1
        return
    assert smaller <= size // 2
    assert at_offset(page.offset, smaller).offset == page.offset
    assert size % smaller == 0

"""Words in a text, against `bytes.find`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.decode import find
from st_export.decode.find import Finder


def all_of(text: bytes, word: bytes) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(word, at)]


@given(st.lists(st.sampled_from([b'"x":', b'"', b"x", b":", b'"xy":', b"\x00", b"\xff", b'"longer name":', b"abcdefgh"]), max_size=60))
@pytest.mark.parametrize("word", [b'"x":', b'"xy":', b'"longer name":', b"abcdefghabcd", b'x"":'])
def test_words_are_found_wherever_they_stand(word: bytes, parts: list[bytes]) -> None:
    text = b"".join(parts)
    expected = all_of(text, word) if len(text) >= 8 else []
    assert Finder().positions(memoryview(text), word).tolist() == expected


@pytest.mark.parametrize("block", [8, 16, 64])
def test_words_are_found_across_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_BLOCK_BYTES", block)
    for length in range(70, 90):
        text = (b'..."name":' * 9)[:length]
        assert Finder().positions(memoryview(text), b'"name":').tolist() == all_of(text, b'"name":')


def test_names_that_are_data_are_not_all_remembered() -> None:
    finder = Finder()
    for number in range(200):
        finder.positions(memoryview(b"0123456789"), b"%04d" % number)
    assert len(finder._rare) <= 50


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 5).map(lambda octets: 8 * octets))
def test_words_near_some_places_are_those_behind_each_and_before_the_next(gaps: list[int], width: int) -> None:
    text = b"".join(b"<" + (b'."name":' * 6)[:gap] for gap in gaps)
    starts = all_of(text, b"<")
    found = Finder().near(memoryview(text), np.array(starts, np.int64), b'"name":', width).tolist()
    behind = [(start, at) for at in all_of(text, b'"name":') for start in [text.rfind(b"<", 0, at)]]
    whole = [(start, at) for start, at in behind if start + width <= len(text)]
    assert set(found) <= {at for _, at in whole}
    # What begins within the width may end behind it: then it may be found or not.
    assert {at for start, at in whole if at + 7 <= start + width} <= set(found)
    assert found == sorted(set(found))

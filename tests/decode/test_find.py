"""Words in a text and where runs end, against `bytes.find`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.decode import find
from st_export.decode.find import WAYS, Finder
from st_export.decode.nodes import Run


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


VALUES = st.sampled_from(["null", "1", "[]", "[1]", '[{"id":1},{"id":2}]', "{}", '{"id":[{"id":3}]}', '"a"', '"]},{\\"id\\":"', '"x"'])


@given(st.lists(st.tuples(VALUES, st.booleans()), min_size=1, max_size=80), st.sampled_from([None, "name"]))
def test_ends_are_found_alike_in_all_of_the_text_and_behind_each_beginning(values: list[tuple[str, bool]], follower: str | None) -> None:
    last = "" if follower is None else ',"name":"a"'
    records = [f'{{"id":{at}' + (f',"x":{value}{last}' if is_there else "") + "}" for at, (value, is_there) in enumerate(values)]
    items = memoryview(",".join(records).encode())
    run = Run("x", follower)
    border = b'},{"id":' if follower is None else b',"name":'
    finder = Finder()
    starts = finder.positions(items, run.key)
    if not len(starts):
        return
    for way in WAYS:
        few = finder.ends(items, run, starts, border, way, are_many=False)
        many = finder.ends(items, run, starts, border, way, are_many=True)
        assert (few is None) == (many is None)
        if few is not None and many is not None:
            assert np.array_equal(few, many)
            assert all(start < end <= following for (start, following), end in zip(pairwise([*starts, len(items)]), few, strict=True))

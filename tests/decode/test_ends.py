"""Where runs end, against a plain look at each of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from st_export.decode import ends as ends_module
from st_export.decode.ends import CLOSING, LAST, PLAIN, WAYS, Ends
from st_export.decode.find import Finder
from st_export.decode.nodes import Run

VALUES = st.sampled_from(
    ["null", "1", "[]", "[1]", '[{"id":1},{"id":2}]', "{}", '{"id":[{"id":3}]}', '"a"', '"]},{\\"id\\":"', '"x"', f'"{"long " * 30}"']
)


def plainly(items: bytes, run: Run, starts: list[int], border: bytes, way: int) -> list[int] | None:
    """Return what `Ends.guess` should: run by run."""
    found = []
    for start, end in pairwise([*starts, len(items)]):
        text = items[start:end]
        opening = text[len(run.key) : len(run.key) + 1]
        closing = {b"[": b"]", b"{": b"}"}.get(opening, b"") if way == CLOSING else b""
        at = text.rfind(border) if way == LAST else text.find(closing + border)
        found.append(start + at + len(closing) if at >= 0 else -1)
    if run.follower is None and found[-1] < 0 and items.endswith(b"}"):
        found[-1] = len(items) - 1
    return None if -1 in found else found


@settings(deadline=None)
@pytest.mark.parametrize("few", [0, 3, 50])
@given(
    st.lists(st.tuples(VALUES, st.sampled_from([True, True, False])), min_size=1, max_size=80),
    st.sampled_from([None, "name"]),
    st.booleans(),
)
def test_ends_are_those_that_a_look_at_each_run_finds(
    few: int, values: list[tuple[str, bool]], follower: str | None, is_many_letters: bool
) -> None:
    last = "" if follower is None else ',"name":"a"'
    more = ',"text":"' + "z" * 200 + '"' if is_many_letters else ""  # runs are a small part of the text then
    texts = [f'{{"id":{at}{more}' + (f',"x":{value}{last}' if is_there else "") + "}" for at, (value, is_there) in enumerate(values)]
    items = ",".join(texts).encode()
    run = Run("x", follower)
    border = b'},{"id":' if follower is None else b',"name":'
    finder = Finder()
    starts = finder.positions(memoryview(items), run.key)
    if not len(starts):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ends_module, "_FEW", few)
        ends = Ends(finder)
        for way in (*WAYS, *WAYS):  # what is remembered of the first time changes nothing
            found = ends.guess(memoryview(items), run, starts, border, way)
            assert (None if found is None else found.tolist()) == plainly(items, run, starts.tolist(), border, way)


def test_runs_that_become_longer_are_found_as_well() -> None:
    finder = Finder()
    ends, run = Ends(finder), Run("x", "name")
    for length in (10, 10, 900, 20, 5000):
        items = ",".join(f'{{"id":{at},"x":"{"y" * (length + at % 7)}","name":"a","text":"{"z" * 3000}"}}' for at in range(120)).encode()
        starts = finder.positions(memoryview(items), run.key)
        found = ends.guess(memoryview(items), run, starts, b',"name":', PLAIN)
        assert found is not None
        assert np.array_equal(found - starts, [len(f'"x":"{"y" * (length + at % 7)}"') for at in range(120)])

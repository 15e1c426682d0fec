"""Runs that match their pattern all at once: the same columns as the careful way, whatever the texts hold."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from st_export.decode import proof
from st_export.decode.casts import NotStrict
from st_export.decode.columns import quick_columns
from st_export.decode.controls import Controls
from st_export.decode.cuts import Cutter
from st_export.decode.forms import Forms
from st_export.decode.nodes import Run, Unknowns
from tests.decode.cases import decoder, page, rows
from tests.decode.test_cuts import ROW, THING, careful, cut, taught
from tests.properties.test_rescue import assert_same

TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=5).map(orjson.dumps).map(bytes.decode),
    st.sampled_from(
        [r'"\"x\":1"', r'"a\"x"', r'"},{\"id\":2"', r'"\/"', r'"\u00e9"', '"é😀"', r'",\"name\":"', '"x"', r'"\\"', r'"[1],\"z\":"']
    ),
)
NUMBERS = st.sampled_from(
    ["0", "-0", "12", "12.5", "1.50", "1e5", "-7", "9999999999", "10000000000", "1234567890123456789", "0.00001", "1.0"]
)
SCALARS = TEXTS | NUMBERS | st.sampled_from(["null", "true", "false"])
OBJECTS = st.one_of(
    st.builds('{{"id":{},"text":{}}}'.format, NUMBERS, TEXTS),
    st.builds('{{"id":{}}}'.format, NUMBERS),
    st.builds('{{"x":{}}}'.format, NUMBERS),
    st.builds('{{"id":{},"more":[{{"a":{}}}]}}'.format, NUMBERS, TEXTS),
)
LISTS = st.lists(OBJECTS, max_size=3).map(lambda found: f"[{','.join(found)}]") | st.just("null")
VALUES = SCALARS | LISTS


@st.composite
def pieces(draw: st.DrawFn) -> list[str]:
    """Pieces whose records bear runs in one to three places, nearly all of them of few forms; what is drawn first comes often."""
    layout = draw(st.sampled_from(['"id":{id},"name":"a"{x}', '"id":{id}{x},"name":"b"{y}', '{z}"id":{id}{x},"name":"c"{y}']))
    is_often = draw(st.lists(VALUES, min_size=3, max_size=6))
    rare = st.sampled_from(is_often) | VALUES
    gap = draw(st.booleans())

    def record(number: int, value: Any) -> str:
        def run(*names: str) -> str:
            here = [name for name in names if not (gap and draw(st.integers(0, 3)) == 0)]
            return "".join(f',"{name}":{draw(value)}' for name in here)

        text = layout.format(id=number, x=run("x", "v"), y=run("y"), z=run("z")[1:] + "," if "{z}" in layout else "")
        return "{" + text.removeprefix(",") + "}"

    usual = st.sampled_from(is_often)
    first = [record(at, usual) for at in range(4)]
    others = [[record(at, rare if draw(st.integers(0, 9)) == 0 else usual) for at in range(draw(st.integers(1, 6)))] for _ in range(3)]
    return [",".join(first), *map(",".join, others)]


@settings(max_examples=300, deadline=None)
@given(pieces())
def test_what_matches_together_is_what_the_careful_way_reads(texts: list[str]) -> None:
    learner = taught(*[text.decode() for text in [orjson.dumps(record) for record in orjson.loads(f"[{texts[0]}]")]])
    for items in (texts[0], *texts[1:], *texts):
        try:
            quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
        except NotStrict:
            continue
        assert_same(quick, careful(items))


def matches(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the texts of a piece matched together, each time that it was tried."""
    found: list[bool] = []
    real = proof._matched

    def noted(*args: Any) -> Any:
        objects = real(*args)
        found.append(objects is not None)
        return objects

    monkeypatch.setattr(proof, "_matched", noted)
    return found


def test_texts_match_together_from_the_first_piece_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = matches(monkeypatch)
    records = [
        '{"id":1,"x":[{"id":1,"t":"é\\n"}],"y":2,"name":"n"}',
        '{"id":2,"x":[],"y":1.5,"name":"n","z":"}"}',
        '{"id":3,"x":null,"y":3,"name":"n"}',
    ]
    learner = taught(*records)
    items = ",".join(records[:2] * 5)
    quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
    assert found == [True, True]
    assert_same(quick, careful(items))


def test_a_null_matches_before_one_was_met(monkeypatch: pytest.MonkeyPatch) -> None:
    found = matches(monkeypatch)
    learner = taught('{"id":1,"x":[{"id":1,"t":"a"}],"y":2}')
    items = '{"id":1,"x":null,"y":null},{"id":2,"x":[null,{"id":null,"t":"b"}],"y":3},{"id":3,"x":[{"id":1,"t":null}],"y":3}'
    quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
    assert found == [True]
    assert_same(quick, careful(items))


@pytest.mark.parametrize("odd", ['"x":1.50', '"x":"\\/"', '"x":[1,]', '"x": 1', '"x":1,"x":2', '"x":1,"id":2', '"x":{"a":1}', '"x":"\t"'])
def test_one_that_does_not_match_is_seen_among_those_that_do(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = matches(monkeypatch)
    learner = taught('{"id":1,"x":[]}', '{"id":1,"x":1}', '{"id":1,"x":"a"}')
    items = ",".join(['{"id":1,"x":1}', f'{{"id":2,{odd}}}', '{"id":3,"x":"b"}'])
    cut(learner, items)
    assert not any(found)
    assert found or odd == '"x":1,"x":2'


def test_texts_that_are_not_utf8_do_not_match() -> None:
    learner = taught('{"id":1,"x":"a"}')
    for broken in (b"\xff", b"\xc3", b"\xed\xa0\x80"):
        items = b'{"id":1,"x":"a"},{"id":2,"x":"' + broken + b'"},{"id":3,"x":"b"}'
        with pytest.raises(NotStrict):
            quick_columns(ROW, items, Controls(), learner)


def test_a_first_name_inside_a_run_is_matched_text_by_text(monkeypatch: pytest.MonkeyPatch) -> None:
    found = matches(monkeypatch)
    learner = taught('{"id":1,"x":[{"x":1}]}', '{"id":1,"x":[]}')
    items = '{"id":1,"x":[{"x":1}]},{"id":2,"x":[]},{"id":3,"x":[{"x":7}]}'
    with suppress(NotStrict):
        assert_same(quick_columns(ROW, items.encode(), Controls(), learner)[0], careful(items))
    assert not found
    forms = Forms('"x":')
    forms.learn(None, [{"x": [{"x": 1}]}], is_worth_it=True)
    assert forms.told.pattern is not None
    assert forms.told.together is None


def test_one_run_cut_in_two_is_no_match() -> None:
    cutter = Cutter({"id", "name"})
    run = Run("x", None)
    cutter.show(run, {"x": ["a"]})
    for items in (
        '{"id":1,"x":["a,"x":b"]},{"id":2,"x":["c"]}',
        '{"id":1,"x":["a"]"x":["b"]},{"id":2,"x":["c"]}',
        '"x":["a"]},{"id":2,"x":["a"]',
    ):
        assert cutter.cut(memoryview(items.encode()), Unknowns(runs=(run,))) is None


def test_where_forms_vary_matching_together_is_tried_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    found = matches(monkeypatch)
    learner = taught('{"id":1,"x":1.5}')
    for number in range(60):
        assert cut(learner, ",".join(['{"id":1,"x":1.5}'] * 4 + [f'{{"id":2,"x":{number}.50}}']))
    assert not any(found)
    assert len(found) < 12


def test_unknown_fields_show_in_a_preview_and_nothing_is_read_carefully() -> None:
    thing = decoder(THING)
    records = [{"id": at, "name": "n" * 50, "x": [{"id": at, "t": "a\n"}], "y": None} for at in range(1, 5000)]
    thing._careful.columns = None  # type: ignore[method-assign, assignment]
    found = rows(list(thing.decode(page(records))))
    assert [row["_rescued"] for row in found] == [{"x": record["x"], "y": None} for record in records]


def test_a_preview_that_shows_nothing_is_followed_by_lessons() -> None:
    thing = decoder(THING)
    records = [{"id": at, "name": "n" * 50, "address": {"street": "s", "floor": at}} for at in range(1, 5000)]
    records[4000]["x"] = 1
    found = rows(list(thing.decode(page(records))))
    assert [row["_rescued"] for row in found[3999:4002]] == [
        {"address.floor": 4000},
        {"address.floor": 4001, "x": 1},
        {"address.floor": 4002},
    ]

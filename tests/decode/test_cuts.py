"""Unknown fields cut out of the text: the same columns as the careful way, whatever they hold and wherever they change."""

from __future__ import annotations

import json
from contextlib import suppress

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from st_export.catalog.schema import entity_schema
from st_export.decode.casts import NotStrict
from st_export.decode.columns import CarefulReader, Columns, quick_columns
from st_export.decode.controls import Controls
from st_export.decode.cuts import Cutter
from st_export.decode.forms import Form, told
from st_export.decode.nodes import Node, Run, Unknowns, row_node
from st_export.decode.proof import _parsed
from st_export.decode.text import LongNumber, loads
from st_export.decode.unknown import Learner
from st_export.flow import Json  # noqa: TC001 - pytest
from tests.decode.cases import column, decoder, entity, page, rows
from tests.properties.test_rescue import DIGITS, JSONS, assert_same, named

ID = column("id", "int64")
LINES = column("lines", "list", item=column("item", "struct", ID, column("cost", "decimal")))
THING = entity(ID, column("name", "string"), column("address", "struct", column("street", "string")), LINES, key=("id",))
ROW: Node = row_node(THING.columns, entity_schema(THING), {})

LISTS = ["[]", "null", '[{"id":1,"text":"a"}]', '[{"id":1,"text":"},{\\"id\\":2"},{"id":2,"more":[{"id":3}]}]', '[[1,[]],{"":{}}]']


def careful(items: str) -> Columns:
    reader = CarefulReader(ROW, Learner(ROW))
    reader._stubborn = frozenset(ROW.fields)
    return reader.columns(loads(f"[{items}]".encode()))


def taught(*records: str) -> Learner:
    learner = Learner(ROW)
    CarefulReader(ROW, learner).columns([loads(record.encode()) for record in records])
    return learner


def cut(learner: Learner, items: str) -> bool:
    return learner.cutter.cut(memoryview(items.encode()), learner.unknowns) is not None


@pytest.mark.parametrize("layout", ['{{"id":{n},"name":"a","x":{x}}}', '{{"id":{n},"x":{x},"name":"a"}}', '{{"x":{x},"id":{n}}}'])
def test_lists_of_objects_are_cut_out_wherever_they_stand(layout: str) -> None:
    items = ",".join(layout.format(n=n, x=LISTS[n % len(LISTS)]) for n in range(50))
    learner = taught(layout.format(n=1, x="[]"))
    assert cut(learner, items)
    quick, count = quick_columns(ROW, items.encode(), Controls(), learner)
    assert count == 50
    assert quick["_rescued"].to_pylist() == [f'{{"x":{LISTS[n % len(LISTS)]}}}' for n in range(50)]
    assert_same(quick, careful(items))


def test_lists_of_objects_in_every_record_are_read_without_the_careful_way() -> None:
    thing = decoder(THING)
    records = [{"id": n, "x": [{"id": n, "text": "a\n"}] * (n % 3), "y": {"a": {"b": n / 8}}, "name": "n"} for n in range(1, 40)]
    list(thing.decode(page(records)))
    thing._careful = None  # type: ignore[assignment]
    found = rows(list(thing.decode(page(records))))
    assert [row["_rescued"] for row in found] == [{"x": record["x"], "y": record["y"]} for record in records]


MIDDLES = [
    '{"id":5,"name":"a"}',
    '{"id":5,"name":"a","x":null}',
    '{"id":5,"name":"a","x":"}],\\"id\\":1},{\\"id\\":2"}',
    '{"id":5,"name":"a","x":[{"id":1}],"new":{"a":1.50}}',
    '{"id":5,"name":"a","new":1,"x":[{"id":1}]}',
    '{"id":5,"name":"a","new":1}',
    '{"id":5,"x":[{"id":1}],"name":"a"}',
    '{"x":[{"id":1}],"id":5}',
    '{"id":5,"x":[{"id":1}],"address":{"street":"b","x":2},"name":"a"}',
    '{"id":5,"address":{"x":[{"id":1}]}}',
    '{"id":5,"lines":[{"id":1,"x":[{"id":1}]}],"x":[]}',
    '{"id":5,"name":"a","x":[{"id":1,"x":2}]}',
    '{"id":5,"name":"a","x":[{"id":1,"id":2}]}',
    '{"id":5,"name":"a","x":[],"x":[{"id":1}]}',
    '{"id":5,"name":"a","x":[],"x" :[{"id":1}]}',
    '{"id":5,"name":"a","x":[],"\\u0078":[{"id":1}]}',
    '{"id":5,"name":"a","\\u0078":null}',
    '{"id":5,"name":"a","x" :null}',
    '{"id":5,"name":"a","x":[] ,"y":[ 1 ] }',
    '{"id":5,"name":"a","x":[],"name":"b"}',
    '{"id":5,"name":"a","x":["\\u00e9\\/\\ud83d\\ude00\\u007f"]}',
    '{"id":5,"name":"a","x":["\\ud800"]}',
    '{"id":5,"name":"a","x":[123456789012345678901234567890,1.0,-0,1E5,1e16]}',
    '{"id":5,"name":"a","x":[1.2345678901234567891,1e999]}',
    '{"id":5,"name":"a","x":[0.30000000000000004,1e-7,18446744073709551615]}',
    '{"id":5,"name":7,"x":[{"id":1}]}',
    '{"id":5,"name":"\\"x\\":[1]},{\\"id\\":","x":[{"id":1}]}',
    '{"id":5,"name":"a","x":[{"id":1}],"a.b":1,"address":{"street":"c"}}',
]


@pytest.mark.parametrize("middle", MIDDLES)
@pytest.mark.parametrize("usual", ['{"id":1,"name":"a","x":[{"id":1,"t":"b"},{"id":2}]}', '{"id":1,"name":"a","x":3,"y":"z"}'])
def test_a_shape_that_changes_in_the_middle_of_a_piece_changes_nothing(usual: str, middle: str) -> None:
    items = ",".join([usual] * 20 + [middle] + [usual] * 20)
    expected = careful(items)
    learner = taught(usual)
    try:
        quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
    except NotStrict:
        pass
    else:
        assert_same(quick, expected)
    found = list(decoder(THING).decode(page(f"[{usual},{items}]".encode()), chunk_bytes=200))
    texts = [text for piece in found for text in piece.batch.column("_rescued").to_pylist()]
    assert texts[1:] == expected["_rescued"].to_pylist()


def test_values_are_printed_as_the_careful_way_prints_them() -> None:
    items = '{"id":1,"x":1.50},{"id":2,"x":"\\/"},{"id":3},{"id":4,"x":12345678901234567890123,"y":1e3}'
    learner = taught('{"id":1,"x":1}')
    assert cut(learner, items)
    quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
    assert quick["_rescued"].to_pylist() == ['{"x":1.5}', '{"x":"/"}', None, '{"x":12345678901234567890123,"y":1000.0}']
    assert_same(quick, careful(items))


def test_runs_in_several_places_of_a_record_keep_their_order() -> None:
    records = [
        '{"id":1,"x":[{"a":1}],"name":"n","y":2,"lines":[],"z":3}',
        '{"id":2,"y":{},"w":0,"lines":[]}',
        '{"id":3,"z":"last"}',
        '{"id":4}',
    ]
    learner = taught(*records)
    assert {run.first for run in learner.unknowns.runs} == {"x", "y", "z"}
    items = ",".join(records * 5)
    assert cut(learner, items)
    quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
    assert quick["_rescued"].to_pylist() == ['{"x":[{"a":1}],"y":2,"z":3}', '{"y":{},"w":0}', '{"z":"last"}', None] * 5


def test_a_run_that_lacks_its_first_field_is_cut_from_the_next_one() -> None:
    records = ['{"id":1,"x":[{"a":1}],"y":2}', '{"id":2,"y":[3]}', '{"id":3}']
    learner = taught(*records)
    items = ",".join(records * 5)
    assert cut(learner, items)
    quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
    assert_same(quick, careful(items))


@pytest.mark.parametrize(
    "items",
    ["", '"x":1', '{"id":1,"x":', '{"id":1,"x":[}', '{"id":1,"x":2,"name":"a"}', '{"id":1,"x":1},2,{"a":3}', '{"id":1,"x":1}},{"id":2}'],
)  # fmt: skip
def test_what_is_no_run_of_whole_members_is_not_cut(items: str) -> None:
    cutter = Cutter({"id", "name"})
    assert cutter.cut(memoryview(items.encode()), Unknowns(runs=(Run("x", None),))) is None


def test_texts_that_are_whole_only_together_are_no_runs() -> None:
    sent = pa.array([b'"x":1},{"a":[{"b":1', b'"x":2}]'], pa.binary())
    assert _parsed(sent, Run("x", None), "marker") is None


def test_a_marker_that_no_record_has_is_refused() -> None:
    learner = taught('{"id":1,"x":1}')
    cuts = learner.cutter.cut(memoryview(b'{"id":1,"x":1},{"id":2,"x":2}'), learner.unknowns)
    assert cuts is not None
    with pytest.raises(NotStrict, match="not at the top"):
        cuts.entries([pa.array([True, None])])


def test_a_name_in_two_runs_of_one_record_is_left_to_the_careful_way() -> None:
    learner = taught('{"id":1,"x":1,"z":2,"name":"n","y":3}', '{"id":1,"y":3}')
    once = '{"id":1,"x":1,"z":2,"name":"n"},{"id":2,"y":3,"z":4}'
    assert_same(quick_columns(ROW, once.encode(), Controls(), learner)[0], careful(once))
    with pytest.raises(NotStrict, match="two places"):
        quick_columns(ROW, b'{"id":1,"x":1,"z":2,"name":"n","y":3,"z":4}', Controls(), learner)


def test_runs_that_overlap_are_not_cut() -> None:
    learner = taught('{"id":1,"a":1}', '{"id":1,"b":1}')
    assert cut(learner, '{"id":1,"a":1},{"id":2,"a":2,"b":2},{"id":3,"b":1}')
    assert not cut(learner, '{"id":1,"a":1},{"id":2,"b":2,"a":2},{"id":3,"b":1}')


def test_what_the_controls_name_is_not_cut() -> None:
    thing = decoder(THING, Controls(frozenset({"secret"}), frozenset({"pin"}), b"key"))
    record = b'{"id":1,"x":[{"a":1}],"secret":2,"pin":"3"}'
    found = [rows(list(thing.decode(page(b"[" + record + b"]"))))[0]["_rescued"] for _ in range(3)]
    assert found[0] == found[1] == found[2]
    assert found[0].keys() == {"x", "pin"}
    assert found[0]["pin"] != "3"


@pytest.mark.parametrize("odd", ['{"a":1.50}', '"\\u00e9"', "12345678901234567890", '[{"id":1,"text":"b"}]', "true", "null", '{"b":{}}'])
def test_rows_that_the_form_does_not_match_are_parsed_alone(odd: str) -> None:
    learner = taught('{"id":1,"x":[]}')
    usual = ['{"id":1,"x":[{"id":1,"text":null}]}', '{"id":2,"x":[]}', '{"id":3}']
    for items in [",".join(usual * 3)] * 2 + [",".join([*usual, f'{{"id":4,"x":{odd}}}', *usual])] * 3:
        assert cut(learner, items)
        quick, _ = quick_columns(ROW, items.encode(), Controls(), learner)
        assert_same(quick, careful(items))


def whole(form: Form) -> str | None:
    """Return a pattern for the whole text inside the braces of the objects that a form has met, None where there is none."""
    objects = form.objects()
    return told(rf"^(?:{'|'.join(objects)})\z") if objects else None


@settings(max_examples=500, deadline=None)
@given(JSONS | DIGITS, st.booleans())
def test_what_a_form_matches_is_printed_as_it_was_sent(text: str, is_met: bool) -> None:
    form = Form()
    form.meet({"x": [0, 0.5, "a", None, True, [], [1, 2.5, "b"]]})
    if is_met:
        form.meet({"x": loads(text.encode())})
    pattern = whole(form)
    sent = f'"x":{text}'
    if pattern is not None and pc.match_substring_regex(pa.array([sent]), pattern)[0].as_py():
        assert orjson.dumps(orjson.loads(f"{{{sent}}}")) == f"{{{sent}}}".encode()


@pytest.mark.parametrize(
    "text", ["-0", "01", "1.0e1", "1.10", "0.00001", "1234567890123456.5", "-", "1.", '"\t"', r'"\/"', r'"\u0041"', "[1,]", "[ 1]", ""]
)
def test_what_a_form_must_not_match(text: str) -> None:
    form = Form()
    form.meet({"x": [0, 0.5, "a", None, True, [1]]})
    form.meet({"x": 0.5})
    form.meet({"x": 1})
    form.meet({"x": "a"})
    pattern = whole(form)
    assert pattern is not None
    sent = f'"x":{text}'
    assert not pc.match_substring_regex(pa.array([sent]), pattern)[0].as_py()


@pytest.mark.parametrize("value", [{"a b": 1}, {}, {"x": {"a b": 1}}, LongNumber("1" * 2000), {"x": [[[[[[[[[[1]]]]]]]]]]}])
def test_what_has_no_form(value: Json) -> None:
    form = Form()
    form.meet(value)
    assert whole(form) is None


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6).map(orjson.dumps).map(bytes.decode)
KNOWN: dict[str, st.SearchStrategy[str]] = {
    "id": st.integers(1, 9).map(str),
    "name": TEXTS | st.just("null"),
    "address": st.just("null") | st.fixed_dictionaries({}, optional={"street": TEXTS, "floor": DIGITS}).map(named),
    "lines": st.lists(st.fixed_dictionaries({"id": st.just("1")}, optional={"kind": TEXTS}).map(named), max_size=2).map(
        lambda found: "[" + ",".join(found) + "]"
    ),
}
UNKNOWN = JSONS | st.sampled_from(LISTS) | TEXTS.map(lambda text: json.dumps(f'{text},"x":1}},{{"id":'))


@st.composite
def learnt(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Records that are learnt from, and records that follow: their fields in one order nearly always, any of them absent."""
    order = draw(st.permutations([*KNOWN, "x", "y", "z"]))
    usual = draw(st.sets(st.sampled_from(["x", "y", "z"]), min_size=1))
    always = {name: KNOWN.get(name, UNKNOWN) for name in order if name in usual or name == "id"}
    others = {name: KNOWN.get(name, UNKNOWN) for name in order if name not in always}
    fields = st.fixed_dictionaries(always) if draw(st.booleans()) else st.fixed_dictionaries(always, optional=others)
    loose = st.fixed_dictionaries({"id": KNOWN["id"]}, optional={name: KNOWN.get(name, UNKNOWN) for name in order if name != "id"})

    def text(record: dict[str, str]) -> str:
        return named({name: record[name] for name in order if name in record})

    first = draw(st.lists(fields.map(text), min_size=1, max_size=4))
    rest = draw(st.lists(fields.map(text), min_size=1, max_size=8))
    strange = draw(st.lists(loose.map(text) | loose.map(named), max_size=1))
    place = draw(st.integers(0, len(rest)))
    return first, [*rest[:place], *strange, *rest[place:]]


@settings(max_examples=500, deadline=None)
@given(learnt())
def test_what_was_learnt_reads_what_follows_as_the_careful_way_does(texts: tuple[list[str], list[str]]) -> None:
    first, rest = texts
    items = ",".join(rest)
    expected = careful(items)
    learner = taught(*first)
    for piece in (",".join(first), ",".join(first), items, items):
        try:
            quick, _ = quick_columns(ROW, piece.encode(), Controls(), learner)
        except NotStrict:
            continue
        if piece == items:
            assert_same(quick, expected)


@pytest.mark.parametrize(
    ("taught_by", "items"),
    [
        # a name that is the first of a later run stands in an earlier one as well
        ('{"id":1,"x":1,"name":"n","y":3}', '{"id":1,"x":1,"y":2,"name":"n","y":3}'),
        # one record, and one in the middle, sends its runs the other way round
        ('{"id":1,"x":1,"name":"n","y":2,"lines":[]}', '{"id":1},{"id":2,"y":3,"lines":[],"x":4,"name":"n"}'),
        (
            '{"id":1,"x":1,"name":"n","y":2,"lines":[]}',
            '{"id":1,"x":1,"name":"n","y":2,"lines":[]},{"id":2,"y":3,"lines":[],"x":4,"name":"n"},{"id":3,"x":1,"name":"n","y":2,"lines":[]}',
        ),
        # the same with fields that are read by their types, as they do not always stand in one place
        ('{"id":1,"x":1,"y":2},{"id":1,"name":"n","x":3},{"id":1,"x":1,"name":"n"}', '{"id":1},{"id":2,"y":4,"x":3}'),
        (
            '{"id":1,"x":1,"y":2},{"id":1,"name":"n","x":3},{"id":1,"x":1,"name":"n"}',
            '{"id":1,"x":1,"y":2},{"id":2,"y":4,"x":3},{"id":3,"x":1,"y":2}',
        ),
        # a null whose colon stands apart, and one whose name is escaped
        ('{"id":1,"y1":2.5,"name":"n"}', '{"id":1,"y1":2.5,"name":"n"},{"id":3,"y1" :null,"name":"n"}'),
        ('{"id":1,"y1":2.5,"name":"n"}', '{"id":1,"y1":2.5,"name":"n"},{"id":3,"y\\u0031":null,"name":"n"}'),
        ('{"id":1,"y1":2.5,"name":"n"}', '{"id":3,"y1" :null,"name":"n"}'),
        ('{"id":1,"y1":2.5,"name":"n"}', '{"id":3,"y\\u0031":null,"name":"n"}'),
    ],
)
def test_what_is_sent_otherwise_than_learnt_is_refused_or_right(taught_by: str, items: str) -> None:
    learner = taught(*[orjson.dumps(record).decode() for record in orjson.loads(f"[{taught_by}]")])
    with suppress(NotStrict):
        assert_same(quick_columns(ROW, items.encode(), Controls(), learner)[0], careful(items))

"""Pages to rows: shapes, keys, misfits and constants, as others have met them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest

from st_export.catalog.entity import Parent
from tests.decode.cases import column, decode, decoder, entity, one, page, rows

ID = column("id", "int64")
TAGS = column("tagTypeIds", "list", item=column("item", "int64"))
SKILLS = column("skills", "list", item=column("item", "struct", column("name", "string")))
ITEMS = column("items", "list", item=column("item", "struct", ID, column("cost", "decimal"), column("on", "timestamp")))
ADDRESS = column("address", "struct", column("street", "string"), column("since", "date"))
THING = entity(ID, column("total", "decimal"), column("start", "date"), column("name", "string"), TAGS, SKILLS, ITEMS, ADDRESS, key=("id",))
EMPTY: dict[str, Any] = dict.fromkeys(["total", "start", "name", "tagTypeIds", "skills", "items", "address"])


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        (b'{"id":1}', {}),
        (b'{"id":1,"total":0}', {"total": Decimal(0)}),
        (b'{"id":1,"total":"0.00"}', {"total": Decimal(0)}),
        (b'{"id":1,"total":-0.0}', {"total": Decimal(0)}),
        (b'{"id":1,"total":1E+2}', {"total": Decimal(100)}),
        (b'{"id":1,"total":1.0000000000000000000}', {"total": Decimal(1)}),
        (b'{"id":1,"total":12345678901234567.89}', {"total": Decimal("12345678901234567.89")}),
        (b'{"id":1,"total":"NA"}', {"_rescued": {"total": "NA"}}),
        (b'{"id":1,"total":"0.12345678905"}', {"total": Decimal("0.123456789"), "_rescued": {"total": "0.12345678905"}}),
        (b'{"id":1,"start":"2025-08-01T00:00:00"}', {"start": date(2025, 8, 1)}),
        (b'{"id":1,"start":"2025-08-01T13:45:00"}', {"start": date(2025, 8, 1), "_rescued": {"start": "2025-08-01T13:45:00"}}),
        (b'{"id":1,"start":"2025-02-30"}', {"_rescued": {"start": "2025-02-30"}}),
        *((orjson.dumps({"id": 1, "name": name}), {"name": name}) for name in ("NA", "Null", "nan", "", " x ", "00501", "\x00\u2028")),
        (b'{"id":1,"name":5}', {"_rescued": {"name": 5}}),
        (b'{"id":1,"skills":{}}', {"_rescued": {"skills": {}}}),
        (b'{"id":1,"skills":"plumbing"}', {"_rescued": {"skills": "plumbing"}}),
        (b'{"id":1,"tagTypeIds":[1,"x",3]}', {"tagTypeIds": [1, None, 3], "_rescued": {"tagTypeIds[1]": "x"}}),
        (b'{"id":1,"skills":["a",{"name":"b"}]}', {"skills": [None, {"name": "b"}], "_rescued": {"skills[0]": "a"}}),
        (b'{"id":1,"tagTypeIds":[[1],null]}', {"tagTypeIds": [None, None], "_rescued": {"tagTypeIds[0]": [1]}}),
        (b'{"id":1,"items":[]}', {"items": []}),
        (b'{"id":1,"address":{}}', {"address": {"street": None, "since": None}}),
        (b'{"id":1,"address":{"floor":3,"street":"x"}}', {"address": {"street": "x", "since": None}, "_rescued": {"address.floor": 3}}),
        (b'{"id":1,"items":[null,{"x":[1]}]}', {"items": [None, {"id": None, "cost": None, "on": None}], "_rescued": {"items[1].x": [1]}}),
        (b'{"id":1,"id":2}', {"id": 2}),
        (b'{"id":1,"gone":null}', {"_rescued": {"gone": None}}),
    ],
)
def test_a_record_becomes_a_row(sent: bytes, row: dict[str, Any]) -> None:
    assert one(THING, sent) == {"id": 1} | EMPTY | row


@pytest.mark.parametrize(
    "value", [b"123456789012345678901234567890", b"-9223372036854775809", b"12345678901234567890.125", b'"\\ud800"', b"1e999"]
)
def test_unknown_and_unfitting_values_keep_every_digit(value: bytes) -> None:
    text = b'{"id":1,"new":' + value + b',"name":' + value + b"}"
    (decoded,) = decode(THING, b"[" + text + b"]")
    assert decoded.batch.column("_rescued").to_pylist() == [f'{{"new":{value.decode()},"name":{value.decode()}}}']


def test_rescued_stands_in_the_order_in_which_it_was_sent() -> None:
    (decoded,) = decode(THING, b'[{"z":1,"name":2,"address":{"y":3,"street":4},"id":1,"a":5}]')
    assert decoded.batch.column("_rescued").to_pylist() == ['{"z":1,"name":2,"address.y":3,"address.street":4,"a":5}']
    assert decoded.rescued == 1


def test_two_fields_that_spell_one_path_are_both_kept() -> None:
    row = one(THING, b'{"id":1,"address":{"x":1},"address.x":2}')
    assert row["_rescued"] == {"address.x": 1, '["address.x"]': 2}


def test_records_without_a_key_or_a_shape_are_rejected() -> None:
    (decoded,) = decode(THING, b'[{"id":1},{"name":"a"},{"id":null},{"id":"b"},7,null,{"id":"2"}]')
    assert [row["id"] for row in rows([decoded])] == [1, 2]
    assert [(reject.raw, reject.reason) for reject in decoded.rejects] == [
        (b'{"name":"a"}', "no key `id`"),
        (b'{"id":null}', "no key `id`"),
        (b'{"id":"b"}', "the key `id` is no int64"),
        (b"7", "not an object"),
        (b"null", "not an object"),
    ]


@pytest.mark.parametrize("body", [b"7", b"[7]", b'{"value":7}'])
def test_a_bare_value_has_one_column(body: bytes) -> None:
    assert rows(decode(entity(column("value", "int64")), body)) == [{"value": 7}]


def test_an_object_is_one_row_and_nothing_is_none() -> None:
    assert rows(decode(THING, b'{"id":4}')) == [{"id": 4} | EMPTY]
    assert decode(THING, b"[]") == decode(THING, b"null") == decode(THING, b'{"data":null,"hasMore":false}') == []


def test_the_request_gives_constant_columns() -> None:
    parents = (Parent("a", None), Parent("b", None))
    child = entity(ID, kind="child", parents=parents)
    (decoded,) = decode(child, b'[{"id":1},{"id":2}]', _parent_id=9, _parent_ids=["8", "9"])
    assert decoded.batch.schema.names == ["id", "_parent_id", "_parent_ids", "_rescued"]
    assert rows([decoded]) == [{"id": at, "_parent_id": 9, "_parent_ids": ["8", "9"]} for at in (1, 2)]


def test_a_window_that_was_asked_is_in_every_row() -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    daily = entity(ID, per="day")
    assert rows(decode(daily, b'[{"id":1}]', _window_from=start)) == [{"id": 1, "_window_from": start, "_window_to": None}]


def test_eight_levels_of_categories_are_kept() -> None:
    tree: dict[str, Any] = {"id": 8, "subcategories": []}
    for level in range(7, 0, -1):
        tree = {"id": level, "subcategories": [tree]}
    inner = column("item", "struct", ID, column("subcategories", "list", item=column("item", "json")))
    row = one(entity(ID, column("subcategories", "list", item=inner), key=("id",)), tree)
    assert [orjson.loads(text) for text in row["subcategories"][0]["subcategories"]] == tree["subcategories"][0]["subcategories"]


def test_fields_outside_the_catalog_in_every_record_are_read_in_bulk() -> None:
    thing = decoder(THING)
    records = [
        {"id": n, "isNew": n % 2 == 0, "text": 'a"\n', "ids": [n, None], "money": n / 4, "gap": None, "address": {"floor": str(n)},
         "items": [{"id": 1, "kind": "k"}, {"id": 2, "kind": None}]}
        for n in range(1, 9)
    ]  # fmt: skip
    list(thing.decode(page(records)))
    assert set(thing._learner.unknowns.fields) == {(), ("address",), ("items", "[]")}
    thing._careful = None  # type: ignore[assignment]
    expected = [
        {"isNew": r["isNew"], "text": 'a"\n', "ids": r["ids"], "money": r["money"], "gap": None, "address.floor": str(r["id"]),
         "items[0].kind": "k", "items[1].kind": None}
        for r in records
    ]  # fmt: skip
    assert [row["_rescued"] for row in rows(list(thing.decode(page(records))))] == expected


@pytest.mark.parametrize("chunk_bytes", [1, 60, 500, 10**6])
def test_pages_are_taken_in_pieces_whatever_their_records_hold(chunk_bytes: int) -> None:
    records = [
        {"id": n, "name": '},{"id":' * (n % 3), "items": [{"id": 1}, {"id": n}], "new": n} if n % 5 else {"name": "n", "id": n}
        for n in range(60)
    ]  # fmt: skip
    found = list(decoder(THING).decode(page({"hasMore": False, "data": records}), chunk_bytes=chunk_bytes))
    assert [row["id"] for row in rows(found)] == list(range(60))
    assert [row.get("_rescued", {}).get("new") for row in rows(found)] == [n if n % 5 else None for n in range(60)]
    assert sum(piece.rescued for piece in found) == 48
    assert chunk_bytes > 500 or len(found) > 5


def test_many_threads_share_a_decoder() -> None:
    thing = decoder(THING)
    pages = [page([{"id": n, "extra": n, "total": f"{n}.5"} for n in range(first, first + 50)]) for first in range(0, 1000, 50)]
    with ThreadPoolExecutor(4) as pool:
        found = [row for part in pool.map(lambda one_page: rows(list(thing.decode(one_page))), pages) for row in part]
    assert [(row["id"], row["total"], row["_rescued"]) for row in found] == [(n, Decimal(f"{n}.5"), {"extra": n}) for n in range(1000)]


def test_fields_whose_order_differs_are_rescued_in_the_order_of_each_record() -> None:
    thing = decoder(THING)
    for body in (b'[{"id":1,"x":1}]', b'[{"y":2,"id":1}]', b'[{"x":1,"y":2,"id":1}]', b'[{"y":2,"x":1,"id":1}]', b'[{"x":1,"y":2,"id":1}]'):
        (decoded,) = thing.decode(page(body))
        assert decoded.batch.column("_rescued").to_pylist() == [body.decode()[1:-1].replace('"id":1,', "").replace(',"id":1', "")]


def test_numbers_as_doubles() -> None:
    thing = entity(column("total", "decimal"))
    (decoded,) = decode(thing, b'[{"total":"0.10"},{"total":-0.0},{"total":1234567.89},{"total":5}]', numbers="double")
    assert decoded.batch.column("total").equals(pa.array([0.1, 0.0, 1234567.89, 5.0]))
    exact = one(thing, b'{"total":"123456789.123456789123"}', numbers="double")
    assert exact == {"total": 123456789.12345679, "_rescued": {"total": "123456789.123456789123"}}


def test_a_value_that_is_an_object_is_the_value_in_large_answers_too() -> None:
    sent = [{"a": number, "t": "x" * 100} for number in range(6_000)]
    found = rows(decode(entity(column("value", "json")), sent))
    assert [orjson.loads(row["value"]) for row in found] == sent
    assert not any("_rescued" in row for row in found)

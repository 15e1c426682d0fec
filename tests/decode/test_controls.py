"""Dropped and hashed values, in columns, in `_rescued` and in rejects, by both ways."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from st_export.decode.controls import Controls
from tests.decode.cases import column, decode, decoder, entity, one, page, rows

CONTACTS = column("contacts", "list", item=column("item", "struct", column("value", "string"), column("memo", "string")))
ADDRESS = column("address", "struct", column("street", "string"), column("city", "string"))
THING = entity(
    column("id", "int64"), column("email", "string"), column("on", "timestamp"), CONTACTS, ADDRESS, column("total", "decimal"), key=("id",)
)


def controls(*hashed: str, drop: tuple[str, ...] = ()) -> Controls:
    return Controls(frozenset(drop), frozenset(hashed), b"key")


def digest(text: str) -> str:
    return hmac.new(b"key", text.encode(), "sha256").hexdigest()


MOMENT = "2026-01-01T00:00:00Z"
CONTACT = {"value": "5", "memo": "m"}
RECORD = {"id": 1, "email": "a@b", "on": MOMENT, "contacts": [CONTACT], "address": {"street": "s", "city": "c"}}
PLAIN = {"id": 1, "email": None, "on": None, "contacts": None, "address": None, "total": None}


@pytest.mark.parametrize("extra", [{}, {"new": 1}])
def test_hashes_replace_values_at_any_depth(extra: dict[str, Any]) -> None:
    row = one(THING, RECORD | extra, controls("email", "on", "contacts.value", "total"))
    assert row.pop("_rescued", {}) == extra
    assert row == {
        "id": 1, "email": digest("a@b"), "on": digest(MOMENT), "contacts": [{"value": digest("5"), "memo": "m"}],
        "address": {"street": "s", "city": "c"}, "total": None,
    }  # fmt: skip


@pytest.mark.parametrize("extra", [{}, {"new": 1}])
def test_dropped_columns_are_gone_at_any_depth(extra: dict[str, Any]) -> None:
    row = one(THING, RECORD | extra, controls(drop=("email", "contacts[].memo", "address.street", "on", "total")))
    assert row.pop("_rescued", {}) == extra
    assert row == {"id": 1, "contacts": [{"value": "5"}], "address": {"city": "c"}}


def test_misfits_and_unknown_fields_are_under_the_controls_too() -> None:
    record = {"id": 1, "email": 5, "secret": "x", "address": {"pin": 7, "door": 8}, "contacts": {"value": "5", "memo": "m"}}
    row = one(THING, record, controls("email", "address.pin", "contacts.value", drop=("secret", "address.door", "contacts.memo")))
    assert row["email"] == digest("5")
    assert row["_rescued"] == {"address.pin": digest("7"), "contacts": {"value": digest("5")}}


def test_unknown_fields_stay_under_the_controls_page_after_page() -> None:
    thing = decoder(THING, controls("secret", "address.pin", drop=("gone",)))
    sent = [{"id": n, "secret": f"s{n}", "gone": 1, "fine": n, "address": {"pin": f"p{n}"}} for n in (1, 2)]
    expected = [{"secret": digest(f"s{n}"), "fine": n, "address.pin": digest(f"p{n}")} for n in (1, 2)]
    for _ in range(5):
        assert [row["_rescued"] for row in rows(list(thing.decode(page(sent))))] == expected


def test_other_types_are_hashed_by_their_json() -> None:
    row = one(THING, b'{"id":1,"total":1.50,"contacts":[{"value":"5"}],"address":null}', controls("total", "contacts", "address"))
    assert row == PLAIN | {"total": digest("1.5"), "contacts": digest('[{"value":"5"}]')}


def test_rejects_are_under_the_controls() -> None:
    (decoded,) = decode(THING, b'[{"email":"a@b","on":"x"}]', controls("email", drop=("on",)))
    assert decoded.rejects[0].raw == b'{"email":"%s"}' % digest("a@b").encode()


def test_a_hashed_key_is_still_a_key() -> None:
    row = one(THING, b'{"id":1}', controls("id"))
    assert row["id"] == digest("1")


def test_a_struct_of_dropped_fields_leaves_the_rest_to_rescued() -> None:
    row = one(THING, b'{"id":1,"address":{"street":"s","city":"c","new":1}}', controls(drop=("address.street", "address.city")))
    assert "address" not in row
    assert row["_rescued"] == {"address": {"new": 1}}

"""Small entities and pages for the tests of the decode stage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from st_export.catalog.entity import Column, Entity
from st_export.catalog.schema import entity_schema
from st_export.decode.controls import Controls
from st_export.decode.decoder import Decoded, Decoder
from st_export.decode.parse import normalise, read_envelope
from st_export.flow import EntityName, Page, Request

NAME = EntityName("test.things")


def column(name: str, kind: Any, *fields: Column, item: Column | None = None) -> Column:
    return Column(name, kind, item=item, fields=fields)


def entity(*columns: Column, key: tuple[str, ...] = (), kind: Any = "list", **facts: Any) -> Entity:
    return Entity(NAME, kind, "/test/v2/tenant/{tenant}/things", columns, key=key, **facts)


def page(body: bytes | Any, **constants: Any) -> Page:
    text = normalise(body if isinstance(body, bytes) else orjson.dumps(body))
    return Page(Request(NAME, "/test/v2/tenant/1/things"), text, read_envelope(text), datetime(2026, 11, 1, tzinfo=UTC), constants)


def decoder(thing: Entity, controls: Controls | None = None, numbers: str = "decimal") -> Decoder:
    controls = controls or Controls()
    return Decoder(thing, entity_schema(thing, numbers, controls.drop, controls.hash), controls=controls)


def decode(
    thing: Entity, body: bytes | Any, controls: Controls | None = None, *, numbers: str = "decimal", **constants: Any
) -> list[Decoded]:
    return list(decoder(thing, controls, numbers).decode(page(body, **constants)))


def rows(decoded: list[Decoded]) -> list[dict[str, Any]]:
    """The rows of all pieces, `_rescued` as a value; keys of ours that are null left out."""
    found = [row for piece in decoded for row in piece.batch.to_pylist()]
    for row in found:
        text = row.pop("_rescued")
        if text is not None:
            row["_rescued"] = orjson.loads(text)
    return found


def one(thing: Entity, record: Any, controls: Controls | None = None, **options: Any) -> dict[str, Any]:
    """The row of one record, sent as raw JSON text (bytes) or as a value."""
    text = record if isinstance(record, bytes) else orjson.dumps(record)
    (row,) = rows(decode(thing, b'{"hasMore":false,"data":[' + text + b"]}", controls, **options))
    return row

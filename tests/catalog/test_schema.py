"""Arrow schemas of entities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.catalog.entity import Column, Entity, Parent
from st_export.catalog.schema import OWN_COLUMNS, arrow_text, entity_schema, type_text
from st_export.errors import ConfigError
from st_export.flow import EntityName

if TYPE_CHECKING:
    import pyarrow as pa

    from st_export.catalog.load import Catalog

WIDGET = Entity(
    EntityName("gadgets.widgets"),
    "feed",
    "/gadgets/v2/tenant/{tenant}/export/widgets",
    columns=(
        Column("id", "int64"),
        Column("price", "decimal"),
        Column("address", "struct", fields=(Column("street", "string"), Column("zip", "string"))),
        Column("items", "list", item=Column("item", "struct", fields=(Column("cost", "decimal"), Column("on", "date")))),
        Column("seen", "timestamp"),
        Column("extra", "json"),
    ),
    key=("id",),
)
OWN = {
    "_tenant_id": "int64",
    "_exported_at": "timestamp[us, UTC]",
    "_run_id": "string",
    "_deleted": "bool",
    "_rescued": "string",
}


def _texts(schema: pa.Schema) -> dict[str, str]:
    return {field.name: arrow_text(field.type) for field in schema}


def test_a_schema_has_the_columns_of_the_api_and_then_ours() -> None:
    schema = entity_schema(WIDGET)
    assert _texts(schema) == {
        "id": "int64",
        "price": "decimal128(38, 9)",
        "address": "struct<street: string, zip: string>",
        "items": "list<struct<cost: decimal128(38, 9), on: date32>>",
        "seen": "timestamp[us, UTC]",
        "extra": "string",
        **OWN,
    }
    assert [field.name for field in schema if not field.nullable] == ["id"]


@pytest.mark.parametrize(
    ("numbers", "text"), [("decimal", "decimal128(38, 9)"), ("decimal(18,4)", "decimal128(18, 4)"), ("double", "float64")]
)
def test_numbers_are_stored_as_configured(numbers: str, text: str) -> None:
    assert _texts(entity_schema(WIDGET, numbers))["price"] == text
    assert type_text(Column("price", "decimal"), numbers) == text


@pytest.mark.parametrize("numbers", ["float", "decimal(39,2)", "decimal(4,5)", "decimal(0,0)", "decimal(9)"])
def test_a_wrong_number_type_is_a_configuration_error(numbers: str) -> None:
    with pytest.raises(ConfigError, match="is no number type"):
        entity_schema(WIDGET, numbers)


def test_dropped_and_hashed_columns_may_be_nested() -> None:
    schema = entity_schema(WIDGET, drop=["address.street", "items[].on", "seen", "unknown"], hash=["id", "items.cost"])
    assert _texts(schema) == {
        "id": "string",
        "price": "decimal128(38, 9)",
        "address": "struct<zip: string>",
        "items": "list<struct<cost: string>>",
        "extra": "string",
        **OWN,
    }


def test_a_struct_without_fields_left_is_dropped() -> None:
    assert "address" not in entity_schema(WIDGET, drop=["address.street", "address.zip"]).names


def test_the_key_cannot_be_dropped() -> None:
    with pytest.raises(ConfigError, match="`id` is the key"):
        entity_schema(WIDGET, drop=["id"])


def test_children_windows_and_segments_have_columns_of_ours(catalog: Catalog) -> None:
    columns = (Column("id", "int64"),)
    parents = (Parent("a", EntityName("gadgets.widgets"), "_parent_id"), Parent("b", EntityName("gadgets.widgets"), type="string"))
    child = Entity(EntityName("gadgets.widgets.notes"), "child", "/…", columns, parents=parents, per="day", segment_parameter="kind")
    assert entity_schema(child).names == ["id", "_parent_id", "_parent_ids", "_window_from", "_window_to", "_segment", *OWN_COLUMNS]
    assert arrow_text(entity_schema(child).field("_parent_id").type) == "string"
    assert all(entity_schema(entity).names[-5:] == list(OWN_COLUMNS) for entity in catalog.entities.values())

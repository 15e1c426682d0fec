"""Types of columns: corrections of the documents, nesting, the text of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.catalog.columns import find_column
from st_export.catalog.corrections import read_corrections
from st_export.catalog.entity import Column, Scalar
from st_export.catalog.load import CORRECTIONS
from st_export.catalog.operations import read_operations
from st_export.catalog.typetext import format_type, parse_column

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.catalog.load import Catalog

SCALARS: list[Scalar] = ["int64", "bool", "string", "timestamp", "date", "decimal", "double", "json"]
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


def _nested(inner: st.SearchStrategy[Column]) -> st.SearchStrategy[Column]:
    lists = inner.map(lambda item: Column("c", "list", item=Column("item", item.type, item.item, item.fields)))
    fields = st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4)
    structs = fields.map(lambda pairs: Column("c", "struct", fields=tuple(Column(n, c.type, c.item, c.fields) for n, c in pairs)))
    return lists | structs


COLUMNS = st.recursive(st.sampled_from(SCALARS).map(lambda word: Column("c", word)), _nested, max_leaves=12)


@given(COLUMNS)
def test_a_type_written_as_text_is_read_as_it_was(column: Column) -> None:
    assert parse_column("c", format_type(column)) == column


@pytest.mark.parametrize("text", ["", "int", "list<int64", "struct<id>", "struct<a: list<int64>, b>", "struct<a: int64"])
def test_text_that_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|do not match"):
        parse_column("c", text)


@pytest.mark.parametrize(
    ("name", "path", "word"),
    [
        ("accounting.invoices", "total", "decimal"),
        ("accounting.invoices", "items[].quantity", "decimal"),
        ("accounting.invoices", "items[].soldHours", "decimal"),
        ("accounting.invoices", "customerAddress.zip", "string"),
        ("accounting.payments", "appliedTo[].appliedAmount", "decimal"),
        ("accounting.ap-bills", "expenseItems[].amount", "decimal"),
        ("accounting.journal-entries", "postDate", "date"),
        ("accounting.journal-entries", "id", "string"),
        ("accounting.credit-memos", "date", "date"),
        ("service-agreements.service-agreements", "startDate", "date"),
        ("marketingads.performance", "campaign.status", "int64"),
        ("customer-interactions.technician-ratings", "rating", "double"),
        ("crm.customers", "address.latitude", "double"),
        ("crm.customers", "balance", "decimal"),
        ("crm.contacts", "id", "string"),
        ("crm.locations.preferredtechnician", "value", "int64"),
        ("telecom.calls", "duration", "string"),
        ("forms.submissions", "units[]", "json"),
        ("pricebook.categories", "subcategories[].subcategories[]", "json"),
        ("jpm.jobs", "active", "bool"),
        ("pricebook.services", "calculatedPrice", "decimal"),
        ("settings.technicians", "appoitmentId", "int64"),
    ],
)
def test_columns_have_the_type_in_which_they_arrive(catalog: Catalog, name: str, path: str, word: Scalar) -> None:
    entity = catalog.get(name)
    assert entity is not None
    column = find_column(entity.columns, path)
    assert column is not None
    assert column.type == word


def test_every_correction_of_a_type_is_in_the_catalog(catalog: Catalog) -> None:
    types = read_corrections(CORRECTIONS).types
    corrected = [(name, path, item.type) for name, items in types.items() for item in items for path in item.columns]
    found = [(path, word, find_column(entity.columns, path)) for name, path, word in corrected if (entity := catalog.get(name))]
    assert len(found) == len(corrected)
    assert [(path, column) for path, word, column in found if column is not None and column.type != word] == []


def test_corrections_speak_of_entities_and_paths_that_exist(catalog: Catalog) -> None:
    facts = read_corrections(CORRECTIONS)
    names = {*facts.entities, *facts.types, *facts.aliases, *facts.history, *facts.names.values(), *facts.collections.values()}
    assert sorted(name for name in names if catalog.get(name) is None) == []


def test_a_field_has_one_type_in_all_sources_of_an_entity(catalog: Catalog, specs_dir: Path) -> None:
    facts = read_corrections(CORRECTIONS)
    operations = {operation.path: operation for operation in read_operations(specs_dir, facts.posts)}
    different = []
    for entity in catalog.entities.values():
        for path in set(entity.sources) - facts.other_rows if entity.alias_of is None else ():
            declared = {column.name: column for column in operations[entity.path].row_columns()}
            others = operations[path].row_columns()
            different += [
                (entity.name, column.name)
                for column in others
                if column.name in declared and format_type(declared[column.name]) != format_type(column)
            ]
    assert different == [("pricebook.categories", "subcategories")]

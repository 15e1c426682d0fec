"""Catalogs derived from an invented API, written, read again and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from st_export.catalog.corrections import Corrections
from st_export.catalog.diff import CatalogDiff, Change, EntityDiff, diff
from st_export.catalog.entity import Column, Entity, Paging, Parent
from st_export.catalog.files import LeftOut, Module, format_modules, read_modules
from st_export.catalog.load import Catalog, load_catalog
from st_export.catalog.openapi import derive_modules, write_catalog, write_catalog_file
from st_export.commands.app import run
from st_export.errors import ConfigError
from st_export.flow import EntityName

WriteSpecs = Callable[[str, dict[str, Any]], Path]
INTEGER, TEXT, MOMENT = {"type": "integer"}, {"type": "string"}, {"type": "string", "format": "date-time"}
WIDGET = {
    "id": INTEGER,
    "color": TEXT,
    "modifiedOn": MOMENT,
    "parts": {"type": "array", "items": {"type": "object", "properties": {"cost": TEXT}}},
}
BASE = "/gadgets/v2/tenant/{tenant}"


def _catalog(specs: Path) -> Catalog:
    return Catalog({}, {module.name: module for module in derive_modules(specs)})


def test_documents_become_entities_by_the_rules_of_names(write_specs: WriteSpecs) -> None:
    (module,) = derive_modules(write_specs("specs", WIDGET))
    parts = Column("parts", "list", item=Column("item", "struct", fields=(Column("cost", "string"),)))
    assert module == Module(
        "gadgets",
        (
            Entity(EntityName("gadgets.motto"), "plain", f"{BASE}/motto", (Column("value", "string"),)),
            Entity(
                EntityName("gadgets.widgets"),
                "feed",
                f"{BASE}/export/widgets",
                (Column("id", "int64"), Column("color", "string"), Column("modifiedOn", "timestamp"), parts),
                key=("id",),
                sources=(f"{BASE}/widgets",),
                modified="modifiedOn",
                partition_by=("modifiedOn",),
            ),
            Entity(
                EntityName("gadgets.widgets.notes"),
                "child",
                f"{BASE}/widgets/{{id}}/notes",
                (Column("id", "int64"), Column("text", "string")),
                key=("id",),
                query=(("active", "Any"),),
                paging=Paging(sort="+Id", has_total=False),
                parents=(Parent("id", EntityName("gadgets.widgets")),),
            ),
        ),
        (
            LeftOut(f"{BASE}/widgets/match", "look-up by given values: codes"),
            LeftOut(f"{BASE}/widgets/{{id}}", "by-id read: the records of gadgets.widgets, one at a time"),
        ),
    )


def test_a_catalog_written_is_read_as_it_was(write_specs: WriteSpecs, tmp_path: Path) -> None:
    specs = write_specs("specs", WIDGET)
    (file,) = write_catalog(specs, tmp_path / "out")
    assert file.name == "gadgets.json"
    assert read_modules(file) == {module.name: module for module in derive_modules(specs)}


def test_new_gone_and_retyped_columns_are_found_at_any_depth(write_specs: WriteSpecs) -> None:
    changed = {
        **WIDGET,
        "size": INTEGER,
        "parts": {"type": "array", "items": {"type": "object", "properties": {"cost": {"type": "number"}}}},
    }
    del changed["color"]
    assert diff(_catalog(write_specs("old", WIDGET)), _catalog(write_specs("new", changed))) == CatalogDiff(
        changed=(
            EntityDiff(
                "gadgets.widgets",
                new=(("size", "int64"),),
                gone=(("color", "string"),),
                retyped=(Change("parts[].cost", "string", "decimal"),),
            ),
        )
    )


def test_additions_never_break_a_lake(write_specs: WriteSpecs, catalog: Catalog) -> None:
    old, new = _catalog(write_specs("old", WIDGET)), _catalog(write_specs("new", {**WIDGET, "size": INTEGER}))
    assert diff(old, new).only_adds
    assert not diff(new, old).only_adds
    assert not diff(old, old)
    found = diff(catalog, new)
    assert found.new == ("gadgets.motto", "gadgets.widgets", "gadgets.widgets.notes")
    assert found == CatalogDiff(new=found.new, left_out=tuple((item.path, item.reason) for item in new.left_out))


def test_a_change_of_an_entity_is_told_once_not_again_for_its_alias() -> None:
    def catalog(modified: str | None) -> Catalog:
        widgets = Entity(EntityName("a.widgets"), "list", "/a/widgets", (Column("id", "int64"),), key=("id",), modified=modified)
        alias = replace(widgets, name=EntityName("a.boxes.widgets"), path="/a/boxes/{id}/widgets", alias_of=widgets.name)
        return Catalog({}, {"a": Module("a", (widgets, alias))})

    found = diff(catalog(None), catalog("modifiedOn"))
    assert [(item.name, item.reading) for item in found.changed] == [("a.widgets", (Change("modified", "None", "modifiedOn"),))]


def test_the_parents_of_a_child_may_be_in_a_module_that_the_documents_lack(tmp_path: Path) -> None:
    read = {"parameters": [{"name": "jobId", "in": "path", "schema": INTEGER}], "responses": {}}
    paths = {"/tenant/{tenant}/jobs/{jobId}/attachments": {"get": read}}
    (tmp_path / "forms.json").write_text(json.dumps({"servers": [{"url": "https://api.example.com/forms/v2"}], "paths": paths}))
    entity = _catalog(tmp_path).get("forms.jobs.attachments")
    assert entity is not None
    assert entity.parents == (Parent("jobId", EntityName("jpm.jobs")),)


def test_sources_parents_and_what_is_left_out_are_compared() -> None:
    def catalog(sources: tuple[str, ...], parent: str, *left_out: LeftOut) -> Catalog:
        widgets = Entity(EntityName("a.widgets"), "feed", "/a/export/widgets", (Column("id", "int64"),), key=("id",), sources=sources)
        parents = (Parent("id", EntityName(parent)),)
        notes = Entity(EntityName("a.widgets.notes"), "child", "/a/widgets/{id}/notes", (Column("id", "int64"),), parents=parents)
        return Catalog({}, {"a": Module("a", (widgets, notes), left_out)})

    one, other = LeftOut("/a/widgets/{id}", "by-id read"), LeftOut("/a/match", "look-up")
    found = diff(
        catalog(("/a/widgets",), "a.widgets", one, other),
        catalog(("/a/all",), "a.boxes", replace(one, reason="odd"), LeftOut("/a/x", "new")),
    )
    assert found == CatalogDiff(
        changed=(
            EntityDiff("a.widgets", new_sources=("/a/all",), gone_sources=("/a/widgets",)),
            EntityDiff("a.widgets.notes", reading=(Change("parents", "id from a.widgets.id", "id from a.boxes.id"),)),
        ),
        left_out=(("/a/x", "new"),),
        no_longer_left_out=(("/a/match", "look-up"),),
        other_reasons=(Change("/a/widgets/{id}", "by-id read", "odd"),),
    )
    assert not found.only_adds
    assert diff(catalog((), "a.widgets"), catalog(("/a/all",), "a.widgets", one)).only_adds


def test_the_command_tells_each_change_in_a_line(write_specs: WriteSpecs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_catalog_file(write_specs("old", WIDGET), tmp_path / "mine.json")
    before = read_modules(tmp_path / "mine.json")["gadgets"]
    feed = next(entity for entity in before.entities if entity.name == "gadgets.widgets")
    others = tuple(entity for entity in before.entities if entity is not feed)
    changed = replace(before, entities=(*others, replace(feed, sources=("/old",))), left_out=before.left_out[1:])
    (tmp_path / "mine.json").write_text(format_modules([changed]))
    (tmp_path / "st-export.yaml").write_text(
        "catalog: mine.json\napp_key: k\ntenants: [{id: 1, client_id: c, client_secret: s}]\noutput: {url: x}\n"
    )
    assert run(["catalog", "diff", "--specs", str(tmp_path / "old"), "-c", str(tmp_path / "st-export.yaml")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"new source   gadgets.widgets: {BASE}/widgets",
        "gone source  gadgets.widgets: /old",
        f"left out     {BASE}/widgets/match  (look-up by given values: codes)",
    ]


def test_a_key_that_changes_is_a_change_of_reading(write_specs: WriteSpecs) -> None:
    old = _catalog(write_specs("old", WIDGET))
    new = _catalog(write_specs("new", {"modifiedOn": MOMENT}))
    (changed,) = diff(old, new).changed
    assert changed.reading == (Change("key", "('id',)", "()"),)


def test_a_list_is_asked_for_each_value_that_the_document_allows(tmp_path: Path) -> None:
    rows = {"type": "object", "properties": {"hasMore": {}, "data": {"type": "array", "items": {"properties": {"id": INTEGER}}}}}
    kind = {"name": "kind", "in": "query", "schema": {"type": "string", "oneOf": [{"$ref": "#/components/schemas/Kind"}]}}
    answer = {"200": {"content": {"application/json": {"schema": rows}}}}
    read = {"parameters": [{"name": "page", "in": "query", "schema": INTEGER}, kind], "responses": answer}
    document = {
        "servers": [{"url": "https://api.example.com/gadgets/v2"}],
        "components": {"schemas": {"Kind": {"type": "string", "enum": ["Red", "Blue"]}}},
        "paths": {"/tenant/{tenant}/widgets": {"get": read}},
    }
    (tmp_path / "gadgets.json").write_text(json.dumps(document))
    facts = Corrections(entities={"gadgets.widgets": {"variant_parameter": "kind"}})
    (module,) = derive_modules(tmp_path, facts)
    assert [(entity.variant_parameter, entity.variants) for entity in module.entities] == [("kind", ("Red", "Blue"))]
    (tmp_path / "catalog").write_text(format_modules([module]))
    assert read_modules(tmp_path / "catalog") == {"gadgets": module}


def test_a_users_file_stands_over_the_package(write_specs: WriteSpecs, tmp_path: Path) -> None:
    write_catalog_file(write_specs("specs", WIDGET), tmp_path / "mine.json")
    mine = load_catalog(tmp_path / "mine.json")
    assert mine.get("gadgets.widgets") is not None
    assert mine.get("jpm.jobs") == load_catalog().get("jpm.jobs")
    assert mine.get("gadgets.nothing") is None
    assert mine.get("nothing") is None


@pytest.mark.parametrize("content", ["", "[]", '{"version": 2}', '{"version": 1, "modules": {"a": {"entities": {"a.b": {"x": 1}}}}}'])
def test_a_damaged_file_is_a_configuration_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"mine\.json"):
        load_catalog(file)


def test_a_folder_without_documents_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no OpenAPI documents"):
        derive_modules(tmp_path)
    (tmp_path / "other.json").write_text('{"paths": {}}')
    with pytest.raises(ConfigError, match=r"other\.json` is no OpenAPI document"):
        derive_modules(tmp_path)


def test_a_type_that_contains_itself_is_text_where_it_recurs(write_specs: WriteSpecs) -> None:
    specs = write_specs("specs", {"id": INTEGER, "tree": {"$ref": "#/components/schemas/Tree"}, "free": {"type": "object"}})
    entity = _catalog(specs).get("gadgets.widgets")
    assert entity is not None
    branches = Column("branches", "list", item=Column("item", "json"))
    assert entity.columns[1:] == (
        Column("tree", "struct", fields=(Column("name", "string"), branches)),
        Column("free", "json"),
    )

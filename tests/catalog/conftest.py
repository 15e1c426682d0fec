"""The package's catalog, an invented API, and the official documents where the environment names their folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from st_export.catalog.load import Catalog, load_catalog

Document = dict[str, Any]
WriteSpecs = Callable[[str, Document], Path]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def specs_dir() -> Path:
    folder = os.environ.get("ST_EXPORT_SPECS")
    if not folder:
        pytest.skip("needs the official OpenAPI documents: set ST_EXPORT_SPECS to their folder")
    return Path(folder)


@pytest.fixture
def write_specs(tmp_path: Path) -> WriteSpecs:
    """Write the document of an invented API whose widgets have these properties into a folder; return the folder."""

    def write(folder: str, widget: dict[str, Any]) -> Path:
        specs = tmp_path / folder
        specs.mkdir(exist_ok=True)
        (specs / "gadgets-v2.json").write_text(json.dumps(_invented({"type": "object", "properties": widget})))
        return specs

    return write


def _invented(widget: dict[str, Any]) -> Document:
    """An API with a feed and a list of widgets, their notes, a by-id read and a look-up."""
    page = {"type": "object", "properties": {"hasMore": {"type": "boolean"}, "data": {"type": "array", "items": widget}}}
    note = {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}}
    notes = {"type": "object", "properties": {"hasMore": {"type": "boolean"}, "data": {"type": "array", "items": note}}}
    branches = {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
    tree = {"type": "object", "properties": {"name": {"type": "string"}, "branches": branches}}
    base = "/tenant/{tenant}"
    return {
        "servers": [{"url": "https://api.example.com/gadgets/v2"}],
        "components": {"schemas": {"Tree": tree}},
        "paths": {
            f"{base}/export/widgets": _read(page, _query("from")),
            f"{base}/widgets": _read(page, _query("page"), _query("pageSize"), _query("modifiedOnOrAfter"), _query("active")),
            f"{base}/widgets/{{id}}": _read(widget, _in_path("id")),
            f"{base}/widgets/{{id}}/notes": _read(notes, _in_path("id"), _query("page"), _query("sort"), _query("active")),
            f"{base}/widgets/match": _read(widget, {**_query("codes"), "required": True}),
            f"{base}/motto": _read({"type": "string"}),
        },
    }


def _query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "schema": {"type": "integer", "format": "int64"}}


def _read(answer: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": answer}}
    return {"get": {"parameters": list(parameters), "responses": {"200": {"content": content}}}}

"""The read operations of OpenAPI documents as records: path, name, what kind of read it is, how it may be asked.

Names follow one rule: the module (first part of the path), then what stands after the tenant, slashes as dots, ids and a
first or last `export` left out. Leaves out how operations of one name become an entity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from st_export.catalog.columns import Schema, Schemas
from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Literal

    from st_export.catalog.entity import Column

_TENANT = "{tenant}"
_EXPORT = "export"


@dataclass(frozen=True)
class Operation:
    """One read: its full path (`/crm/v2/tenant/{tenant}/customers`), parameters by name, and the schema of its answer.

    `answer` is None where the document has none.
    """

    path: str
    parameters: dict[str, dict[str, Any]]
    answer: Schema | None
    schemas: Schemas

    @property
    def module(self) -> str:
        """Return the first part of the path."""
        return self.path.split("/")[1]

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """Return the parts of the path after the tenant."""
        return tuple(self.path.partition(_TENANT)[2].strip("/").split("/"))

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the names of the ids in the path, outermost first, the tenant's left out."""
        return tuple(segment[1:-1] for segment in self.segments if is_id(segment))

    @property
    def name(self) -> str:
        """Return the name of the entity that this read belongs to."""
        return collection_name(self.module, self.segments)

    @cached_property
    def query(self) -> dict[str, dict[str, Any]]:
        """Return the query parameters by name."""
        return {name: value for name, value in self.parameters.items() if value.get("in") == "query"}

    @property
    def required(self) -> frozenset[str]:
        """Return the names of the query parameters that must be sent."""
        return frozenset(name for name, value in self.query.items() if value.get("required"))

    @property
    def kind(self) -> Literal["feed", "list", "plain", "child"]:
        """Return what kind of read it is, by its path and parameters alone; a read by given ids is a child."""
        if _EXPORT in (self.segments[0], self.segments[-1]) and "from" in self.query:
            return "feed"
        if self.ids or "ids" in self.required:
            return "child"
        return "list" if "page" in self.query else "plain"

    def id_type(self, name: str) -> Literal["int64", "string"]:
        """Return the type of an id in the path or query."""
        schema = self.parameters.get(name, {}).get("schema", {})
        return "int64" if schema.get("type") == "integer" else "string"

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values that a query parameter may have; none where there is no such parameter, or the document does not list them."""
        return self.schemas.values(self.query.get(name, {}).get("schema", {}))

    def description(self, name: str) -> str:
        """Return what the document says about a query parameter, empty where it says nothing."""
        return str(self.query.get(name, {}).get("description") or "")

    @cached_property
    def envelope(self) -> Literal["paged", "data", "array", "object", "value", "none"]:
        """Return the shape of the answer: with `hasMore`, with `data` only, a bare array, one object, a value, unknown."""
        if self.answer is None:
            return "none"
        if self.schemas.item(self.answer) is not None:
            return "array"
        properties = self.schemas.properties(self.answer)
        if not properties:
            return "value"
        if "data" not in properties or self.schemas.item(properties["data"]) is None:
            return "object"
        return "paged" if "hasMore" in properties else "data"

    def row_columns(self, records: str | None = None) -> tuple[Column, ...]:
        """Return the columns of a row, from the property `records` of the answer (default: `data`); none without a schema."""
        if self.answer is None:
            return ()
        rows: Schema | None = self.answer
        if records is not None or self.envelope in ("paged", "data"):
            rows = self.schemas.item(self.schemas.properties(self.answer).get(records or "data", {}))
        elif self.envelope == "array":
            rows = self.schemas.item(self.answer)
        return self.schemas.row_columns(rows or {})


def is_id(segment: str) -> bool:
    """Return whether a part of a path is an id."""
    return segment.startswith("{")


def collection_name(module: str, segments: Iterable[str]) -> str:
    """Return the name of a collection: the module and the parts of its path, without ids and a first or last `export`."""
    words = [segment for segment in segments if not is_id(segment)]
    if words and words[0] == _EXPORT:
        del words[0]
    if words and words[-1] == _EXPORT:
        del words[-1]
    return ".".join((module, *words))


def read_operations(specs_dir: Path, posts: Iterable[str] = ()) -> list[Operation]:
    """Return the GETs of all OpenAPI documents (`*.json`) in a folder, and the POSTs whose full paths are in `posts`.

    Raises `ConfigError` where the folder holds none, or a document cannot be read.
    """
    files = sorted(specs_dir.glob("*.json"))
    if not files:
        raise ConfigError(
            f"no OpenAPI documents (`*.json`) in `{specs_dir}`", hint="download them from the developer portal into this folder"
        )
    wanted = frozenset(posts)
    return [operation for file in files for operation in _file_operations(file, wanted)]


def _file_operations(file: Path, posts: frozenset[str]) -> list[Operation]:
    try:
        document = orjson.loads(file.read_bytes())
        base = urlsplit(document["servers"][0]["url"]).path.rstrip("/")
        paths = document["paths"].items()
    except (OSError, orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        hint = "only OpenAPI 3 documents of the ServiceTitan API may lie in this folder"
        raise ConfigError(f"`{file}` is no OpenAPI document: {error!r}", hint=hint) from error
    schemas = Schemas(document)
    operations: list[Operation] = []
    for path, item in paths:
        full_path = base + path
        read = item.get("get") or (item.get("post") if full_path in posts else None)
        if read is None or _TENANT not in full_path:
            continue
        declared = [*item.get("parameters", ()), *read.get("parameters", ())]
        operations.append(Operation(full_path, {value["name"]: value for value in declared}, _answer(read), schemas))
    return operations


def _answer(read: dict[str, Any]) -> Schema | None:
    responses = read.get("responses", {})
    success: dict[str, Any] = next((responses[code] for code in sorted(responses) if re.fullmatch("2..", code)), {})
    contents = list(success.get("content", {}).values())
    schema: Schema | None = contents[0].get("schema") if contents else None
    return schema

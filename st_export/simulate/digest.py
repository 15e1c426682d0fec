"""The look-alike's own digest of the OpenAPI documents: which calls exist, what they take, and what they answer.

It is derived here and nowhere else, so that a mistake in the client's catalog shows as a difference between the two.
Only facts are kept: paths, parameter names and types, sort fields, maxima, envelope and record shapes. No sentences.

Shapes in the digest are written compactly: a scalar's word (`int64`, `datetime`, `string`, `enum:A|B`, with a trailing `?` where
the document says nullable), `[item]` for an array, `{field: shape}` for an object, `#Name` for a named shape of the same module.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Json = Any
Shape = Any
"""A compact shape: text, a list with one item, or a mapping of fields."""

_FORMATS = {"date-time": "datetime", "boolean": "bool", "integer": "int32", "number": "double", "multiline": "text", "html": "text"}
_SORT_USUAL = ("Id", "CreatedOn", "ModifiedOn")
_SORT_KNOWN = {"gross-pay-items": ("Date",), "reviews": ("PublishDate", "Id")}
_SORT_LISTED = re.compile(
    r"(?:vailable fields are|possible values|specified fields?: (?=Id)|Supported fields are|vailable values|Options)[: ]*([^\\\n.]+)"
)
_SORT_NOISE = ("and", "or", "default", "The")
_SHOWN_BY_DEFAULT = re.compile(r"\(defaults to (\w+)\)")
_POST_READS = re.compile(r"/(capacity|report-category/\{report_category\}/reports/\{reportId\}/data)$")


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API.

    `path` is absolute with placeholders; `query` maps parameter names to types; `sort` are the fields that may be sorted by;
    `max_page_size` is the documented maximum; `active` is the parameter that hides inactive rows and what it is by default;
    `variant` is the parameter by which rows of one value are shown, its default, and all values;
    `envelope` are the field names around the records, or `[]` bare array, `{}` single object, `=` bare value, `binary`, `none`.
    """

    method: str
    path: str
    envelope: tuple[str, ...]
    record: Shape
    query: dict[str, str]
    required: tuple[str, ...]
    sort: tuple[str, ...]
    max_page_size: int
    active: tuple[str, str] | None
    variant: tuple[str, str, tuple[str, ...]] | None
    redirects: bool
    conflicts: bool

    @property
    def module(self) -> str:
        """Return the first segment of the path."""
        return self.path.split("/", 2)[1]


def write_digest(specs_dir: Path, out: Path) -> int:
    """Derive the digest from all OpenAPI documents in `specs_dir`, one JSON file a module in `out`; return the number of calls."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for source in sorted(specs_dir.glob("*.json")):
        document = json.loads(source.read_bytes())
        base = "/" + document["servers"][0]["url"].split("/", 3)[3]
        shapes: dict[str, Shape] = {}
        operations = [
            _operation(document, method, base + path, call, shapes)
            for path, calls in document["paths"].items()
            for method, call in calls.items()
            if method == "get" or (method == "post" and _POST_READS.search(path))
        ]
        module = base.split("/")[1]
        lines = ",\n".join("  " + json.dumps(operation, separators=(",", ":")) for operation in operations)
        named = ",\n".join(f"  {json.dumps(name)}:{json.dumps(shapes[name], separators=(',', ':'))}" for name in sorted(shapes))
        (out / f"{module}.json").write_text(f'{{"operations":[\n{lines}\n],"shapes":{{\n{named}\n}}}}\n', encoding="utf-8")
        count += len(operations)
    return count


def _operation(document: Json, method: str, path: str, call: Json, shapes: dict[str, Shape]) -> Json:
    parameters = [each for each in call.get("parameters", []) if each["in"] == "query"]
    answers = call["responses"]
    content: dict[str, Json] = answers.get("200", {}).get("content", {})
    preferred = content.get("application/json") or next(iter(content.values()), None)
    schema = preferred.get("schema") if preferred else None
    envelope, record = _answer(document, schema, shapes)
    entry: dict[str, Json] = {"method": method, "path": path, "envelope": envelope}
    if record is not None:
        entry["record"] = record
    entry["query"] = {each["name"]: _parameter_type(each.get("schema", {})) for each in parameters}
    facts: tuple[tuple[str, Json], ...] = (
        ("required", [each["name"] for each in parameters if each.get("required")]),
        ("sort", _sort_fields(path, parameters)),
        ("max", _maximum(parameters)),
        ("active", _active(parameters)),
        ("variant", _variant(document, parameters)),
        ("redirects", "302" in answers),
        ("conflicts", "409" in answers),
    )
    return entry | {name: value for name, value in facts if value}


def _answer(document: Json, schema: Json, shapes: dict[str, Shape]) -> tuple[list[str], Shape]:
    if schema is None:
        return ["none"], None
    resolved = _resolve(document, schema)
    if resolved.get("format") == "binary":
        return ["binary"], None
    if resolved.get("type") == "array":
        return ["[]"], _shape(document, resolved["items"], shapes)
    properties = resolved.get("properties", {})
    if "data" in properties and ("hasMore" in properties or len(properties) == 1):
        return list(properties), _shape(document, _resolve(document, properties["data"]).get("items", {}), shapes)
    if properties:
        return ["{}"], _shape(document, schema, shapes)
    return ["="], _shape(document, schema, shapes)


def _resolve(document: Json, schema: Json) -> Json:
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        elif schema.get("oneOf"):
            schema = {**schema["oneOf"][0], **({"nullable": True} if schema.get("nullable") else {})}
        else:
            return schema


def _shape(document: Json, schema: Json, shapes: dict[str, Shape]) -> Shape:
    named = schema.get("$ref") or (schema["oneOf"][0].get("$ref") if schema.get("oneOf") else None)
    resolved = _resolve(document, schema)
    nullable = "?" if schema.get("nullable") or resolved.get("nullable") else ""
    if resolved.get("properties"):
        if named is None:
            return {name: _shape(document, each, shapes) for name, each in resolved["properties"].items()}
        name = named.rsplit("/", 1)[1]
        if name not in shapes:
            shapes[name] = {}
            shapes[name] = {field: _shape(document, each, shapes) for field, each in resolved["properties"].items()}
        return f"#{name}"
    if resolved.get("type") == "array":
        return [_shape(document, resolved.get("items", {}), shapes)]
    if "enum" in resolved:
        return "enum:" + "|".join(str(value) for value in resolved["enum"]) + nullable
    if resolved.get("type") in (None, "object"):
        return "json?"
    word = resolved.get("format") or resolved["type"]
    return _FORMATS.get(word, word) + nullable


def _parameter_type(schema: Json) -> str:
    if schema.get("type") == "array":
        return "array"
    return str(schema.get("format") or schema.get("type") or "string")


def _sort_fields(path: str, parameters: list[Json]) -> list[str]:
    for each in parameters:
        if each["name"] not in ("sort", "sortBy", "orderBy"):
            continue
        text = each.get("description", "")
        listed = _SORT_LISTED.search(text)
        words = re.findall(r"[A-Za-z]+", re.sub(r"\([^)]*\)", "", listed.group(1))) if listed else []
        names = [word[:1].upper() + word[1:] for word in words if word not in _SORT_NOISE]
        names = ["Id" if name == "ID" else name for name in names]
        if "Id" in names or "Location" in names:
            return names
        known = next((fields for ending, fields in _SORT_KNOWN.items() if path.endswith(ending)), _SORT_USUAL)
        return list(known)
    return []


def _maximum(parameters: list[Json]) -> int | None:
    for each in parameters:
        if each["name"] == "pageSize":
            found = re.search(r"Maximum value is (\d+)", each.get("description", ""))
            limit = int(found.group(1)) if found else each.get("schema", {}).get("maximum")
            return int(limit) if limit and int(limit) < 1_000_000 else None
    return None


def _active(parameters: list[Json]) -> list[str] | None:
    defaults = {"activeOnly": "false", "includeInactive": "false"}
    for each in parameters:
        name = each["name"]
        text = each.get("description", "")
        if name == "active":
            everything = "active and inactive" in text or "all items" in text
            return [name, "Any" if everything else "True"]
        if name == "activeState":
            return [name, "ActiveOnly" if "ActiveOnly)" in text else "All"]
        if name in defaults:
            return [name, defaults[name]]
    return None


def _variant(document: Json, parameters: list[Json]) -> list[Json] | None:
    for each in parameters:
        default = _SHOWN_BY_DEFAULT.search(each.get("description", ""))
        values = _resolve(document, each.get("schema", {})).get("enum", ())
        if default and default.group(1) in values:
            return [each["name"], default.group(1), list(values)]
    return None


@lru_cache(maxsize=1)
def load_digest() -> tuple[Operation, ...]:
    """Return every call of the digest that the package carries, its shapes filled in."""
    operations: list[Operation] = []
    for source in sorted(resources.files("st_export.simulate.data").iterdir(), key=lambda each: each.name):
        if source.name.endswith(".json"):
            operations.extend(_load_module(json.loads(source.read_text(encoding="utf-8"))))
    return tuple(operations)


def _load_module(module: Json) -> list[Operation]:
    return [
        Operation(
            method=entry["method"].upper(),
            path=entry["path"],
            envelope=tuple(entry["envelope"]),
            record=_expand(entry.get("record"), module["shapes"], ()),
            query=entry["query"],
            required=tuple(entry.get("required", ())),
            sort=tuple(entry.get("sort", ())),
            max_page_size=entry.get("max", 5000),
            active=tuple(entry["active"]) if "active" in entry else None,
            variant=(*entry["variant"][:2], tuple(entry["variant"][2])) if "variant" in entry else None,
            redirects=entry.get("redirects", False),
            conflicts=entry.get("conflicts", False),
        )
        for entry in module["operations"]
    ]


def _expand(shape: Shape, shapes: Json, inside: tuple[str, ...]) -> Shape:
    """Fill in named shapes; one that contains itself ends after two levels, as made-up data has to end somewhere."""
    if isinstance(shape, str) and shape.startswith("#"):
        name = shape[1:]
        if inside.count(name) >= 2:
            return None
        return _expand(shapes[name], shapes, (*inside, name))
    if isinstance(shape, list):
        item = _expand(shape[0], shapes, inside)
        return "empty" if item is None else [item]
    if isinstance(shape, dict):
        return {name: "json?" if each is None else each for name, each in ((n, _expand(s, shapes, inside)) for n, s in shape.items())}
    return shape

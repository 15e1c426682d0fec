"""The catalog's files: one JSON document a module, one block an entity, one line a column. Entities in, text out, and back.

What has its default is left out, so that a change of an entity is a change of few lines.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

import orjson

from st_export.catalog.entity import Entity, Paging, Parent
from st_export.catalog.typetext import format_type, parse_column
from st_export.errors import ConfigError
from st_export.flow import EntityName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_VERSION = 1
_PLAIN_FIELDS = tuple(field for field in fields(Entity) if field.name not in {"name", "columns", "query", "paging", "parents"})
_PAGING_FIELDS = fields(Paging)
_TUPLES = frozenset({"key", "sources", "partition_by", "segments", "variants"})


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """A GET of the API that is no collection to export: its full path and the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Module:
    """The entities of one module of the API (the first part of its paths), in the order of their names, and what is left out."""

    name: str
    entities: tuple[Entity, ...]
    left_out: tuple[LeftOut, ...] = ()


def format_modules(modules: Iterable[Module]) -> str:
    """Return a document with these modules, readable and stable: the same modules give the same text."""
    blocks = [_format_module(module) for module in sorted(modules, key=lambda module: module.name)]
    return f'{{\n"version": {_VERSION},\n"modules": {{\n' + ",\n".join(blocks) + "\n}}\n"


def read_modules(file: Path) -> dict[str, Module]:
    """Return the modules of a document by name.

    Raises `ConfigError` where the file cannot be read or is no catalog of this version.
    """
    hint = "make the file anew with `st-export catalog update`"
    try:
        document = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigError(f"the catalog file `{file}` cannot be read: {error}", hint=hint) from error
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ConfigError(f"`{file}` is no catalog of version {_VERSION}", hint=hint)
    try:
        return {name: _parse_module(name, module) for name, module in document["modules"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"the catalog file `{file}` is damaged: {error!r}", hint=hint) from error


def _format_module(module: Module) -> str:
    entities = ",\n".join(_format_entity(entity) for entity in sorted(module.entities, key=lambda entity: entity.name))
    left_out = ",\n".join(f"   {_text(item.path)}: {_text(item.reason)}" for item in sorted(module.left_out))
    return f' {_text(module.name)}: {{\n  "entities": {{\n{entities}\n  }},\n  "left_out": {{\n{left_out}\n  }}\n }}'


def _format_entity(entity: Entity) -> str:
    values: dict[str, Any] = {
        field.name: getattr(entity, field.name) for field in _PLAIN_FIELDS if getattr(entity, field.name) != field.default
    }
    if entity.query:
        values["query"] = dict(entity.query)
    if entity.paging is not None:
        values["paging"] = {
            field.name: getattr(entity.paging, field.name)
            for field in _PAGING_FIELDS
            if getattr(entity.paging, field.name) != field.default
        }
    if entity.parents:
        values["parents"] = [_format_parent(parent) for parent in entity.parents]
    lines = [f"    {_text(name)}: {_text(value)}" for name, value in values.items()]
    if entity.columns and entity.alias_of is None:
        columns = ",\n".join(f"     {_text(column.name)}: {_text(format_type(column))}" for column in entity.columns)
        lines.append(f'    "columns": {{\n{columns}\n    }}')
    return f"   {_text(entity.name)}: {{\n" + ",\n".join(lines) + "\n   }"


def _format_parent(parent: Parent) -> dict[str, str | None]:
    return {
        field.name: getattr(parent, field.name)
        for field in fields(Parent)
        if field.default is MISSING or getattr(parent, field.name) != field.default
    }


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parse_module(name: str, document: Mapping[str, Any]) -> Module:
    entities = {entity_name: _parse_entity(entity_name, values) for entity_name, values in document["entities"].items()}
    resolved = tuple(_with_target(entity, entities) for entity in entities.values())
    return Module(name, resolved, tuple(LeftOut(path, reason) for path, reason in document["left_out"].items()))


def _parse_entity(name: str, values: dict[str, Any]) -> Entity:
    columns = tuple(parse_column(column, text) for column, text in values.pop("columns", {}).items())
    for field in _TUPLES & values.keys():
        values[field] = tuple(values[field])
    if "query" in values:
        values["query"] = tuple(values["query"].items())
    if "paging" in values:
        values["paging"] = Paging(**values["paging"])
    if "parents" in values:
        values["parents"] = tuple(Parent(**parent) for parent in values["parents"])
    return Entity(name=EntityName(name), columns=columns, **values)


def _with_target(entity: Entity, entities: Mapping[str, Entity]) -> Entity:
    """Return an alias with the rows of the entity that it stands for, so that it can be described; others as they are."""
    if entity.alias_of is None:
        return entity
    target = entities[entity.alias_of]
    return Entity(
        name=entity.name,
        kind=entity.kind,
        path=entity.path,
        columns=target.columns,
        key=target.key,
        modified=target.modified,
        created=target.created,
        partition_by=target.partition_by,
        history=target.history,
        verified=target.verified,
        alias_of=entity.alias_of,
    )

"""OpenAPI documents + corrections → the catalog: reads of one name become one entity, read by the best of them.

The best is a feed, then a list, then a plain read, then a child; the others are its sources. Every GET ends as an entity, a
source, an alias, or left out with a reason. Leaves out how a document is read (`operations`, `columns`, `asking`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from st_export.catalog.asking import BATCH_IDS, always_sent, derive_paging, range_parameters, time_column, unanswered_parameters
from st_export.catalog.columns import find_column, merge_columns, retype_columns
from st_export.catalog.corrections import Corrections, read_corrections
from st_export.catalog.entity import Column, Entity, Kind, Parent
from st_export.catalog.files import LeftOut, Module, format_modules
from st_export.catalog.load import CORRECTIONS
from st_export.catalog.operations import Operation, collection_name, is_id, read_operations
from st_export.flow import EntityName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_BEST_FIRST: tuple[Kind, ...] = ("feed", "list", "plain", "child", "capacity", "binary")
_UNVERIFIED = (Column("id", "int64"), Column("createdOn", "timestamp"), Column("modifiedOn", "timestamp"), Column("active", "bool"))
"""The columns of rows without a schema; the rest of such a row is kept as unknown fields."""

_BINARY = (
    Column("id", "string"),
    Column("name", "string"),
    Column("bytes", "int64"),
    Column("sha256", "string"),
    Column("content_type", "string"),
    Column("reason", "string"),
)
"""The index of a binary's files: what was fetched and where it lies, or the reason why it could not be."""


def derive_modules(specs_dir: Path, corrections: Corrections | None = None) -> list[Module]:
    """Return the modules of the catalog that the OpenAPI documents (`*.json`) in a folder describe.

    Raises `ConfigError` where the folder holds none, or a document cannot be read.
    """
    facts = corrections if corrections is not None else read_corrections(CORRECTIONS)
    modules: dict[str, list[Operation]] = {}
    for operation in read_operations(specs_dir, facts.posts):
        modules.setdefault(operation.module, []).append(operation)
    names = {operation_name(operation, facts) for operations in modules.values() for operation in operations}
    # Parents in modules that are not among these documents: the catalog in use goes on to list them.
    names |= {parent for parent in facts.collections.values() if parent.partition(".")[0] not in modules}
    return [_derive_module(name, operations, names, facts) for name, operations in sorted(modules.items())]


def write_catalog(specs_dir: Path, out_dir: Path) -> list[Path]:
    """Write the catalog that the OpenAPI documents in `specs_dir` describe into `out_dir`, one file a module; return the files.

    Files of modules that the documents do not have stay as they are. Raises `ConfigError` as `derive_modules`.
    """
    modules = derive_modules(specs_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for module in modules:
        file = out_dir / f"{module.name}.json"
        file.write_text(format_modules([module]), encoding="utf-8")
        written.append(file)
    return written


def write_catalog_file(specs_dir: Path, out_file: Path) -> None:
    """Write the catalog that the OpenAPI documents in `specs_dir` describe into one file, as `load_catalog` takes it from a user.

    Raises `ConfigError` as `derive_modules`.
    """
    out_file.write_text(format_modules(derive_modules(specs_dir)), encoding="utf-8")


def operation_name(operation: Operation, corrections: Corrections) -> str:
    """Return the name of the entity that a read belongs to, collisions of different rows resolved."""
    return corrections.names.get(operation.path, operation.name)


def _derive_module(name: str, operations: list[Operation], names: set[str], corrections: Corrections) -> Module:
    groups: dict[str, list[Operation]] = {}
    left_out: list[LeftOut] = []
    for operation in operations:
        reason = _reason_to_leave_out(operation, corrections)
        if reason is None:
            groups.setdefault(operation_name(operation, corrections), []).append(operation)
        else:
            left_out.append(LeftOut(operation.path, reason))
    entities: dict[str, Entity] = {}
    for entity_name in sorted(groups, key=lambda group: (group.count("."), group)):
        group = sorted(groups[entity_name], key=lambda operation: _rank(operation, corrections))
        entities[entity_name] = _derive_entity(entity_name, group, entities, names, corrections)
    return Module(name, tuple(entities[entity_name] for entity_name in sorted(entities)), tuple(sorted(left_out)))


def _reason_to_leave_out(operation: Operation, corrections: Corrections) -> str | None:
    if operation.path in corrections.reads:
        return None
    if operation.path in corrections.left_out:
        return corrections.left_out[operation.path]
    name = operation_name(operation, corrections)
    if is_id(operation.segments[-1]):
        return f"by-id read: the records of {name}, one at a time"
    facts = corrections.entities.get(name, {})
    unanswered = unanswered_parameters(operation, [facts.get("segment_parameter", "")])
    return f"look-up by given values: {', '.join(unanswered)}" if unanswered else None


def _kind(operation: Operation, corrections: Corrections) -> Kind:
    special = corrections.reads.get(operation.path)
    return special.kind if special is not None else operation.kind


def _rank(operation: Operation, corrections: Corrections) -> tuple[int, bool, str]:
    """Order the reads of one name: by kind, then the usual place of `export`, then the path."""
    return _BEST_FIRST.index(_kind(operation, corrections)), operation.segments[-1] == "export", operation.path


def _derive_entity(name: str, group: list[Operation], entities: Mapping[str, Entity], names: set[str], corrections: Corrections) -> Entity:
    best, sources = group[0], tuple(operation.path for operation in group[1:])
    kind = _kind(best, corrections)
    if name in corrections.aliases:
        target = EntityName(corrections.aliases[name])
        return Entity(EntityName(name), kind, best.path, (), sources=sources, alias_of=target)
    facts = corrections.entities.get(name, {})
    columns, verified = _derive_columns(name, group, corrections)
    modified = time_column(columns, facts.get("modified"), "modifiedOn")
    created = time_column(columns, facts.get("created"), "createdOn")
    ends = (facts["range_from"], facts["range_to"]) if "range_from" in facts else range_parameters(best)
    entity = Entity(
        name=EntityName(name),
        kind=kind,
        path=best.path,
        columns=columns,
        key=_key(columns, facts, has_range=ends is not None),
        sources=sources,
        query=always_sent(best, facts.get("query", {})),
        modified=modified,
        created=created,
        partition_by=() if ends else tuple(column for column in (modified, created, *facts.get("partition_by", ())) if column),
        history=name in corrections.history,
        verified=verified,
        parents=_parents(best, kind, entities, names, corrections),
    )
    return _with_ways_to_ask(entity, best, ends, facts, corrections)


def _with_ways_to_ask(
    entity: Entity, best: Operation, ends: tuple[str, str] | None, facts: Mapping[str, Any], corrections: Corrections
) -> Entity:
    paging = derive_paging(best, entity.columns, facts) if entity.kind in ("list", "child") else None
    if paging is not None and not entity.key:
        paging = replace(paging, modified_from=None, modified_before=None)
    special = corrections.reads.get(best.path)
    variant_parameter = facts.get("variant_parameter") if entity.kind == "list" and ends is None else None
    variants = best.values(variant_parameter) if variant_parameter else ()
    return replace(
        entity,
        paging=paging,
        per="day" if ends else None,
        range_from=ends[0] if ends else None,
        range_to=ends[1] if ends else None,
        segment_parameter=facts.get("segment_parameter"),
        segments=tuple(facts.get("segments", ())),
        variant_parameter=variant_parameter if variants else None,
        variants=variants,
        note=facts.get("note"),
        batch_ids=BATCH_IDS if "ids" in best.required else 0,
        recursive=facts.get("recursive", False),
        records=special.records if special is not None else None,
    )


def _derive_columns(name: str, group: list[Operation], corrections: Corrections) -> tuple[tuple[Column, ...], bool]:
    """Return the columns of all reads of one name, the best one's first, and whether a document declares them."""
    if _kind(group[0], corrections) == "binary":
        return _BINARY, True
    columns: tuple[Column, ...] = ()
    for operation in group:
        if operation.path not in corrections.other_rows:
            special = corrections.reads.get(operation.path)
            columns = merge_columns(columns, operation.row_columns(special.records if special is not None else None))
    if not columns:
        return _UNVERIFIED, False
    for retyping in corrections.types.get(name, ()):
        for path in retyping.columns:
            columns = retype_columns(columns, path, retyping.type)
    return columns, True


def _key(columns: tuple[Column, ...], facts: Mapping[str, Any], *, has_range: bool) -> tuple[str, ...]:
    if "key" in facts:
        return tuple(facts["key"])
    return ("id",) if find_column(columns, "id") is not None and not has_range else ()


def _parents(
    operation: Operation, kind: Kind, entities: Mapping[str, Entity], names: set[str], corrections: Corrections
) -> tuple[Parent, ...]:
    """Map each id in the path to where it is listed: all from rows of the collection before the innermost id."""
    facts = corrections.entities.get(operation_name(operation, corrections), {})
    if "parents" in facts:
        return tuple(_given_parent(operation, parent, kind) for parent in facts["parents"])
    if kind not in ("child", "binary"):
        return ()
    driver_name = _collection_before(operation, operation.ids[-1], corrections)
    if driver_name not in names:
        return tuple(Parent(parameter, None, type=operation.id_type(parameter)) for parameter in operation.ids)
    driver = entities.get(driver_name)
    outer = tuple(
        Parent(parameter, EntityName(driver_name), _outer_column(driver, parameter, place), operation.id_type(parameter))
        for place, parameter in enumerate(operation.ids[:-1])
    )
    innermost = operation.ids[-1]
    return (*outer, Parent(innermost, EntityName(driver_name), type=operation.id_type(innermost)))


def _given_parent(operation: Operation, parent: Mapping[str, Any], kind: Kind) -> Parent:
    types: Mapping[str, Literal["int64", "string"]] = {} if kind == "child" else {"type": operation.id_type(parent["parameter"])}
    return Parent(**{**parent, **types})


def _collection_before(operation: Operation, parameter: str, corrections: Corrections) -> str:
    segments: Iterable[str] = operation.segments[: operation.segments.index(f"{{{parameter}}}")]
    name = collection_name(operation.module, segments)
    return corrections.collections.get(name, name)


def _outer_column(driver: Entity | None, parameter: str, place: int) -> str:
    """Return the column of the driver's row that bears an outer id: of its own name, else what the row's parents were."""
    if driver is None or find_column(driver.columns, parameter) is not None:
        return parameter
    return "_parent_id" if len(driver.parents) == 1 else f"_parent_ids[{place}]"

"""`st-export entities`: the catalog, one entity's columns, what is left out of it, or the tenant's reports."""

# ruff: noqa: PLC0415 - imported when the command runs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from st_export.commands.options import Globals, complete_entities, json_option, tenant_option
from st_export.commands.options import command as make_command
from st_export.errors import ConfigError

if TYPE_CHECKING:
    from st_export.catalog.entity import Entity
    from st_export.catalog.load import Catalog
    from st_export.config.model import Config
    from st_export.flow import Json


@make_command(
    "entities",
    "st-export entities",
    "st-export entities jpm.jobs",
    "st-export entities --json",
    "st-export entities --left-out",
    "st-export entities --reports",
)
@click.argument("name", required=False, shell_complete=complete_entities)
@click.option("--reports", is_flag=True, help="List the categories and reports of the tenant instead; asks the service.")
@click.option("--left-out", is_flag=True, help="List the reads of the API that are no entities instead, each with the reason.")
@tenant_option
@json_option
@click.pass_obj
def command(settings: Globals, /, name: str | None, reports: bool, left_out: bool, tenants: tuple[int, ...], as_json: bool) -> int:
    """List the catalog: every entity, or the columns of one.

    Needs no configuration; where there is one, its `catalog` and `output.numbers` count.
    """
    if sum((name is not None, reports, left_out)) > 1:
        raise click.UsageError("give only one of NAME, `--reports` and `--left-out`")
    if reports:
        return _list_reports(settings, tenants, as_json=as_json)
    from st_export.catalog.load import load_catalog
    from st_export.commands.console import print_json

    config = _config_if_any(settings)
    catalog = load_catalog(config.catalog if config else None)
    if left_out:
        found = [{"path": item.path, "reason": item.reason} for item in catalog.left_out]
        (print_json if as_json else _tell_left_out)(found)
        return 0
    if name is None:
        documents = [entity_document(entity) for entity in catalog.entities.values()]
        (print_json if as_json else _tell_all)(documents)
        return 0
    entity = catalog.get(name)
    if entity is None:
        raise _unknown(name, catalog)
    document = entity_document(entity) | {"columns": _columns(entity, config)}
    (print_json if as_json else _tell_one)(document)
    return 0


def entity_document(entity: Entity) -> dict[str, Json]:
    """Return an entity as the contract's JSON spells it."""
    return {
        "name": entity.name,
        "kind": entity.kind,
        "path": entity.path,
        "sources": list(entity.sources),
        "alias_of": entity.alias_of,
        "key": list(entity.key),
        "cursor": entity.cursor,
        "partition_by": next(iter(entity.partition_by), None),
        "history": entity.history,
        "verified": entity.verified,
    }


def _columns(entity: Entity, config: Config | None) -> list[dict[str, Json]]:
    from st_export.catalog.schema import arrow_text, entity_schema

    if config is None:
        schema = entity_schema(entity)
    else:
        options = config.options_for(entity.name)
        schema = entity_schema(entity, config.output.numbers, options.drop_columns, options.hash_columns)
    return [{"name": field.name, "type": arrow_text(field.type), "nullable": field.nullable} for field in schema]


def _config_if_any(settings: Globals) -> Config | None:
    """Return the configuration, None where none is named and none lies here."""
    from st_export.commands.call import configured
    from st_export.config.load import is_configured

    return configured(settings, needs_credentials=False) if is_configured(settings.config) else None


def _unknown(name: str, catalog: Catalog) -> ConfigError:
    from st_export.catalog.select import nearest_name

    nearest = nearest_name(name, catalog.entities)
    hint = f"did you mean `{nearest}`?" if nearest else "`st-export entities` lists all of them"
    return ConfigError(f"there is no entity `{name}`", hint=hint)


def _tell_all(documents: list[dict[str, Json]]) -> None:
    from st_export.commands.console import say, show_table
    from st_export.observe.quantities import plural

    headers = ("name", "kind", "path", "key", "cursor", "partition by", "note")
    show_table(headers, [_row(document) for document in documents])
    aliases = sum(document["alias_of"] is not None for document in documents)
    say(f"{plural(len(documents) - aliases, 'entity', 'entities')}, {plural(aliases, 'alias', 'aliases')}")


def _row(document: dict[str, Json]) -> tuple[object, ...]:
    note = f"alias of {document['alias_of']}" if document["alias_of"] else "" if document["verified"] else "unverified"
    key = ", ".join(document["key"])
    return document["name"], document["kind"], document["path"], key, document["cursor"], document["partition_by"] or "", note


def _tell_one(document: dict[str, Json]) -> None:
    from st_export.commands.console import say, show_table

    for name in ("name", "kind", "path", "sources", "alias_of", "key", "cursor", "partition_by"):
        value = document[name]
        text = ", ".join(value) if isinstance(value, list) else value
        if text:
            say(f"{name.replace('_', ' ')}: {text}")
    say("")
    rows = [(column["name"], column["type"], "" if column["nullable"] else "not null") for column in document["columns"]]
    show_table(("column", "type", "null"), rows)


def _tell_left_out(documents: list[dict[str, Json]]) -> None:
    from st_export.commands.console import say, show_table
    from st_export.observe.quantities import plural

    show_table(("path", "reason"), [(document["path"], document["reason"]) for document in documents])
    say(f"{plural(len(documents), 'read is', 'reads are')} left out")


def _list_reports(settings: Globals, tenants: tuple[int, ...], *, as_json: bool) -> int:
    from functools import partial

    import anyio

    from st_export.commands.call import check_tenants, configured, watched
    from st_export.commands.console import print_json, show_table
    from st_export.maintenance import list_reports

    config = configured(settings)
    with watched(settings, with_progress=False) as (events, _):
        document: dict[str, Any] = anyio.run(partial(list_reports, config, check_tenants(config, tenants), events))
    if as_json:
        print_json(document)
        return 0
    rows = [
        (tenant["id"], report["category"], report["id"], report["name"]) for tenant in document["tenants"] for report in tenant["reports"]
    ]
    show_table(("tenant", "category", "id", "name"), rows, numbers=("id",))
    return 0

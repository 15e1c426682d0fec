"""The shapes of all entities as a configuration writes them: what the lake's readers start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export.catalog.entity import Entity
from st_export.catalog.load import load_catalog
from st_export.catalog.schema import entity_schema
from st_export.flow import EntityName
from st_export.lake.shape import entity_shape

if TYPE_CHECKING:
    from collections.abc import Collection

    from st_export.config.model import Config
    from st_export.lake.shape import Shape

_REPORT = "report."


def shapes(config: Config, written: Collection[str] = (), *, only: Collection[str] | None = None) -> list[Shape]:
    """Return the shape of every entity of the catalog, and of the reports, as this configuration writes them.

    Args:
        config: its overrides and reports.
        written: names of entities that the lake has; its reports need not stand in the configuration. A report's columns its files tell.
        only: the entities asked for, default all: the catalog's files of the other modules are then not read.

    Raises:
        ConfigError: The user's catalog file is wrong.

    """
    names = sorted({report.entity for report in config.reports} | {name for name in written if name.startswith(_REPORT)})
    reports = [Entity(EntityName(name), "report", "", ()) for name in names]
    catalog = load_catalog(config.catalog)
    known = catalog.entities.values() if only is None else [one for name in sorted(only) if (one := catalog.get(name)) is not None]
    found: list[Shape] = []
    for entity in (*known, *reports):
        if entity.alias_of is None and (only is None or entity.name in only):
            options = config.options_for(entity.name)
            schema = entity_schema(entity, config.output.numbers, options.drop_columns, options.hash_columns)
            found.append(entity_shape(entity, schema, options.partition or config.output.partition))
    return found

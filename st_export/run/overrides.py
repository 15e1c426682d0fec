"""Whether the configuration's overrides fit the catalog and the lake, checked before any work.

How an entity's rows lie in the lake is remembered there (`_st_export/layout.json`): another partition would spread them over two
layouts, in which a version could stand twice; another kind of numbers would give its files two schemas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pyarrow as pa

from st_export.catalog.columns import find_column
from st_export.catalog.schema import entity_schema
from st_export.catalog.select import is_glob, nearest_name
from st_export.commit import paths
from st_export.commit.store import AlreadyExists, Changed, Missing
from st_export.errors import CheckpointUnreadable, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from st_export.catalog.entity import Entity
    from st_export.catalog.load import Catalog
    from st_export.commit.store import Store
    from st_export.config.model import Config, EntityOptions
    from st_export.flow import Json

PATH = f"{paths.STATE}/layout.json"
VERSION = 1
SWAPS = 10
"""How often another run may come first while this one writes the file."""

Layouts = dict[str, dict[str, str | None]]


def check_overrides(config: Config, catalog: Catalog, selected: Sequence[Entity]) -> tuple[str, ...]:
    """Check that overrides name known entities, and that their columns can be used.

    Returned are warnings: columns to drop or to hash that the catalog does not know. The service may send them all the same, so they
    are no errors; a slip of the pen would let personal data through.

    Raises:
        ConfigError: an unknown entity, a `partition_by` that is no time, a key that is dropped.

    """
    known = [*catalog.entities, *(report.entity for report in config.reports)]
    for name in config.entities:
        if not is_glob(name) and name not in known:
            nearest = nearest_name(name, known)
            raise ConfigError(
                f"entities.{name}: there is no such entity", hint=f"did you mean `{nearest}`?" if nearest else "see `st-export entities`"
            )
    warnings: list[str] = []
    for entity in selected:
        if entity.kind != "report":
            _check_columns(config, entity)
            warnings += _unknown_columns(config, entity)
    return tuple(warnings)


def _unknown_columns(config: Config, entity: Entity) -> list[str]:
    own = config.entities.get(entity.name)
    warnings: list[str] = []
    for name in (*own.drop_columns, *own.hash_columns) if own is not None else ():
        if find_column(entity.columns, name.replace("[]", "")) is None:
            nearest = nearest_name(name, [column.name for column in entity.columns])
            guess = f"; did you mean `{nearest}`?" if nearest else ""
            warnings.append(f"entities.{entity.name}: the catalog has no column `{name}`, which is to be dropped or hashed{guess}")
    return warnings


def _check_columns(config: Config, entity: Entity) -> None:
    options = config.options_for(entity.name)
    if not (options.drop_columns or options.hash_columns or options.partition_by):
        return
    schema = entity_schema(entity, config.output.numbers, options.drop_columns, options.hash_columns)
    if options.partition_by is None:
        return
    column = find_column(entity.columns, options.partition_by)
    first = options.partition_by.split(".")[0]
    if (
        column is None
        or column.type not in ("timestamp", "date")
        or first not in schema.names
        or pa.types.is_string(schema.field(first).type)
    ):
        times = ", ".join(one.name for one in entity.columns if one.type in ("timestamp", "date"))
        raise ConfigError(
            f"entities.{entity.name}.partition_by: `{options.partition_by}` is no time or date of the entity",
            hint=f"it has: {times or 'none'}",
        )


async def settle_layouts(store: Store, config: Config, selected: Sequence[Entity]) -> None:
    """Hold the partitions of the selected entities against those of the lake, and remember the new ones.

    Raises:
        ConfigError: `partition`, `partition_by` or `numbers` was changed for an entity that has data.
        CheckpointUnreadable: the lake's record of it is damaged.

    """
    with_data = set(await store.folders(paths.MANIFESTS))
    wanted: Layouts = {entity.name: _layout(config, config.options_for(entity.name)) for entity in selected}
    for _ in range(SWAPS):
        known, tag = await _read(store)
        for name, layout in wanted.items():
            if name in with_data and name in known and known[name] != layout:
                raise _changed(name, known[name], layout)
        merged = {**known, **wanted}
        if merged == known:
            return
        body = orjson.dumps({"version": VERSION, "entities": merged}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        try:
            await (store.create(PATH, body) if tag is None else store.replace_if(PATH, body, tag))
        except (AlreadyExists, Changed):
            continue
        return
    raise ConfigError(f"other runs keep changing {PATH}", hint="run the same command again")


def _layout(config: Config, options: EntityOptions) -> dict[str, str | None]:
    return {"partition": options.partition, "partition_by": options.partition_by, "numbers": config.output.numbers}


async def _read(store: Store) -> tuple[Layouts, str | None]:
    try:
        data, tag = await store.read_tagged(PATH)
    except Missing:
        return {}, None
    try:
        entities: Json = orjson.loads(data)["entities"]
        return {name: {key: one[key] for key in ("partition", "partition_by", "numbers")} for name, one in entities.items()}, tag
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointUnreadable(f"{PATH} is damaged", hint="move it away; the next run writes it anew") from error


def _changed(name: str, before: dict[str, str | None], now: dict[str, str | None]) -> ConfigError:
    def text(layout: dict[str, str | None]) -> str:
        return ", ".join(f"{key}: {value}" for key, value in layout.items() if value is not None)

    return ConfigError(
        f"{name} lies in this lake with {text(before)}, and the configuration says {text(now)}",
        hint="set it back, or export into a new lake (`output.url`)",
    )

"""Which reader brings an entity up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export.run.readers.binaries import read_binaries
from st_export.run.readers.capacity import read_capacity
from st_export.run.readers.children import read_children
from st_export.run.readers.days import read_days
from st_export.run.readers.feed import read_feed
from st_export.run.readers.lists import read_list
from st_export.run.readers.reports import read_report
from st_export.run.readers.whole import read_whole

if TYPE_CHECKING:
    from st_export.catalog.entity import Entity
    from st_export.run.parts import Parts
    from st_export.run.scope import Scope


async def read_entity(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Read an entity with the reader of its kind.

    Raises:
        StExportError: whatever stopped it.

    """
    if entity.kind == "report":
        report = next(one for one in parts.config.reports if one.entity == entity.name)
        await parts.pinned.load(entity)
        await read_report(parts, report, scope)
    elif entity.kind == "feed":
        await read_feed(parts, entity, scope)
    elif entity.kind == "capacity":
        await read_capacity(parts, entity, scope)
    elif entity.kind == "child":
        await read_children(parts, entity, scope)
    elif entity.kind == "binary":
        await read_binaries(parts, entity, scope)
    elif entity.per is not None:
        await read_days(parts, entity, scope)
    elif entity.whole:
        await read_whole(parts, entity, scope)
    else:
        await read_list(parts, entity, scope)

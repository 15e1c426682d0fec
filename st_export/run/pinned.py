"""The columns of a tenant's reports, pinned in the lake: the type that a column had when it was first seen stays its type."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from st_export.catalog.entity import Column, Entity
from st_export.commit import paths
from st_export.commit.store import Missing
from st_export.errors import CheckpointUnreadable

if TYPE_CHECKING:
    from st_export.commit.store import Store

VERSION = 1


class PinnedReports:
    """Reads and keeps the pinned columns of one tenant's reports."""

    def __init__(self, store: Store, tenant: int) -> None:
        self._store = store
        self._tenant = tenant
        self._entities: dict[str, Entity] = {}

    async def load(self, entity: Entity) -> None:
        """Read what is pinned for a report. Raises `CheckpointUnreadable` where that file is damaged."""
        if entity.name in self._entities:
            return
        path = self._path(entity.name)
        try:
            document = orjson.loads(await self._store.read(path))
            columns = tuple(Column(one["name"], one["type"]) for one in document["columns"])
        except Missing:
            columns = ()
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise CheckpointUnreadable(
                f"{path} is damaged", hint="move it away; the next run pins the columns anew", tenant=self._tenant
            ) from error
        self._entities[entity.name] = replace(entity, columns=columns)

    def entity(self, entity: Entity) -> Entity:
        """Return a report with the columns pinned so far."""
        return self._entities.get(entity.name, entity)

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the columns pinned so far."""
        found = self._entities.get(name)
        return found.columns if found else ()

    async def pin(self, entity: Entity) -> None:
        """Add the columns that are not pinned yet."""
        await self.load(replace(entity, columns=()))
        known = self._entities[entity.name]
        taken = {column.name.casefold() for column in known.columns}
        new = tuple(column for column in entity.columns if column.name.casefold() not in taken)
        if not new:
            return
        pinned = replace(known, columns=(*known.columns, *new))
        listed = [{"name": column.name, "type": column.type} for column in pinned.columns]
        body = orjson.dumps({"version": VERSION, "columns": listed}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        await self._store.write(self._path(entity.name), body)
        self._entities[entity.name] = pinned

    def _path(self, name: str) -> str:
        return f"{paths.STATE}/reports/{paths.checked_name(name)}/{self._tenant}.json"

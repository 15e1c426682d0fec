"""The columns of reports, pinned in the lake: the type that a column had when it was first seen stays its type, for all tenants.

Tenants are read side by side, and by other runs: a new column is added by a conditional write.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import orjson

from st_export.catalog.entity import Column, Entity, Scalar
from st_export.commit import paths
from st_export.commit.store import AlreadyExists, Changed, Missing
from st_export.errors import CheckpointUnreadable, CommitRefused

if TYPE_CHECKING:
    from st_export.commit.store import Store

VERSION = 1

MOST_TRIES = 20
"""So many writers cannot add columns to one report at the same moment."""


_TYPES: dict[str, Scalar] = {name: name for name in get_args(Scalar)}


def pinned_path(name: str) -> str:
    """Return where the columns of a report are kept."""
    return f"{paths.STATE}/reports/{paths.checked_name(name)}.json"


class PinnedReports:
    """Reads and keeps the pinned columns of reports."""

    def __init__(self, store: Store, tenant: int) -> None:
        self._store = store
        self._tenant = tenant
        self._entities: dict[str, Entity] = {}

    async def load(self, entity: Entity) -> None:
        """Read what is pinned for a report, once. Raises `CheckpointUnreadable` where that file is damaged or newer."""
        if entity.name not in self._entities:
            columns, _ = await self._read(entity.name)
            self._entities[entity.name] = replace(entity, columns=columns)

    def entity(self, entity: Entity) -> Entity:
        """Return a report with the columns pinned so far."""
        return self._entities.get(entity.name, entity)

    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the columns pinned so far."""
        found = self._entities.get(name)
        return found.columns if found else ()

    async def pin(self, entity: Entity) -> None:
        """Add the columns that are not pinned yet; upper and lower case are taken as one.

        Raises:
            CheckpointUnreadable: what is pinned is damaged or newer.
            CommitRefused: others changed it again and again.
            StoreError: the store fails.

        """
        await self.load(replace(entity, columns=()))
        if not _unknown(entity, self._entities[entity.name].columns):
            return
        path = pinned_path(entity.name)
        for _ in range(MOST_TRIES):
            columns, tag = await self._read(entity.name)
            columns = (*columns, *_unknown(entity, columns))
            try:
                if tag is None:
                    await self._store.create(path, _encoded(columns))
                else:
                    await self._store.replace_if(path, _encoded(columns), tag)
            except (AlreadyExists, Changed):
                continue
            self._entities[entity.name] = replace(self._entities[entity.name], columns=columns)
            return
        raise CommitRefused(f"{path} is changed by others again and again", hint="run the same command again", tenant=self._tenant)

    async def _read(self, name: str) -> tuple[tuple[Column, ...], str | None]:
        """Return what is pinned and the tag of the file; None where there is none."""
        path = pinned_path(name)
        try:
            body, tag = await self._store.read_tagged(path)
        except Missing:
            return (), None
        try:
            document = orjson.loads(body)
            if document["version"] > VERSION:
                raise CheckpointUnreadable(f"{path} was written by a newer st-export", hint="upgrade st-export", tenant=self._tenant)
            columns = tuple(Column(one["name"], _TYPES[one["type"]]) for one in document["columns"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            hint = "restore it from a copy of the lake; without it the next run pins the columns anew"
            raise CheckpointUnreadable(f"{path} is damaged", hint=hint, tenant=self._tenant) from error
        return columns, tag


def _unknown(entity: Entity, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    taken = {column.name.casefold() for column in columns}
    return tuple(column for column in entity.columns if column.name.casefold() not in taken)


def _encoded(columns: tuple[Column, ...]) -> bytes:
    listed = [{"name": column.name, "type": column.type} for column in columns]
    return orjson.dumps({"version": VERSION, "columns": listed}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

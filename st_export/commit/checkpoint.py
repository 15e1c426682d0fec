"""The checkpoint of one tenant: where each entity stands, durable, small, readable, and never taken for a first run when damaged.

The manifest is the commit point; the checkpoint follows it and may be rebuilt from the manifests (see `recovery`). It is replaced by
compare-and-swap, so that a run that lost its lock cannot set positions back. Writes coalesce: while one is under way the others
wait and share the next. This module leaves out when positions move.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import orjson

from st_export.commit import paths
from st_export.commit.positions import integer_of, moment_of, object_of, position_from, position_json, text_of
from st_export.commit.store import AlreadyExists, Changed, Missing
from st_export.errors import CheckpointUnreadable, CommitRefused
from st_export.flow import Json, Position, utc_text

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.clock import Clock
    from st_export.commit.store import Store

VERSION = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """An entity's position in one scope, with the ordinal of the last manifest that moved it (0: none) and when it was saved."""

    position: Position
    ordinal: int
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """What is remembered of an entity for `status`: its last run, how that ended, and the newest `modifiedOn` in the lake."""

    last_run: str | None = None
    last_outcome: str | None = None
    last_error: str | None = None
    newest: datetime | None = None


@dataclass(slots=True)
class _Entity:
    standings: dict[str, Standing] = field(default_factory=dict)
    note: Note = field(default_factory=Note)


class Checkpoints:
    """The positions of one tenant in memory, and their file. Made empty; `load` reads what is there."""

    def __init__(self, store: Store, tenant: int, clock: Clock) -> None:
        self.path = paths.checkpoint(tenant)
        self._store = store
        self._tenant = tenant
        self._clock = clock
        self._entities: dict[str, _Entity] = {}
        self._tag: str | None = None
        self._doubtful: bytes | None = None
        self._changes = 0
        self._saved = 0
        self._writing = anyio.Lock()

    async def load(self) -> bool:
        """Read the file; return False where there is none. Raises `CheckpointUnreadable` (damaged, newer), `StoreError`."""
        try:
            data, tag = await self._store.read_tagged(self.path)
        except Missing:
            return False
        self._entities = self._parsed(data)
        self._tag = tag
        self._changes = self._saved = 0
        return True

    @property
    def changed(self) -> bool:
        """Whether something here is not yet in the file."""
        return self._saved < self._changes

    def entities(self) -> tuple[str, ...]:
        """Return the names of all entities with a position or a note, sorted."""
        return tuple(sorted(self._entities))

    def position(self, entity: str, scope: str) -> Position:
        """Return where an entity stands in a scope; the beginning where it never stood."""
        standing = self.standings(entity).get(scope)
        return standing.position if standing else Position()

    def standings(self, entity: str) -> dict[str, Standing]:
        """Return an entity's standing in each scope that it has one in."""
        found = self._entities.get(entity)
        return dict(found.standings) if found else {}

    def last_ordinal(self, entity: str) -> int:
        """Return the highest ordinal that any scope of the entity has reached, 0 for none."""
        return max((standing.ordinal for standing in self.standings(entity).values()), default=0)

    def note(self, entity: str) -> Note:
        """Return what is remembered of an entity."""
        found = self._entities.get(entity)
        return found.note if found else Note()

    def move(self, entity: str, scope: str, position: Position, ordinal: int | None = None) -> None:
        """Move an entity in memory; `ordinal` is that of the manifest which moved it, None where none did. `save` makes it durable."""
        kept = self.standings(entity).get(scope)
        reached = ordinal if ordinal is not None else kept.ordinal if kept else 0
        self._at(entity).standings[scope] = Standing(position, reached, self._clock.now())

    def remember(self, entity: str, note: Note) -> None:
        """Keep a note in memory. A `newest` of None leaves the one that is known."""
        before = self.note(entity).newest
        self._at(entity).note = replace(note, newest=note.newest or before)

    async def save(self) -> None:
        """Make all changes up to now durable. Raises `CommitRefused` where somebody else wrote the file, `StoreError`."""
        wanted = self._changes
        while self._saved < wanted:
            async with self._writing:
                if self._saved >= wanted:
                    return
                await self._write()

    async def _write(self) -> None:
        covered = self._changes
        data = self._encoded()
        try:
            await self._swap(data)
        except (AlreadyExists, Changed) as error:
            if not await self._adopt():
                raise CommitRefused(
                    f"the checkpoint {self.path} was changed by somebody else",
                    hint="let one run at a time work on a tenant; run the same command again",
                    tenant=self._tenant,
                ) from error
            await self._swap(data)
        self._saved = covered

    async def _swap(self, data: bytes) -> None:
        before, self._doubtful = self._doubtful, data
        try:
            if self._tag is None:
                self._tag = await self._store.create(self.path, data)
            else:
                self._tag = await self._store.replace_if(self.path, data, self._tag)
        except (AlreadyExists, Changed):
            self._doubtful = before
            raise
        self._doubtful = None

    async def _adopt(self) -> bool:
        """Take a write of ours that was cancelled, or whose answer was lost, and that arrived after all."""
        data, tag = await self._store.read_tagged(self.path)
        if data != self._doubtful:
            return False
        self._tag = tag
        return True

    def _at(self, entity: str) -> _Entity:
        self._changes += 1
        return self._entities.setdefault(entity, _Entity())

    def _encoded(self) -> bytes:
        document = {
            "version": VERSION,
            "tenant": self._tenant,
            "entities": {name: _standings_json(known) for name, known in self._entities.items() if known.standings},
            "notes": {name: _note_json(known.note) for name, known in self._entities.items() if known.note != Note()},
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)

    def _parsed(self, data: bytes) -> dict[str, _Entity]:
        try:
            document = object_of(orjson.loads(data))
            version = integer_of(document, "version")
        except ValueError as error:
            raise self._unreadable(f"is damaged ({error})") from error
        if version > VERSION:
            raise CheckpointUnreadable(
                f"the checkpoint {self.path} was written by a newer st-export (version {version}, this one knows {VERSION})",
                hint="upgrade st-export",
                tenant=self._tenant,
            )
        try:
            return self._entities_from(document)
        except (ValueError, OverflowError) as error:
            raise self._unreadable(f"is damaged ({error})") from error

    def _entities_from(self, document: dict[str, Json]) -> dict[str, _Entity]:
        if integer_of(document, "tenant") != self._tenant:
            raise ValueError(f"it is tenant {document['tenant']}'s")
        found: dict[str, _Entity] = {}
        for name, scopes in object_of(document.get("entities")).items():
            standings = {scope: _standing_from(standing) for scope, standing in object_of(scopes).items()}
            found[name] = _Entity(standings)
        for name, note in object_of(document.get("notes")).items():
            found.setdefault(name, _Entity()).note = _note_from(note)
        return found

    def _unreadable(self, text: str) -> CheckpointUnreadable:
        return CheckpointUnreadable(
            f"the checkpoint {self.path} {text}",
            hint="restore it, or move the file away: the next run rebuilds it from the manifests",
            tenant=self._tenant,
        )


def _standings_json(entity: _Entity) -> dict[str, Json]:
    return {
        scope: position_json(standing.position) | {"ordinal": standing.ordinal, "saved_at": utc_text(standing.saved_at)}
        for scope, standing in entity.standings.items()
    }


def _standing_from(document: Json) -> Standing:
    fields = object_of(document)
    saved_at = moment_of(fields, "saved_at")
    if saved_at is None:
        raise ValueError("saved_at is missing")
    return Standing(position_from(fields), integer_of(fields, "ordinal"), saved_at)


def _note_json(note: Note) -> dict[str, Json]:
    fields = {"last_run": note.last_run, "last_outcome": note.last_outcome, "last_error": note.last_error}
    return {name: value for name, value in fields.items() if value is not None} | (
        {"newest": utc_text(note.newest)} if note.newest is not None else {}
    )


def _note_from(document: Json) -> Note:
    fields = object_of(document)
    return Note(
        last_run=text_of(fields, "last_run"),
        last_outcome=text_of(fields, "last_outcome"),
        last_error=text_of(fields, "last_error"),
        newest=moment_of(fields, "newest"),
    )

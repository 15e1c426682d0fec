"""The commit of a unit, in labelled steps that survive a kill between and within any two of them.

    intent      the names of the files to come, durable
    file        each data file, durable under its final name (announced just before); files: all of them
    manifest    the commit: before it nothing counts, after it all does; it bears the position that the unit moves its entity to
    checkpoint  the positions follow
    cleared     the intent is gone

A start finds any state that a kill leaves (see `recovery`): no manifest → the files are removed; a manifest → its position counts.
Data files go up side by side; from the next ordinal to the positions in memory one commit of an entity waits for the other. A commit
ends as done, as refused (`CommitRefused`, `StoreError`: its files are removed, if the lock is surely ours; `LockLost`: they may be
the next run's by now, and stay) or as unknown (`CommitUnknown`: everything stays for the next start). A cancellation before the
manifest leaves it to the next start; from there on the rest is finished first.

This module leaves out where a position moves: that is the caller's function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio

from st_export.commit.concurrency import each, to_the_end
from st_export.commit.intent import Intent, belongs
from st_export.commit.manifest import Manifest
from st_export.commit.rejects import RejectsOf, Scrub, unchanged, write_rejects
from st_export.commit.store import AlreadyExists, OutcomeUnknown
from st_export.errors import CommitRefused, CommitUnknown, StExportError, StoreError
from st_export.events import CommitStepped, Committed, Events, Noted

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.clock import Clock
    from st_export.commit.checkpoint import Checkpoints
    from st_export.commit.lock import Guard
    from st_export.commit.manifest import Manifests
    from st_export.commit.store import Store
    from st_export.flow import DataFile, Position, Reject, Unit, Window

FILES_AT_ONCE = 4
"""Data files of one commit that go up side by side; the store bounds them over all commits."""

CLEAN_UP_SECONDS = 5.0
Step = Literal["intent", "file", "files", "manifest", "checkpoint", "cleared"]


@dataclass(frozen=True, slots=True)
class Work:
    """What a unit brings: its files (each with `local`), their schema as `(name, type)`, and what happened on the way to them."""

    unit: Unit
    files: tuple[DataFile, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    window: Window | None = None
    rejects: tuple[Reject, ...] = ()
    rescued: int = 0


@dataclass(frozen=True, slots=True)
class Landed:
    """A commit that is done: the position it moved to, rows and bytes added, the path of the manifest (None: only the position moved)."""

    unit: Unit
    position: Position
    rows: int
    bytes: int
    manifest: str | None


class Committer:
    """Commits the units of one tenant in one run. Its parts are handed in, loaded, under the lock and after `restore`.

    Files wait for `cleared`, which says that `clear` has ended: until then one of theirs could be taken for a dead run's.
    """

    def __init__(
        self,
        store: Store,
        tenant: int,
        run: str,
        *,
        checkpoints: Checkpoints,
        manifests: Manifests,
        events: Events,
        clock: Clock,
        lock: Guard,
        scrub: Scrub = unchanged,
        cleared: anyio.Event | None = None,
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._run = run
        self._checkpoints = checkpoints
        self._manifests = manifests
        self._events = events
        self._clock = clock
        self._lock = lock
        self.scrub = scrub
        self._cleared = cleared
        self._turns: dict[str, anyio.Lock] = {}
        self._under_way: set[tuple[str, str]] = set()
        self._in_doubt: dict[str, str] = {}

    async def commit(self, work: Work, move: Callable[[Position], Position]) -> Landed:
        """Commit a unit: its files, then the position that `move` makes of the one that holds when its turn has come.

        Without files only the position moves, by the checkpoint alone. Raises `CommitRefused` (a committed unit again, files that are not
        the unit's), `LockLost`, `CommitUnknown`, `StoreError`.
        """
        unit = work.unit
        self._require(work)
        self._under_way.add((unit.entity, unit.name))
        try:
            self._lock.check()
            if work.rejects:
                source = RejectsOf(self._tenant, unit.entity, unit.name, self._run)
                await write_rejects(self._store, source, work.rejects, self._clock.now(), self.scrub)
            if not work.files:
                return await to_the_end(lambda: self._move_only(work, move))
            if self._cleared is not None:
                await self._cleared.wait()
            intent = await self._put_files(work)
            return await to_the_end(lambda: self._finish(work, move, intent))
        finally:
            self._under_way.discard((unit.entity, unit.name))

    def _require(self, work: Work) -> None:
        unit = work.unit
        names = [file.path for file in work.files]
        if unit.tenant != self._tenant:
            raise self._refused(unit, f"the unit is tenant {unit.tenant}'s")
        if doubtful := self._in_doubt.get(unit.entity):
            raise CommitUnknown(
                f"the commit of {doubtful} is in doubt, so nothing can follow it", hint=_AGAIN, tenant=self._tenant, entity=unit.entity
            )
        if work.files and self._manifests.path_of(unit.entity, unit.name) is not None:
            raise self._refused(unit, "the unit is committed already, and a committed file is never written again")
        if (unit.entity, unit.name) in self._under_way:
            raise self._refused(unit, "the unit is being committed already")
        if len(set(names)) < len(names) or not all(belongs(path, unit) for path in names):
            raise self._refused(unit, f"its files are not its own: {', '.join(names)}")

    async def _put_files(self, work: Work) -> Intent:
        """Write the intent and make all files durable; whatever fails here is undone, a cancellation is left to the next start."""
        unit = work.unit
        intent = Intent(self._tenant, unit.entity, unit.name, self._run, tuple(file.path for file in work.files))
        try:
            await self._store.write(intent.path, intent.encoded())
            self._stepped(unit, "intent")
            await self._put_each(work)
        except (StExportError, OSError):
            await self._undo(work, intent)
            raise
        self._stepped(unit, "files")
        return intent

    async def _put_each(self, work: Work) -> None:
        """Put all files. After a failure no other one begins, but those under way end: one that arrived after the undoing would stay."""
        failures: list[Exception] = []

        async def put(file: DataFile) -> None:
            if failures:
                return
            try:
                await self._put(work.unit, file)
            except (StExportError, OSError) as error:
                failures.append(error)

        await each(work.files, put, at_once=FILES_AT_ONCE)
        if failures:
            raise failures[0]

    async def _put(self, unit: Unit, file: DataFile) -> None:
        local = Path(file.local or "")
        try:
            size = (await anyio.Path(local).stat()).st_size
        except FileNotFoundError as error:
            raise self._refused(unit, f"{file.path} has no local file") from error
        if size != file.bytes:
            raise self._refused(unit, f"{file.path} has {size} bytes instead of {file.bytes}")
        self._stepped(unit, "file")
        self._lock.check()
        await self._store.put_file(file.path, local)

    async def _move_only(self, work: Work, move: Callable[[Position], Position]) -> Landed:
        unit = work.unit
        async with self._turn(unit.entity):
            self._lock.check()
            position = move(self._checkpoints.position(unit.entity, unit.scope))
            self._checkpoints.move(unit.entity, unit.scope, position)
        await self._checkpoints.save()
        self._stepped(unit, "checkpoint")
        return self._landed(work, position, None)

    async def _finish(self, work: Work, move: Callable[[Position], Position], intent: Intent) -> Landed:
        unit = work.unit
        async with self._turn(unit.entity):
            self._lock.check()
            manifest = self._manifest(work, move(self._checkpoints.position(unit.entity, unit.scope)))
            try:
                await self._add(unit, manifest)
            except StoreError:
                await self._undo(work, intent)
                raise
            self._checkpoints.move(unit.entity, unit.scope, manifest.position, manifest.ordinal)
        self._stepped(unit, "manifest")
        try:
            await self._checkpoints.save()
            self._stepped(unit, "checkpoint")
            await self._clear(intent)
        finally:  # whatever happens to the checkpoint, the unit is committed
            landed = self._landed(work, manifest.position, manifest.path)
        return landed

    async def _clear(self, intent: Intent) -> None:
        try:
            await self._store.delete(intent.path)
        except StoreError as error:
            self._warn(intent, f"the intent of {intent.unit} is left to the next start: {error.message}")
        else:
            self._events.emit(self._step(intent.entity, intent.unit, "cleared"))

    async def _add(self, unit: Unit, manifest: Manifest) -> None:
        try:
            await self._manifests.add(manifest)
        except AlreadyExists as error:
            raise self._refused(unit, "another run committed it") from error
        except OutcomeUnknown as error:
            self._in_doubt[unit.entity] = unit.name
            raise CommitUnknown(
                f"whether {unit.name} is committed is not known: {error.message}", hint=_AGAIN, tenant=self._tenant, entity=unit.entity
            ) from error

    def _manifest(self, work: Work, position: Position) -> Manifest:
        entity = work.unit.entity
        return Manifest(
            tenant=self._tenant,
            entity=entity,
            scope=work.unit.scope,
            unit=work.unit.name,
            ordinal=max(self._manifests.last_ordinal(entity), self._checkpoints.last_ordinal(entity)) + 1,
            run=self._run,
            committed_at=self._clock.now(),
            files=tuple(replace(file, local=None) for file in work.files),
            columns=work.columns,
            position=position,
            window=work.window,
            rescued=work.rescued,
            rejected=len(work.rejects),
        )

    async def _undo(self, work: Work, intent: Intent) -> None:
        """Remove what a failed commit has put, for its space; what cannot be removed now is left to the next start."""
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            try:
                for local in [file.local for file in work.files if file.local is not None]:
                    await anyio.Path(local).unlink(missing_ok=True)
                self._lock.check()
                for file in work.files:
                    await self._store.delete(file.path)
                await self._store.delete(intent.path)
            except (StExportError, OSError) as error:
                self._warn(intent, f"an unfinished commit of {intent.unit} is left to the next start: {error}")

    def _warn(self, intent: Intent, text: str) -> None:
        self._events.emit(Noted(at=self._clock.now(), level="warning", text=text, tenant=self._tenant, entity=intent.entity))

    def _landed(self, work: Work, position: Position, manifest: str | None) -> Landed:
        unit, window = work.unit, work.window
        landed = Landed(unit, position, sum(file.rows for file in work.files), sum(file.bytes for file in work.files), manifest)
        committed = Committed(
            at=self._clock.now(),
            tenant=self._tenant,
            entity=unit.entity,
            unit=unit.name,
            rows=landed.rows,
            files=len(work.files),
            bytes=landed.bytes,
            rescued=work.rescued,
            rejected=len(work.rejects),
            manifest=manifest,
            window=None if window is None else (window.start, window.end),
        )
        self._events.emit(committed)
        return landed

    def _stepped(self, unit: Unit, step: Step) -> None:
        self._events.emit(self._step(unit.entity, unit.name, step))

    def _step(self, entity: str, unit: str, step: Step) -> CommitStepped:
        return CommitStepped(at=self._clock.now(), tenant=self._tenant, entity=entity, unit=unit, step=step)

    def _turn(self, entity: str) -> anyio.Lock:
        return self._turns.setdefault(entity, anyio.Lock())

    def _refused(self, unit: Unit, text: str) -> CommitRefused:
        return CommitRefused(f"the commit of {unit.name} is refused: {text}", hint=_AGAIN, tenant=self._tenant, entity=unit.entity)


_AGAIN = "run the same command again: it goes on from the last commit"

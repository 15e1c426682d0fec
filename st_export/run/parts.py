"""One tenant's parts, assembled: what a reader of any kind needs to ask pages, hold rows and commit units.

Nothing here is global to the process but what `Shared` holds: all of a tenant's state hangs on its parts.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread
import pyarrow as pa
import pyarrow.parquet as pq

from st_export.commit.pairs import Origin
from st_export.commit.protocol import Committer, Work
from st_export.errors import EntityFailed, EntityRefused, ParentsUnknown
from st_export.events import EntityStarted, Noted, WindowOpened
from st_export.flow import EntityName, RunId, TenantId, Unit, Window
from st_export.plan.windows import BEGINNING
from st_export.run.lakefiles import LakeFiles
from st_export.run.pinned import PinnedReports
from st_export.run.shelf import Shelf
from st_export.write.batches import Stamp, UnitRows
from st_export.write.parquet import FileFormat
from st_export.write.spill import Spill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from datetime import date, datetime
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from st_export.catalog.entity import Column, Entity
    from st_export.catalog.load import Catalog
    from st_export.clock import Clock
    from st_export.commit.checkpoint import Checkpoints
    from st_export.commit.manifest import Manifests
    from st_export.commit.store import Store
    from st_export.config.model import Config, Tenant
    from st_export.errors import StExportError
    from st_export.events import Events
    from st_export.fetch.limiter import ReportGate
    from st_export.fetch.session import Session
    from st_export.fetch.source import Source
    from st_export.flow import Envelope, Position
    from st_export.run.pace import Pace
    from st_export.run.scope import Scope
    from st_export.run.shared import Shared
    from st_export.run.stop import Stop

WINDOWS_AT_ONCE = 8
"""Closed windows, or days, of one entity that are read side by side where the configuration gives no `max_in_flight`."""

CHILDREN_AT_ONCE = 16
"""Parents of one child entity that are asked side by side."""


@dataclass(frozen=True, slots=True)
class RunParts:
    """What the tenants of a run have in common."""

    config: Config
    catalog: Catalog
    run: RunId
    session: Session
    shared: Shared
    store: Store
    events: Events
    clock: Clock
    stop: Stop
    pace: Pace


class Parts:
    """One tenant's parts for the length of a run."""

    def __init__(
        self,
        run: RunParts,
        tenant: Tenant,
        *,
        source: Source,
        checkpoints: Checkpoints,
        manifests: Manifests,
        committer: Committer,
        cleared: anyio.Event,
        report_gate: ReportGate,
        read_envelope: Callable[[bytes], Envelope],
    ) -> None:
        self.config = run.config
        self.tenant = TenantId(tenant.id)
        self.zone: ZoneInfo = tenant.zone
        self.run = run.run
        self.shared = run.shared
        self.source = source
        self.store = run.store
        self.checkpoints = checkpoints
        self.manifests = manifests
        self.committer = committer
        self.events = run.events
        self.clock = run.clock
        self.stop = run.stop
        self.pace = run.pace
        self.report_gate = report_gate
        self.pinned = PinnedReports(run.store, tenant.id)
        self.read_envelope = read_envelope
        self.stamp = Stamp(self.tenant, run.run)
        self.spool: Path = run.store.spool
        self.lake_files = LakeFiles(run.store, tenant.id, cleared)
        self.file_format = FileFormat(int(run.config.output.target_file_mb * (1 << 20)), run.config.output.compression)
        self.rejected: Counter[EntityName] = Counter()
        """Committed rejects by entity."""
        self._entities = run.catalog.entities
        self._run_day: date = run.clock.now().date()
        self._shelves: dict[EntityName, Shelf] = {}
        self._slots: dict[EntityName, anyio.CapacityLimiter] = {}
        # A window that is begun can be lost by a kill: no more are begun than calls can be under way.
        self._windows = anyio.CapacityLimiter(run.config.limits.max_in_flight)
        self._ended: dict[EntityName, tuple[anyio.Event, list[StExportError]]] = {}

    # -- positions

    def position(self, entity: Entity, scope: Scope) -> Position:
        """Return where the entity stands in a scope."""
        return self.checkpoints.position(entity.name, scope.name)

    async def move(self, entity: Entity, scope: Scope, move: Callable[[Position], Position]) -> None:
        """Move an entity without rows: only the checkpoint changes."""
        unit = Unit(self.tenant, entity.name, scope.name, self.position(entity, scope).epoch, "position")
        await self.committer.commit(Work(unit), move)

    def history_start(self, entity: Entity) -> datetime | None:
        """Return how far back a first run goes: the configuration's `start` for what happens, None for master data."""
        return self.config.start if entity.history else None

    def history_window(self, entity: Entity) -> Window | None:
        """Return the open window from `start` on for what happens, None where everything is wanted."""
        start = self.history_start(entity)
        return Window(start) if start is not None else None

    # -- units

    def shelf(self, entity: Entity) -> Shelf:
        """Return an entity's place in the lake."""
        known = self.pinned.entity(entity) if entity.kind == "report" else entity
        found = self._shelves.get(entity.name)
        if found is None or found.entity is not known:
            found = self._shelves[entity.name] = Shelf(known, self.config, self.tenant, self.lake_files, self.spool, self._run_day)
        return found

    def origin(self) -> Origin:
        """Return what rows that are found to be gone bear."""
        return Origin(self.tenant, self.run, self.clock.now())

    def make_spill(self, schema: pa.Schema) -> Spill:
        """Return an empty spill file for rows of a schema."""
        return Spill(self.spool, schema)

    @contextmanager
    def rows_for(self, shelf: Shelf, asked_day: date | None) -> Iterator[UnitRows]:
        """Hand out a second collection of rows for a unit: of those that are to be written."""
        rows = UnitRows(shelf.schema, shelf.key_order, shelf.partitioning(asked_day), self.stamp, self.shared.rows_budget, self.spool)
        try:
            yield rows
        finally:
            rows.discard()

    # -- limits

    def page_size(self, entity: Entity) -> int:
        """Return the rows to ask a page of, at most what the service gives."""
        if entity.paging is None:
            return 1
        return min(self.config.options_for(entity.name).page_size or entity.paging.page_size, entity.paging.max_page_size)

    def max_in_flight(self, entity: Entity) -> int:
        """Return how many parents of an entity are asked at once."""
        return self.config.options_for(entity.name).max_in_flight or CHILDREN_AT_ONCE

    @asynccontextmanager
    async def window_slot(self, entity: Entity) -> AsyncIterator[None]:
        """Hold one of the entity's places for windows or days that are read side by side."""
        most = self.config.options_for(entity.name).max_in_flight or WINDOWS_AT_ONCE
        if entity.kind == "report" or (entity.paging is not None and entity.paging.one_at_a_time):
            most = 1
        async with self._slots.setdefault(entity.name, anyio.CapacityLimiter(most)), self._windows:
            yield

    # -- other entities

    def entity(self, name: EntityName) -> Entity:
        """Return an entity of the catalog."""
        return self._entities[name]

    def expect_end(self, names: Sequence[EntityName]) -> None:
        """Take the entities of this run, whose end others may wait for."""
        for name in names:
            self._ended[name] = (anyio.Event(), [])

    def ended(self, name: EntityName, error: StExportError | None) -> None:
        """Note that an entity of this run has ended, and in which error; one that a stop kept from starting has none."""
        event, errors = self._ended[name]
        errors += [error] if error is not None else []
        event.set()

    async def finished(self, name: EntityName, waiting: Entity) -> bool:
        """Wait for an entity's end; False where it is not part of this run.

        Raises:
            EntityFailed: it is, and has not ended well.
            EntityRefused, ParentsUnknown: it was refused, or has no parents itself; then its children are out of reach as well.

        """
        if name not in self._ended:
            return False
        event, errors = self._ended[name]
        await event.wait()
        for error in errors:
            text, hint, place = f"its parents, {name}, could not be read", f"see the error of {name}", waiting.name
            if isinstance(error, EntityRefused):
                raise EntityRefused(text, status=error.status, hint=hint, entity=place)
            raise (ParentsUnknown if isinstance(error, ParentsUnknown) else EntityFailed)(text, hint=hint, entity=place)
        return True

    async def lake_tables(self, entity: Entity, columns: Sequence[str], *, since: datetime | None = None) -> AsyncIterator[pa.Table]:
        """Yield some columns of the committed rows of an entity, file by file; `since`: of commits from that time on, by our clock."""
        for path in await self._lake_paths(entity, since):
            yield await anyio.to_thread.run_sync(self._columns_of, path, columns)

    async def _lake_paths(self, entity: Entity, since: datetime | None) -> list[str]:
        if since is None:
            await self.lake_files.load(entity.name)
            return [file.path for file in self.lake_files.files(entity.name, self.tenant, None)]
        found: list[str] = []
        for path in reversed(self.manifests.paths(entity.name)):
            manifest = await self.manifests.read(path)
            if manifest.committed_at < since:
                break
            await self.lake_files.know(manifest.files)
            found += [file.path for file in manifest.files if file.path.endswith(".parquet")]
        return found

    def _columns_of(self, path: str, columns: Sequence[str]) -> pa.Table:
        """Return columns of a file; one that an older file does not have is null there."""
        with self.lake_files.open(path) as source, pq.ParquetFile(source) as file:
            table = file.read(columns=[name for name in columns if name in file.schema_arrow.names])
            for name in columns:
                if name not in table.schema.names:
                    table = table.append_column(name, pa.nulls(table.num_rows))
            return table

    def open_window(self, entity: Entity, lower: datetime | None) -> Window | None:
        """Return the open window for reading a list from a time on, None for all of it."""
        if entity.paging is None or entity.paging.modified_from is None:
            return None
        if lower is None:
            return Window(BEGINNING) if entity.paging.needs_window else None
        return Window(lower)

    # -- reports

    def report_columns(self, name: str) -> tuple[Column, ...]:
        """Return the columns that are pinned for a report."""
        return self.pinned.columns(name)

    async def pin_report(self, entity: Entity) -> None:
        """Pin the types of a report's columns that are not pinned yet."""
        await self.pinned.pin(entity)

    # -- events

    def asks(self, entity: Entity, scope: Scope, position: Position) -> None:
        """Tell the window that the pass under way brings: a backfill's own, else from the position before it to the pass's start."""
        assert position.current is not None  # noqa: S101 -- a pass is under way
        started = position.current.started
        start = scope.start if scope.is_backfill else position.watermark or self.history_start(entity)
        event = WindowOpened(at=self.clock.now(), tenant=self.tenant, entity=entity.name, window=(start, scope.end or started))
        self.events.emit(event)

    def expect(self, entity: Entity, rows: int | None) -> None:
        """Tell how many rows an entity is about to bring."""
        if rows is not None:
            event = EntityStarted(at=self.clock.now(), tenant=self.tenant, entity=entity.name, kind=entity.kind, rows_expected=rows)
            self.events.emit(event)

    def note(self, level: Literal["debug", "info", "warning", "error"], text: str, entity: Entity) -> None:
        """Tell something worth a line in the log."""
        self.events.emit(Noted(at=self.clock.now(), level=level, text=text, tenant=self.tenant, entity=entity.name))

    def close(self) -> None:
        """Free what the entities' shelves hold."""
        for shelf in self._shelves.values():
            shelf.close()

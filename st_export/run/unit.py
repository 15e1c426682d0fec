"""An open unit: pages in, decoded, held in bounded memory; then what the lake lacks of it, written and committed.

How a unit is held against the lake depends on how it was read: by `versions` (feeds, windows of lists), `whole` (everything, or all
children of some parents) or as a `snapshot` (no key). All of that is blocking work and runs in worker threads.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from st_export.commit.protocol import Work
from st_export.commit.snapshots import SnapshotRead
from st_export.commit.whole import EVERYTHING, Extent, WholeRead
from st_export.decode.text import Unreadable
from st_export.errors import PageUnreadable, StExportError
from st_export.events import PageDecoded
from st_export.flow import Unit
from st_export.plan.watermark import with_newest
from st_export.write.batches import UnitRows
from st_export.write.parquet import ParquetFiles, Place
from st_export.write.partition import nested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from st_export.catalog.entity import Entity
    from st_export.commit.versions import UnitVersions
    from st_export.decode.decoder import Decoded
    from st_export.flow import DataFile, Json, Page, Position, Reject, Window
    from st_export.run.parts import Parts
    from st_export.run.readers.rows import RowCheck
    from st_export.run.scope import Scope
    from st_export.run.shelf import Shelf

Reading = Literal["versions", "whole", "snapshot"]

DECODE_TRIES = 3
"""How often a page whose records cannot be decoded is asked again."""

MOST_REJECT_BYTES = 16 << 20
"""Rejected records of a unit that are kept; a unit with more is a page problem, and fails."""


@dataclass(frozen=True, slots=True)
class UnitWork:
    """What an open unit is about: `asked` are the groups of a snapshot, `extent` is what a whole reading covers."""

    unit: Unit
    reading: Reading = "versions"
    window: Window | None = None
    check: RowCheck | None = None
    asked_day: date | None = None
    asked: Sequence[Mapping[str, Json]] | None = None
    extent: Extent = EVERYTHING


@dataclass(slots=True)
class _Learnt:
    """What some pages brought beside their rows."""

    rejects: list[Reject] = field(default_factory=list)
    reject_bytes: int = 0
    pages: int = 0
    json_bytes: int = 0
    newest: datetime | None = None

    def add(self, more: _Learnt) -> None:
        self.rejects += more.rejects
        self.reject_bytes += more.reject_bytes
        self.pages += more.pages
        self.json_bytes += more.json_bytes
        self.newest = max((one for one in (self.newest, more.newest) if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where a reader stood before a page, and the name of a unit that begins with it."""

    position: Position
    label: str


class OpenUnit:
    """Collects the rows of one unit and commits them. `discard` it where it is not committed."""

    def __init__(self, parts: Parts, shelf: Shelf, work: UnitWork) -> None:
        self._parts = parts
        self._shelf = shelf
        self._work = work
        self._settled = _Learnt()
        self._newest = _Learnt()
        self._newest_start: PageStart | None = None
        self._began = parts.clock.monotonic_seconds()
        self._rows = UnitRows(
            shelf.schema, shelf.key_order, shelf.partitioning(work.asked_day), parts.stamp, parts.shared.rows_budget, parts.spool
        )

    @property
    def unit(self) -> Unit:
        """What is committed, by name."""
        return self._work.unit

    @property
    def pages(self) -> int:
        """Pages taken whole."""
        return self._settled.pages + self._newest.pages

    @property
    def json_bytes(self) -> int:
        """Bytes of JSON taken."""
        return self._settled.json_bytes + self._newest.json_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of rows taken, as Arrow holds them."""
        return self._rows.bytes

    @property
    def is_room_short(self) -> bool:
        """Whether all units together hold so much that what can be written should be."""
        return self._parts.shared.are_rows_many

    @property
    def open_seconds(self) -> float:
        """Seconds since the unit was opened."""
        return self._parts.clock.monotonic_seconds() - self._began

    @property
    def partitions(self) -> int:
        """Partitions that have rows."""
        return len(self._rows.partitions())

    def covers(self, extent: Extent, asked: Sequence[Mapping[str, Json]]) -> None:
        """Say what was read: the parents whose children a whole reading has seen all, or the groups of a snapshot that were answered."""
        self._work = replace(self._work, extent=extent, asked=asked)

    @property
    def lies_in_days(self) -> bool:
        """Whether a partition is a day."""
        return self._shelf.partition_kind == "day"

    @property
    def can_leave_newest(self) -> bool:
        """Whether the newest partition may be left to the next unit, so that it does not fall into files of both."""
        is_begun = self._newest_start is not None and self._settled.pages > 0  # else the position would not move
        return is_begun and self.lies_in_days and self.partitions > 1 and not self._rows.has_spilled

    async def leave_newest(self, to: OpenUnit) -> Position:
        """Move the rows of the newest partition to the unit that goes on from here; return the position for the commit of this one.

        The position is before the first page with rows that were moved: should they be lost with the process, they are read again.
        """
        assert self._newest_start is not None  # noqa: S101 -- `can_leave_newest`
        await self._parts.shared.run_decode(self._rows.cut_newest, to._rows)
        to._newest, self._newest = self._newest, _Learnt()
        return self._newest_start.position

    @property
    def newest_label(self) -> str:
        """Return the name of a unit that begins with the first page that has rows of the newest partition."""
        assert self._newest_start is not None  # noqa: S101 -- `can_leave_newest`
        return self._newest_start.label

    async def take(self, page: Page, *, seen: Callable[[pa.RecordBatch], object] | None = None, start: PageStart | None = None) -> None:
        """Decode a page and add its rows.

        Args:
            page: taken whole, or not at all.
            seen: called with every batch of its rows, in a worker thread.
            start: where the reader stood before the page, where it knows how to go on from the midst of a unit.

        Raises:
            PageUnreadable: its records cannot be decoded, and asking again did not help.
            EntityFailed: the service did not honour a filter.

        """
        newest = self._rows.newest
        rows, rescued, rejected, learnt = await self._decoded(page, seen)
        if self._rows.newest != newest:
            self._settled.add(self._newest)
            self._newest, self._newest_start = learnt, start
        else:
            self._newest.add(learnt)
        entity, clock = self._shelf.entity.name, self._parts.clock
        self._parts.events.emit(
            PageDecoded(at=clock.now(), tenant=self._parts.tenant, entity=entity, rows=rows, rescued=rescued, rejected=rejected)
        )

    async def _decoded(self, page: Page, seen: Callable[[pa.RecordBatch], object] | None) -> tuple[int, int, int, _Learnt]:
        tries = 1
        while True:
            try:
                await self._parts.shared.rows_room()
                return await self._parts.shared.run_decode(self._decode, page, seen)
            except Unreadable as error:
                if tries == DECODE_TRIES:
                    raise self._unreadable(page, error) from error
            tries += 1
            await self._parts.source.again(page)

    async def commit(self, move: Callable[[Position], Position], binaries: Sequence[DataFile] = ()) -> None:
        """Write what the lake lacks of the unit and commit it, with the position that `move` makes of the present one.

        `binaries` are files that the rows are about; they are committed with them.

        Raises:
            StoreError, CommitRefused, CommitUnknown, LockLost: as the commit says.

        """
        try:
            if not self._rows.rows and self._work.reading == "versions":
                await self._land((), move)
                return
            await self._parts.lake_files.load(self._shelf.entity.name)
            async with AsyncExitStack() as held:
                questions: UnitVersions | None = None
                if self._work.reading == "versions":
                    await held.enter_async_context(self._shelf.versions.reserved(self._rows.partitions()))
                    questions = self._shelf.versions.unit()
                else:
                    await held.enter_async_context(self._shelf.whole_lock)
                writer = self._writer()
                try:
                    # A whole reading keeps its rows until it is compared with the lake, which may take long: nobody waits for that.
                    with self._parts.shared.frees_rows() if questions is not None else nullcontext():
                        files = await self._parts.shared.run_write(self._write, writer, questions)
                    await self._land(files, move, binaries)
                    if questions is not None:
                        questions.committed(files)
                finally:
                    writer.discard()
        finally:
            self.discard()

    def discard(self) -> None:
        """Free what the unit holds; may be called again."""
        self._rows.discard()

    # -- in worker threads

    def _decode(self, page: Page, seen: Callable[[pa.RecordBatch], object] | None) -> tuple[int, int, int, _Learnt]:
        rows = rescued = rejected = 0
        learnt = _Learnt(pages=1, json_bytes=len(page.body))
        pieces: Iterable[Decoded] = self._shelf.decoder.decode(page)
        if self._work.reading == "snapshot":  # rows count there: a page that fails half-way must leave none behind
            pieces = list(pieces)
        for decoded in pieces:
            batch = self._work.check(decoded.batch) if self._work.check else decoded.batch
            if seen is not None:
                seen(decoded.batch)
            self._keep_rejects(decoded, learnt)
            self._note_newest(decoded.batch, learnt)
            if batch.num_rows:
                self._rows.add(batch, page.received_at)
            rows += batch.num_rows
            rescued += decoded.rescued
            rejected += len(decoded.rejects)
        return rows, rescued, rejected, learnt

    def _note_newest(self, rows: pa.RecordBatch, learnt: _Learnt) -> None:
        column = self._shelf.entity.modified or self._shelf.entity.created
        moments = nested(rows, column) if column is not None else None
        if moments is None or not pa.types.is_timestamp(moments.type):
            return
        newest: datetime | None = pc.max(moments).as_py()
        if newest is not None and (learnt.newest is None or newest > learnt.newest):
            learnt.newest = newest

    def _keep_rejects(self, decoded: Decoded, learnt: _Learnt) -> None:
        before = self._settled.reject_bytes + self._newest.reject_bytes
        for reject in decoded.rejects:
            learnt.reject_bytes += len(reject.raw)
            if before + learnt.reject_bytes > MOST_REJECT_BYTES:
                raise Unreadable(f"more than {MOST_REJECT_BYTES >> 20} MB of records that are no rows: {reject.reason}")
            learnt.rejects.append(reject)

    def _write(self, writer: ParquetFiles, questions: UnitVersions | None) -> tuple[DataFile, ...]:
        try:
            return self._write_all(writer, questions)
        finally:
            self._parts.shared.freed_memory.add(self._rows.bytes)

    def _write_all(self, writer: ParquetFiles, questions: UnitVersions | None) -> tuple[DataFile, ...]:
        if questions is not None:
            for piece in self._rows.slices():
                writer.write(piece.partition, questions.fresh(piece.partition, piece.table))
            self._rows.discard()  # here, not in the event loop: giving megabytes back takes milliseconds
            return writer.finish()
        changes = self._whole_changes() if self._work.reading == "whole" else self._snapshot_changes()
        return self._write_changes(writer, changes)

    def _write_changes(self, writer: ParquetFiles, changes: Iterable[pa.Table]) -> tuple[DataFile, ...]:
        """Write rows that come in any order: through the partitions again."""
        with self._parts.rows_for(self._shelf, self._work.asked_day) as changed:
            for table in changes:
                changed.add_complete(table)
            for piece in changed.slices():
                writer.write(piece.partition, piece.table)
            return writer.finish()

    def _whole_changes(self) -> Iterator[pa.Table]:
        reader = WholeRead(self._shelf.columns, self._parts.lake_files, self._parts.make_spill, self._parts.origin())
        return reader.changes(self._rows.tables(), rows=self._rows.rows, size=self._rows.bytes, extent=self._work.extent)

    def _snapshot_changes(self) -> Iterator[pa.Table]:
        reader = SnapshotRead(self._shelf.columns, self._parts.lake_files, self._parts.make_spill, self._parts.origin())
        partition = self._shelf.partition_of(self._work.asked_day)
        return reader.changes(self._rows.tables, rows=self._rows.rows, size=self._rows.bytes, asked=self._work.asked, partition=partition)

    # -- the commit

    def _writer(self) -> ParquetFiles:
        unit = self._work.unit
        place = Place(unit.entity, unit.tenant, self._shelf.partition_kind, unit.name)
        return ParquetFiles(place, self._shelf.schema, self._shelf.order, self._parts.file_format, self._parts.spool)

    async def _land(self, files: tuple[DataFile, ...], move: Callable[[Position], Position], binaries: Sequence[DataFile] = ()) -> None:
        learnt = _Learnt()
        learnt.add(self._settled)
        learnt.add(self._newest)
        work = Work(
            self._work.unit,
            (*binaries, *files),
            self._shelf.column_texts if files else (),
            self._work.window,
            tuple(learnt.rejects),
            self._rows.rescued if files else 0,
        )
        await self._parts.committer.commit(work, lambda old: with_newest(old, move(old), learnt.newest))
        self._parts.lake_files.added(self._shelf.entity.name, files)
        self._parts.rejected[self._shelf.entity.name] += len(work.rejects)

    def _unreadable(self, page: Page, error: Exception) -> StExportError:
        return PageUnreadable(
            f"the records of a page cannot be decoded: {error}",
            body=page.body,
            request=page.request.describe(),
            hint="the page is kept in the rejects; the position is before it, so that the next run asks it again",
            tenant=self._parts.tenant,
            entity=self._shelf.entity.name,
        )


def new_unit(
    parts: Parts,
    entity: Entity,
    scope: Scope,
    epoch: int,
    label: str,
    *,
    window: Window | None = None,
    check: RowCheck | None = None,
    reading: Reading = "versions",
    asked_day: date | None = None,
    constants: Mapping[str, Json] | None = None,
) -> OpenUnit:
    """Open a unit of an entity; `constants` tell the one group of a snapshot, until `OpenUnit.covers` says otherwise."""
    unit = Unit(parts.tenant, entity.name, scope.name, epoch, label)
    return OpenUnit(parts, parts.shelf(entity), UnitWork(unit, reading, window, check, asked_day, [dict(constants or {})]))

"""The rows of one unit until it is committed: in memory while they are few, on the local disk beyond that.

Rows come in any order and leave as slices: partition by partition, inside a partition in ascending ranges of the key's first
column, so that a slice holds all rows of its keys and the slices of a partition, sorted one by one, are sorted as a whole.
A unit that outgrows its part, or meets a short budget, moves what it holds to a file in the order of arrival. Reading that
back takes two moves, because only then is it known which partitions are large: the rows are spread over groups of the size of
a slice, then read group by group.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from st_export.write.order import in_order
from st_export.write.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from st_export.flow import RunId, TenantId
    from st_export.write.budget import ByteBudget
    from st_export.write.partition import Partitioning

PART_BYTES = 16 << 20
"""What one unit holds in memory: more makes no faster files, and dozens of units are open at once."""

SLICE_BYTES = 8 << 20
"""A slice in memory: large enough for good row groups, small enough to be held thrice (rows, sorted, compared)."""

SPILL_BATCH_BYTES = 4 << 20
"""Rows are put together to batches of this size on their way to disk: pages of a few rows would cost more in frames."""

SPREAD_BYTES = 8 << 20
"""Rows that are spread over groups in one step."""

SAMPLES = 50_000
"""Keys looked at to cut a large partition into ranges."""

OWN_COLUMNS = ("_tenant_id", "_exported_at", "_run_id", "_deleted")
"""What is added here; `_rescued`, `_parent_id` and the like come with the rows."""

_PARTITION = "_partition_number"


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of one partition, all columns; `partition` as it stands in the path, None for `none`."""

    partition: str | None
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is the same for all rows of a run and tenant."""

    tenant: TenantId
    run: RunId


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    bytes: float = 0.0


class UnitRows:
    """Collects the rows of one unit. Used by one thread at a time; `discard` it in the end, whatever happened.

    Args:
        schema: all columns of the entity's files, the order included.
        order: the columns that rows are sorted by in their files, the key first; none for snapshots.
        partitioning: where rows lie.
        stamp: tenant and run.
        budget: shared by all units.
        spool: a local folder for temporary files; called on first use.
        part_bytes: what this unit may hold in memory.
        slice_bytes: what a slice holds, unless a single first key has more rows.

    """

    def __init__(
        self,
        schema: pa.Schema,
        order: tuple[str, ...],
        partitioning: Partitioning,
        stamp: Stamp,
        budget: ByteBudget,
        spool: Path,
        *,
        part_bytes: int = PART_BYTES,
        slice_bytes: int = SLICE_BYTES,
    ) -> None:
        self.schema = schema
        self.rows = 0
        self.bytes = 0
        self.rescued = 0
        self.has_spilled = False
        self._order = order
        self._first_key = order[0] if order else None
        self._partitioning = partitioning
        self._stamp = stamp
        self._budget = budget
        self._spool = spool
        self._part_bytes = part_bytes
        self._slice_bytes = slice_bytes
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._tallies: dict[int, _Tally] = {}
        self._newest_from = 0
        self._last_exported = 0
        self._inner = schema.append(pa.field(_PARTITION, pa.int32(), nullable=False))
        self._spill: Spill | None = None
        self._groups: Spill | None = None

    def add(self, batch: pa.RecordBatch, exported_at: datetime) -> None:
        """Take rows as they were decoded: every column of the schema but the four that are added here.

        Args:
            batch: the rows.
            exported_at: when they were received. Kept apart by at least a microsecond from the rows before, so that of
                two rows with one key and `modifiedOn` the later is the current one.

        Raises:
            ValueError: the columns are not those of the schema.
            OSError: the spool is full.

        """
        moment = max(int(pa.scalar(exported_at, pa.timestamp("us", "UTC")).value), self._last_exported + 1)
        self._last_exported = moment
        self.add_complete(self._stamped(batch, moment))

    def add_complete(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Take rows that have all columns already. Raises `ValueError` for another schema, `OSError` for a full spool."""
        if not rows.schema.equals(self.schema):
            raise ValueError(f"rows of another schema: {_difference(rows.schema, self.schema)}")
        batches = rows.to_batches() if isinstance(rows, pa.Table) else [rows]
        for batch in batches:
            if batch.num_rows:
                self._take(batch)

    @property
    def newest(self) -> int | None:
        """Return the number of the newest partition that has rows, None without rows."""
        return max(self._tallies, default=None)

    def cut_newest(self, to: UnitRows) -> None:
        """Move the rows of the newest partition to another unit of the same entity; of what has moved to disk, nothing."""
        number = self.newest
        if self._spill is not None or number is None:
            return
        tail, self._held = self._held[self._newest_from :], self._held[: self._newest_from]
        to._last_exported = max(to._last_exported, self._last_exported)
        for batch in tail:
            self._forget(batch)
        for batch in tail:
            is_newest = pc.equal(batch.column(_PARTITION), number)
            moved, kept = batch.filter(is_newest), batch.filter(pc.invert(is_newest))
            if kept.num_rows:
                self._hold(kept)
            if moved.num_rows:
                to._hold(moved)

    def partitions(self) -> tuple[str | None, ...]:
        """Return the partitions that have rows, sorted, as they stand in paths."""
        return self._partitioning.texts(sorted(self._tallies))

    def slices(self) -> Iterator[Slice]:
        """Yield all rows: partitions in order, and in each the ranges of keys in order. May be called again.

        Each slice is counted in the budget while the caller works on it. Raises `OSError` where the spool is full.
        """
        for table in self._grouped():
            size = table.nbytes
            self._budget.take(size)
            try:
                yield from self._by_partition(table)
            finally:
                self._budget.give(size)
            del table  # before the next one is read

    def tables(self) -> Iterator[pa.Table]:
        """Yield all rows as `slices` does, without their partitions. May be called again."""
        for piece in self.slices():
            yield piece.table

    def discard(self) -> None:
        """Free memory and disk; may be called again."""
        self._held.clear()
        self._budget.give(self._held_bytes)
        self._held_bytes = 0
        self._tallies.clear()
        for spill in (self._spill, self._groups):
            if spill is not None:
                spill.discard()
        self._spill = self._groups = None

    def _stamped(self, batch: pa.RecordBatch, moment: int) -> pa.RecordBatch:
        count = batch.num_rows
        own = {
            "_tenant_id": pa.scalar(self._stamp.tenant, pa.int64()),
            "_exported_at": pa.scalar(moment, pa.timestamp("us", "UTC")),
            "_run_id": pa.scalar(self._stamp.run, pa.string()),
            "_deleted": pa.scalar(value=False, type=pa.bool_()),
        }
        missing = [name for name in self.schema.names if name not in own and name not in batch.schema.names]
        if missing or batch.num_columns + len(own) != len(self.schema):
            raise ValueError(f"rows of another schema: {_difference(batch.schema, self.schema)}")
        columns = [pa.repeat(own[name], count) if name in own else batch.column(name) for name in self.schema.names]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _take(self, batch: pa.RecordBatch) -> None:
        numbers = self._partitioning.numbers(batch)
        arrays = [*batch.columns, pa.array(numbers, pa.int32())]
        self._hold(_compact(pa.RecordBatch.from_arrays(arrays, schema=self._inner)))

    def _hold(self, batch: pa.RecordBatch) -> None:
        newest, size = self.newest, batch.nbytes
        self._count(batch, size, 1)
        if newest != self.newest:
            self._newest_from = len(self._held)
        self._held.append(batch)
        self._held_bytes += size
        has_room = self._budget.take(size)
        if not has_room or self._held_bytes > self._part_bytes:
            self._move_to_disk()

    def _forget(self, batch: pa.RecordBatch) -> None:
        size = batch.nbytes
        self._count(batch, size, -1)
        self._held_bytes -= size
        self._budget.give(size)

    def _count(self, batch: pa.RecordBatch, size: int, sign: int) -> None:
        found, counts = np.unique(batch.column(_PARTITION).to_numpy(), return_counts=True)
        for number, count in zip(found.tolist(), counts.tolist(), strict=True):
            tally = self._tallies.setdefault(number, _Tally())
            tally.rows += sign * count
            tally.bytes += sign * size * count / batch.num_rows
            if not tally.rows:
                del self._tallies[number]
        self.rescued += sign * (batch.num_rows - batch.column("_rescued").null_count)
        self.rows += sign * batch.num_rows
        self.bytes += sign * size

    def _move_to_disk(self) -> None:
        if self._spill is None:
            self._spill = Spill(self._spool, self._inner)
        self.has_spilled = True
        for piece in _pieces(self._held, SPILL_BATCH_BYTES):
            self._spill.append(0, piece)
        self._held.clear()
        self._budget.give(self._held_bytes)
        self._held_bytes = 0

    def _grouped(self) -> Iterator[pa.Table]:
        if self._spill is None:
            if self._held:
                yield pa.Table.from_batches(self._held)
            return
        if self._held:
            self._move_to_disk()
            if self._groups is not None:
                self._groups.discard()
                self._groups = None
        if self._groups is None:
            self._groups = self._spread(self._spill)
        for group in self._groups.buckets():
            yield pa.Table.from_batches(self._groups.read(group), schema=self._inner)

    def _by_partition(self, table: pa.Table) -> Iterator[Slice]:
        if pc.count_distinct(table.column(_PARTITION)).as_py() > 1:
            table = in_order(table, (_PARTITION, *self._order))  # one for all partitions: moving a few rows costs as much as many
        numbers = table.column(_PARTITION).to_numpy()
        table = table.drop_columns([_PARTITION])
        for start, end in _runs(numbers):
            yield Slice(self._partitioning.text(int(numbers[start])), table.slice(start, end - start))

    def _spread(self, spill: Spill) -> Spill:
        plan = _Plan(self._tallies, self._slice_bytes)
        for number, ranges in plan.large.items():
            plan.bounds[number] = self._bounds(spill, number, ranges)
        groups = Spill(self._spool, self._inner)
        try:
            for piece in _pieces(spill.read(0), SPREAD_BYTES):
                ids = plan.groups(piece, self._first_key)
                order = np.argsort(ids, kind="stable")
                ordered = ids[order]
                rows = piece.take(pa.array(order))
                for start, end in _runs(ordered):
                    groups.append(int(ordered[start]), rows.slice(start, end - start))
        except BaseException:
            groups.discard()
            raise
        return groups

    def _bounds(self, spill: Spill, number: int, ranges: int) -> pa.Array | None:
        """Return the lower ends of all ranges but the first, from a sample of the keys; None without a key."""
        if self._first_key is None:
            return None
        step = max(1, self._tallies[number].rows // SAMPLES)
        samples = []
        for batch in spill.read(0, [self._first_key, _PARTITION]):
            keys = batch.column(self._first_key).filter(pc.equal(batch.column(_PARTITION), number))
            samples.append(keys.take(pa.array(np.arange(0, len(keys), step))))
        keys = pa.chunked_array(samples).combine_chunks()
        keys = keys.take(pc.array_sort_indices(keys))
        places = np.linspace(0, len(keys), ranges, endpoint=False).astype(np.int64)[1:]
        return pc.unique(keys.take(pa.array(places)))


def _compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the same rows in one block of memory: hundreds of small ones that stay keep what lies between them from being used again."""
    return pa.ipc.read_record_batch(batch.serialize(), batch.schema)


class _Plan:
    """Which group each row goes to: small partitions share a group, large ones are cut into ranges of the key."""

    def __init__(self, tallies: dict[int, _Tally], slice_bytes: int) -> None:
        self.large: dict[int, int] = {}
        self.bounds: dict[int, pa.Array | None] = {}
        self._numbers = np.array(sorted(tallies), dtype=np.int32)
        self._first = np.zeros(len(self._numbers), dtype=np.int64)
        self._seen: dict[int, int] = {}
        self._rows = {number: tallies[number].rows for number in tallies}
        group, filled = 0, 0.0
        for index, number in enumerate(self._numbers.tolist()):
            size = tallies[number].bytes
            if filled and filled + size > slice_bytes:
                group, filled = group + 1, 0.0
            self._first[index] = group
            filled += size
            if size > slice_bytes:
                self.large[number] = int(-(-size // slice_bytes))
                group, filled = group + self.large[number], 0.0

    def groups(self, rows: pa.RecordBatch, first_key: str | None) -> np.ndarray:
        numbers = rows.column(_PARTITION).to_numpy()
        ids: np.ndarray = self._first[np.searchsorted(self._numbers, numbers)]
        for number, bounds in self.bounds.items():
            here = np.flatnonzero(numbers == number)
            if len(here):
                ids[here] += self._ranges(rows, number, here, bounds, first_key)
        return ids

    def _ranges(self, rows: pa.RecordBatch, number: int, here: np.ndarray, bounds: pa.Array | None, first_key: str | None) -> np.ndarray:
        if bounds is None or first_key is None:
            before = self._seen.get(number, 0)
            self._seen[number] = before + len(here)
            places: np.ndarray = np.arange(before, before + len(here), dtype=np.int64)
            return places * self.large[number] // self._rows[number]
        keys = rows.column(first_key).take(pa.array(here))
        ranges: np.ndarray = np.zeros(len(here), dtype=np.int64)
        for bound in bounds:
            ranges += pc.greater_equal(keys, bound).to_numpy(zero_copy_only=False)
        return ranges


def _pieces(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """Put batches together up to about `size` bytes."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.nbytes
        if held >= size:
            piece = waiting[0] if len(waiting) == 1 else pa.concat_batches(waiting)
            waiting, held = [], 0
            yield piece
            del piece
    if waiting:
        yield waiting[0] if len(waiting) == 1 else pa.concat_batches(waiting)


def _runs(ordered: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch of equal numbers."""
    return pairwise([0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)])


def _difference(given: pa.Schema, wanted: pa.Schema) -> str:
    known = {field.name: field for field in wanted}
    wrong = [f"{field.name} {field.type}" for field in given if field.name not in known or known[field.name].type != field.type]
    names = set(given.names)
    lacking = [name for name in wanted.names if name not in names and name not in OWN_COLUMNS]
    return f"unknown or of another type: {wrong or 'none'}; missing: {lacking or 'none'}; or the order or nullability differs"

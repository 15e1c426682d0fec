"""What is read whole each time, held against the lake: new and changed rows, and a tombstone for each key that is gone.

The lake's current row of a key is the newest by its modification time, then by `_exported_at`; there is none where a tombstone is
later than all rows. A row that was read is written

- if the lake does not hold its version;
- or if it holds it, but not as the current one: the newest row read of a key that has changed back, or that returns after a
  tombstone. (An older version than the current one is not written twice: it would never become the current one.)

Rows written are later by `_exported_at` than all that the lake has of their key, whatever the machine's clock did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from st_export.commit.lakerows import RowColumns, lake_rows, repeated, times_of
from st_export.commit.pairs import PIECE_BYTES, MakeBuckets, Origin, paired, pieces_for
from st_export.commit.sameness import equal_rows, row_hashes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from st_export.commit.lakerows import LakeReader
    from st_export.commit.sameness import Mask

_NEVER = -(1 << 62)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a reading has covered, so that what it does not show is gone.

    `everything`: all of the entity. Else only the children of `parents`, values of `column` (none: a key may always be
    elsewhere, nothing is gone); of a column of lists, such as `_parent_ids`, they are texts with `/` between the items.
    """

    everything: bool
    parents: frozenset[int] | frozenset[str] = frozenset()
    column: str = "_parent_id"


EVERYTHING = Extent(everything=True)
NOTHING = Extent(everything=False)


class WholeRead:
    """Holds one reading of an entity with a key against the lake.

    Args:
        columns: how the entity's rows are told apart.
        reader: the committed files of the lake.
        make_buckets: for sets that are too large for memory.
        origin: what tombstones bear.

    """

    def __init__(
        self, columns: RowColumns, reader: LakeReader, make_buckets: MakeBuckets, origin: Origin, *, piece_bytes: int = PIECE_BYTES
    ) -> None:
        self.changed = 0
        self.gone = 0
        self._columns = columns
        self._reader = reader
        self._make = make_buckets
        self._origin = origin
        self._piece_bytes = piece_bytes

    def changes(self, read: Iterable[pa.Table], *, rows: int, size: int, extent: Extent) -> Iterator[pa.Table]:
        """Yield what is to be written, in all columns. Blocking.

        Args:
            read: all rows of the reading, in all columns; the rows of a key in one table, by time and then as they came.
            rows: how many.
            size: their bytes in memory.
            extent: what the reading covered.

        Raises:
            StoreError: a file of the lake cannot be read.
            OSError: the spool is full.

        """
        columns = self._columns
        files = self._reader.files(columns.entity, columns.tenant, None)
        if not files:
            yield from self._first(read)
            return
        total = rows + sum(file.rows for file in files)
        relaxed = _relaxed(columns.schema)
        sides = (batch for table in read for batch in table.to_batches()), lake_rows(self._reader, files, columns.schema)
        pieces = pieces_for(total, size, rows, self._piece_bytes)
        for new, lake in paired(*sides, (columns.schema, relaxed), self._key_hashes, pieces, self._make):
            yield from self._compared(new, lake, extent)

    def _first(self, read: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield all rows but repeats: there is nothing to hold them against."""
        nothing = pa.RecordBatch.from_pylist([], schema=_relaxed(self._columns.schema))
        for table in read:
            batches = table.to_batches()
            if batches:
                yield from self._compared(pa.concat_batches(batches), nothing, NOTHING)

    def _key_hashes(self, rows: pa.RecordBatch) -> np.ndarray:
        return row_hashes([rows.column(name) for name in self._columns.key], rows.num_rows)

    def _compared(self, new: pa.RecordBatch, lake: pa.RecordBatch, extent: Extent) -> Iterator[pa.Table]:
        if new.num_rows:
            repeats = repeated(new, self._columns.hashes(new), self._columns)
            new = new.filter(pa.array(~repeats)) if repeats.any() else new
        keys = _key_numbers(new, lake, self._columns.key)
        history = _History(lake, keys[new.num_rows :], int(keys.max(initial=-1)) + 1, self._columns)
        written = self._written(new, keys[: new.num_rows], lake, history)
        if len(written):
            self.changed += len(written)
            yield self._later(new.take(pa.array(written)), keys[written], history)
        is_seen = np.zeros(history.keys, dtype=bool)
        is_seen[keys[: new.num_rows]] = True
        gone = np.flatnonzero(~is_seen & (history.current >= 0))
        gone = gone[self._covered(lake.take(pa.array(history.current[gone])), extent)]
        if len(gone):
            self.gone += len(gone)
            yield self._tombstones(lake.take(pa.array(history.current[gone])), history.latest[gone])

    def _written(self, new: pa.RecordBatch, keys: np.ndarray, lake: pa.RecordBatch, history: _History) -> np.ndarray:
        """Return the rows to write, oldest first for each key."""
        held, is_current = self._held(new, keys, lake, history)
        times = times_of(new, self._columns.modified)
        order = np.lexsort((np.arange(len(keys)), times, keys))
        is_last = np.ones(len(keys), dtype=bool)
        is_last[:-1] = keys[order][1:] != keys[order][:-1]
        is_newest = np.zeros(len(keys), dtype=bool)
        is_newest[order[is_last]] = True
        unchanged = np.zeros(history.keys, dtype=bool)
        unchanged[keys[is_current]] = True
        current = history.current[keys]
        would_be_current = (current < 0) | (times >= history.times[current] if lake.num_rows else True)
        write = ~held | (is_newest & ~unchanged[keys] & would_be_current)
        written: np.ndarray = order[write[order]]
        return written

    def _held(self, new: pa.RecordBatch, keys: np.ndarray, lake: pa.RecordBatch, history: _History) -> tuple[Mask, Mask]:
        """Return which rows the lake holds in their version, and which of them are the current row of their key."""
        held, is_current = np.zeros(len(keys), dtype=bool), np.zeros(len(keys), dtype=bool)
        mine, theirs = self._columns.content(new), self._columns.content(lake)
        new_hashes = row_hashes([pa.array(keys), *mine], len(keys))
        lake_hashes = row_hashes([pa.array(history.numbers), *theirs], lake.num_rows)
        order = np.argsort(lake_hashes, kind="stable")
        first = np.searchsorted(lake_hashes[order], new_hashes, side="left")
        counts = np.searchsorted(lake_hashes[order], new_hashes, side="right") - first
        ours = np.repeat(np.arange(len(keys)), counts)
        others = order[np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())]
        is_row = ~history.deleted[others]
        ours, others = ours[is_row], others[is_row]
        equal = equal_rows(
            [column.take(pa.array(ours)) for column in mine], [column.take(pa.array(others)) for column in theirs], len(ours)
        )
        held[ours[equal]] = True
        is_current[ours[equal & (history.current[keys[ours]] == others)]] = True
        return held, is_current

    def _covered(self, rows: pa.RecordBatch, extent: Extent) -> Mask:
        if extent.everything:
            return np.ones(rows.num_rows, dtype=bool)
        if not extent.parents or extent.column not in rows.schema.names:
            return np.zeros(rows.num_rows, dtype=bool)
        parents = rows.column(extent.column)
        if pa.types.is_list(parents.type):
            parents = pc.binary_join(parents, "/")
        mask: Mask = pc.is_in(parents, value_set=pa.array(list(extent.parents), parents.type)).to_numpy(zero_copy_only=False)
        return mask

    def _later(self, rows: pa.RecordBatch, keys: np.ndarray, history: _History) -> pa.Table:
        """Return the rows, later than what the lake has of their keys and than each other."""
        index = rows.schema.get_field_index("_exported_at")
        own = rows.column(index).cast(pa.int64()).to_numpy()
        starts = np.append([True], keys[1:] != keys[:-1])
        nth = np.arange(len(keys)) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
        moments = np.maximum(own, history.latest[keys] + 1) + nth
        field = rows.schema.field(index)
        return pa.Table.from_batches([rows.set_column(index, field, pa.array(moments).cast(field.type))], schema=self._columns.schema)

    def _tombstones(self, rows: pa.RecordBatch, latest: np.ndarray) -> pa.Table:
        moments = np.maximum(self._origin.microseconds, latest + 1)
        return tombstones(rows, self._columns.schema, self._columns.key, self._origin, moments)


class _History:
    """What the lake says of each key number: its current row, the times of its rows, and when it was last heard of."""

    def __init__(self, lake: pa.RecordBatch, numbers: np.ndarray, keys: int, columns: RowColumns) -> None:
        self.keys = keys
        self.numbers = numbers
        self.times = times_of(lake, columns.modified)
        self.deleted: Mask = lake.column("_deleted").to_numpy(zero_copy_only=False).astype(bool)
        exported = lake.column("_exported_at").cast(pa.int64()).to_numpy()
        gone, seen = np.full(keys, _NEVER), np.full(keys, _NEVER)
        np.maximum.at(gone, numbers[self.deleted], exported[self.deleted])
        np.maximum.at(seen, numbers[~self.deleted], exported[~self.deleted])
        self.latest = np.maximum(gone, seen)
        self.current = np.full(keys, -1, dtype=np.int64)
        order = np.lexsort((exported, self.times, ~self.deleted, numbers))
        self.current[numbers[order]] = order  # the last one of each key stays
        self.current[(gone > seen) | (seen == _NEVER)] = -1


def tombstones(rows: pa.RecordBatch, schema: pa.Schema, kept: tuple[str, ...], origin: Origin, moments: np.ndarray) -> pa.Table:
    """Return tombstones: of these rows the columns to keep, those of ours, and null in all others.

    Args:
        rows: one for each tombstone.
        schema: all columns.
        kept: the columns that say what is gone.
        origin: tenant and run.
        moments: `_exported_at` of each, in microseconds.

    """
    count = rows.num_rows
    own = {
        "_tenant_id": pa.repeat(pa.scalar(origin.tenant, pa.int64()), count),
        "_exported_at": pa.array(moments.astype(np.int64)).cast(pa.timestamp("us", "UTC")),
        "_run_id": pa.repeat(pa.scalar(origin.run, pa.string()), count),
        "_deleted": pa.repeat(pa.scalar(value=True, type=pa.bool_()), count),
    }
    columns = [
        own[field.name] if field.name in own else rows.column(field.name) if field.name in kept else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _relaxed(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(nullable=True) for field in schema])


def _key_numbers(new: pa.RecordBatch, lake: pa.RecordBatch, key: tuple[str, ...]) -> np.ndarray:
    """Return a number for each key, the same for equal ones, over the rows of both sides."""
    numbers = np.zeros(new.num_rows + lake.num_rows, dtype=np.int64)
    for name in key:
        values = pa.chunked_array([new.column(name), lake.column(name)]).combine_chunks()
        if pa.types.is_list(values.type):  # `_parent_ids`
            values = pc.binary_join(values, "/")
        codes = values.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False).astype(np.int64)
        combined = numbers * (int(codes.max(initial=0)) + 1) + codes
        numbers = np.unique(combined, return_inverse=True)[1].reshape(-1)
    return numbers

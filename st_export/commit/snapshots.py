"""Entities without a key: a reading that differs in anything from the last one of the same window is written whole.

Rows are held against the last snapshot of their group as multisets: order does not count, numbers do. A group is what was asked
for: a window, a parent, a segment, as far as the entity has them. Its last snapshot are the rows with its greatest `_exported_at`, so
all rows of a snapshot bear one. A group that becomes empty is written as one row: null but for the group, `_deleted` true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from st_export.commit.lakerows import RowColumns, lake_rows
from st_export.commit.pairs import PIECE_BYTES, MakeBuckets, Origin, paired, pieces_for
from st_export.commit.sameness import equal_rows, row_hashes
from st_export.commit.whole import tombstones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from st_export.commit.lakerows import LakeFile, LakeReader

GROUP_COLUMNS = ("_window_from", "_window_to", "_parent_id", "_segment")
"""Columns that tell the snapshots of one entity apart."""

_NEVER = -(1 << 62)


class SnapshotRead:
    """Holds one reading of an entity without key against its last one.

    Args:
        columns: the entity and its schema.
        reader: the committed files of the lake.
        make_buckets: for snapshots that are too large for memory.
        origin: what the rows written bear.

    """

    def __init__(
        self, columns: RowColumns, reader: LakeReader, make_buckets: MakeBuckets, origin: Origin, *, piece_bytes: int = PIECE_BYTES
    ) -> None:
        self._columns = columns
        self._reader = reader
        self._make = make_buckets
        self._origin = origin
        self._piece_bytes = piece_bytes
        self._group_schema = pa.schema([columns.schema.field(name) for name in GROUP_COLUMNS if name in columns.schema.names])

    def changes(
        self,
        read: Callable[[], Iterable[pa.Table]],
        *,
        rows: int,
        size: int,
        asked: Sequence[Mapping[str, Any]] | None,
        partition: str | None = None,
    ) -> Iterator[pa.Table]:
        """Yield what is to be written, in all columns: the rows of groups that differ, and a row for each that is empty now.

        Args:
            read: gives all rows of the reading, in all columns; called twice or thrice.
            rows: how many.
            size: their bytes in memory.
            asked: the groups that were asked for, as values of the group's columns; None: all there are, so that a group
                of the lake that was not read is empty.
            partition: where all snapshots of these groups lie, None: anywhere.

        Raises:
            StoreError: a file of the lake cannot be read.
            OSError: the spool is full.

        """
        files = self._reader.files(self._columns.entity, self._columns.tenant, partition)
        groups = _Groups(self._group_schema)
        for batch in lake_rows(self._reader, files, self._narrow()):
            groups.note_lake(batch)
        if asked is not None:
            groups.note_asked(pa.RecordBatch.from_pylist([dict(values) for values in asked], schema=self._group_schema), len(asked))
        for table in read():
            for batch in table.to_batches():
                groups.note_read(batch)
        changed = self._changed(read, groups, files, rows, size)
        for table in read():
            for batch in table.to_batches():
                numbers = groups.numbers(batch)
                chosen = np.flatnonzero(changed[numbers])
                if len(chosen):
                    yield self._stamped(batch.take(pa.array(chosen)), groups.latest[numbers[chosen]])
        empty = groups.emptied(all_asked=asked is None)
        if len(empty):
            moments = np.maximum(self._origin.microseconds, groups.latest[empty] + 1)
            yield tombstones(groups.rows(empty), self._columns.schema, tuple(self._group_schema.names), self._origin, moments)

    def _narrow(self) -> pa.Schema:
        own = [self._columns.schema.field(name) for name in ("_exported_at", "_deleted")]
        return pa.schema([*self._group_schema, *own])

    def _changed(
        self, read: Callable[[], Iterable[pa.Table]], groups: _Groups, files: Sequence[LakeFile], rows: int, size: int
    ) -> np.ndarray:
        """Return for each group whether what was read differs from its last snapshot."""
        changed: np.ndarray = groups.read_rows != groups.lake_rows
        if not (~changed & (groups.read_rows > 0)).any():
            return changed
        columns = self._columns
        relaxed = pa.schema([field.with_nullable(nullable=True) for field in columns.schema])
        mine = (groups.only(batch, ~changed) for table in read() for batch in table.to_batches())
        theirs = (groups.last(batch, ~changed) for batch in lake_rows(self._reader, files, columns.schema))
        pieces = pieces_for(rows + int(groups.lake_rows.sum()), size, rows, self._piece_bytes)
        for new, old in paired(mine, theirs, (columns.schema, relaxed), self._row_hashes, pieces, self._make):
            self._mark(changed, groups, new, old)
        return changed

    def _mark(self, changed: np.ndarray, groups: _Groups, new: pa.RecordBatch, old: pa.RecordBatch) -> None:
        """Mark the groups whose rows in this piece differ: other numbers of rows, or no equal partner in the order of hashes."""
        counts = [np.bincount(groups.numbers(side), minlength=len(changed)) for side in (new, old)]
        changed |= counts[0] != counts[1]
        sides = []
        for side in (groups.only(new, ~changed), groups.only(old, ~changed)):
            numbers, hashes = groups.numbers(side), self._row_hashes(side)
            order = np.lexsort((hashes, numbers))
            sides.append((numbers[order], self._columns.content(side.take(pa.array(order)))))
        numbers = sides[0][0]
        changed[numbers[~equal_rows(sides[0][1], sides[1][1], len(numbers))]] = True

    def _row_hashes(self, rows: pa.RecordBatch) -> np.ndarray:
        return row_hashes(self._columns.content(rows), rows.num_rows)

    def _stamped(self, rows: pa.RecordBatch, latest: np.ndarray) -> pa.Table:
        index = rows.schema.get_field_index("_exported_at")
        field = rows.schema.field(index)
        moments = pa.array(np.maximum(self._origin.microseconds, latest + 1)).cast(field.type)
        return pa.Table.from_batches([rows.set_column(index, field, moments)], schema=self._columns.schema)


class _Groups:
    """The groups of a reading and of the lake, numbered as they are met. Grows with their number, not with the rows."""

    def __init__(self, schema: pa.Schema) -> None:
        self.latest = np.zeros(0, dtype=np.int64)
        self.lake_rows = np.zeros(0, dtype=np.int64)
        self.read_rows = np.zeros(0, dtype=np.int64)
        self._asked = np.zeros(0, dtype=bool)
        self._schema = schema
        self._known: dict[tuple[Any, ...], int] = {}

    def note_lake(self, rows: pa.RecordBatch) -> None:
        numbers = self.numbers(rows)
        exported = rows.column("_exported_at").cast(pa.int64()).to_numpy()
        before = self.latest.copy()
        np.maximum.at(self.latest, numbers, exported)
        self.lake_rows[self.latest > before] = 0
        is_last = (exported == self.latest[numbers]) & ~rows.column("_deleted").to_numpy(zero_copy_only=False).astype(bool)
        self.lake_rows += np.bincount(numbers[is_last], minlength=len(self.lake_rows))

    def note_read(self, rows: pa.RecordBatch) -> None:
        numbers = self.numbers(rows)
        self.read_rows += np.bincount(numbers, minlength=len(self.read_rows))

    def note_asked(self, groups: pa.RecordBatch, count: int) -> None:
        numbers = self.numbers(groups) if len(self._schema) else self._numbered([()] * min(count, 1))
        self._asked[numbers] = True

    def emptied(self, *, all_asked: bool) -> np.ndarray:
        asked = np.ones_like(self._asked) if all_asked else self._asked
        return np.flatnonzero(asked & (self.read_rows == 0) & (self.lake_rows > 0))

    def only(self, rows: pa.RecordBatch, chosen: np.ndarray) -> pa.RecordBatch:
        return rows.filter(pa.array(chosen[self.numbers(rows)]))

    def last(self, rows: pa.RecordBatch, chosen: np.ndarray) -> pa.RecordBatch:
        """Return the rows of the last snapshots of the chosen groups."""
        numbers = self.numbers(rows)
        exported = rows.column("_exported_at").cast(pa.int64()).to_numpy()
        is_row = ~rows.column("_deleted").to_numpy(zero_copy_only=False).astype(bool)
        return rows.filter(pa.array(chosen[numbers] & is_row & (exported == self.latest[numbers])))

    def rows(self, numbers: np.ndarray) -> pa.RecordBatch:
        """Return the group's columns of some groups."""
        values = list(self._known)
        chosen = [values[number] for number in numbers.tolist()]
        columns = [_array([group[place] for group in chosen], field) for place, field in enumerate(self._schema)]
        if columns:
            return pa.RecordBatch.from_arrays(columns, schema=self._schema)
        return pa.RecordBatch.from_arrays([pa.nulls(len(chosen))], names=["_"])

    def numbers(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return each row's group, new ones numbered."""
        if not len(self._schema):
            return np.zeros(rows.num_rows, dtype=np.int64) + (self._numbered([()])[0] if rows.num_rows else 0)
        codes = np.zeros(rows.num_rows, dtype=np.int64)
        plain = []
        for field in self._schema:
            values = rows.column(field.name)
            values = values.cast(pa.int64()) if pa.types.is_timestamp(field.type) else values
            plain.append(values)
            own = values.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False).astype(np.int64)
            codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1].reshape(-1)
        _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
        distinct = zip(*(values.take(pa.array(first)).to_pylist() for values in plain), strict=True)
        return self._numbered(list(distinct))[inverse.reshape(-1)]

    def _numbered(self, groups: list[tuple[Any, ...]]) -> np.ndarray:
        numbers = np.array([self._known.setdefault(group, len(self._known)) for group in groups], dtype=np.int64)
        grown = len(self._known) - len(self.latest)
        if grown:
            self.latest = np.append(self.latest, np.full(grown, _NEVER, dtype=np.int64))
            self.lake_rows = np.append(self.lake_rows, np.zeros(grown, dtype=np.int64))
            self.read_rows = np.append(self.read_rows, np.zeros(grown, dtype=np.int64))
            self._asked = np.append(self._asked, np.zeros(grown, dtype=bool))
        return numbers


def _array(values: list[Any], field: pa.Field) -> pa.Array:
    if pa.types.is_timestamp(field.type):
        return pa.array(values, pa.int64()).cast(field.type)
    return pa.array(values, field.type)

"""The rows of committed files, read piece by piece: by their keys, or whole where they may be equal to others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from st_export.commit.sameness import aligned, equal_rows, row_hashes
from st_export.commit.versionindex import NO_TIME, Range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from st_export.commit.sameness import Hashes, Mask

KEY_ROWS = 65_536
"""Rows of key columns read at once."""

WHOLE_ROWS = 4_096
"""Whole rows read at once: of heavy invoices (5 KB each) 20 MB."""

PAIRS = 8_192
"""Pairs of whole rows compared at once."""

NOT_CONTENT = frozenset({"_tenant_id", "_exported_at", "_run_id", "_deleted"})
"""Columns that are no part of a version."""


class LakeFile(Protocol):
    """A committed data file: its path in the lake and its rows."""

    @property
    def path(self) -> str:
        """Return the path in the lake."""

    @property
    def rows(self) -> int:
        """Return the number of rows."""


class LakeReader(Protocol):
    """The committed files of a lake, for reading in threads. Both methods block and raise `StoreError`."""

    def files(self, entity: str, tenant: int, partition: str | None) -> Sequence[LakeFile]:
        """Return the files of a partition (`2026-11-23`), or of all for None. Only what is committed."""

    def open(self, path: str) -> Any:
        """Return a seekable Arrow file (`pa.NativeFile`), also a context manager, that reads ranges on demand."""


@dataclass(frozen=True)
class RowColumns:
    """How an entity's rows are told apart, and where they lie.

    `schema` is the one of its files today. `modified` may be dotted, None where rows have no such time. `placed_by` are the
    columns of which the first that is not null gives the partition; none for `partition: none`.
    """

    entity: str
    tenant: int
    schema: pa.Schema
    key: tuple[str, ...]
    modified: str | None
    placed_by: tuple[str, ...] = ()

    @cached_property
    def content_schema(self) -> pa.Schema:
        """Return the columns of a version."""
        return pa.schema([field for field in self.schema if field.name not in NOT_CONTENT])

    @cached_property
    def key_schema(self) -> pa.Schema:
        """Return the key's columns."""
        return pa.schema([self.schema.field(name) for name in self.key])

    def content(self, rows: pa.RecordBatch) -> list[pa.Array]:
        """Return the content of rows that have all columns."""
        return [rows.column(name) for name in self.content_schema.names]

    def hashes(self, rows: pa.RecordBatch) -> Hashes:
        """Return a hash of key and modification time for each row."""
        keys = aligned(rows, self.key_schema)
        if keys is None:  # a key of another type equals none of ours: any hash will do
            keys = pa.RecordBatch.from_arrays([pa.nulls(rows.num_rows)] * len(self.key), names=list(self.key))
        return row_hashes([*keys.columns, pa.array(times_of(rows, self.modified))], rows.num_rows)


def times_of(rows: pa.RecordBatch, modified: str | None) -> np.ndarray:
    """Return each row's modification time in microseconds, `NO_TIME` for a missing one."""
    values = _nested(rows, modified) if modified else None
    if values is None or not pa.types.is_timestamp(values.type):
        return np.full(rows.num_rows, NO_TIME, dtype=np.int64)
    microseconds = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())
    times: np.ndarray = pc.fill_null(microseconds, NO_TIME).to_numpy(zero_copy_only=False)
    return times


def time_range(rows: pa.RecordBatch, columns: RowColumns) -> Range:
    """Return the range of the rows' modification times."""
    times = times_of(rows, columns.modified)
    return int(times.min()), int(times.max())


def placed(rows: pa.RecordBatch, columns: RowColumns) -> Mask:
    """Return which rows lie where their content says, and not where the run that wrote them chose."""
    result = np.zeros(rows.num_rows, dtype=bool)
    for name in columns.placed_by:
        values = _nested(rows, name)
        if values is not None and (pa.types.is_timestamp(values.type) or pa.types.is_date32(values.type)):
            result |= values.is_valid().to_numpy(zero_copy_only=False)
    return result


def file_times(metadata: pq.FileMetaData, columns: RowColumns) -> Range | None:
    """Return the range of modification times from a file's footer; None where it does not tell."""
    if columns.modified is None:
        return None
    spans = [_group_times(metadata.row_group(index), columns.modified) for index in range(metadata.num_row_groups)]
    known = [span for span in spans if span is not None]
    if not known or len(known) < len(spans):
        return None
    return min(span[0] for span in known), max(span[1] for span in known)


def lake_rows(reader: LakeReader, files: Sequence[LakeFile], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of files in the columns of a schema, piece by piece; what a file lacks is null."""
    for file in files:
        with reader.open(file.path) as source:
            parquet = pq.ParquetFile(source)
            present = set(parquet.schema_arrow.names)
            names = [name for name in schema.names if name in present]
            for batch in _batches(parquet, WHOLE_ROWS, names):
                rows = aligned(batch, schema, misfits_as_null=True)
                if rows is not None:
                    yield rows


def key_hashes(parquet: pq.ParquetFile, columns: RowColumns) -> Iterator[tuple[Hashes, Range]]:
    """Yield the hashes of a file's rows, tombstones left out, with the range of their modification times."""
    for batch in _batches(parquet, KEY_ROWS, _key_paths(columns)):
        rows = batch.filter(pc.invert(batch.column("_deleted")))
        if rows.num_rows:
            yield columns.hashes(rows), time_range(rows, columns)


class Sought:
    """Rows that are looked for in the lake, and which of them were found there."""

    def __init__(self, rows: pa.RecordBatch, hashes: Hashes, columns: RowColumns) -> None:
        self.columns = columns
        self.held = np.zeros(rows.num_rows, dtype=bool)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self._content = columns.content(rows)
        least_and_most = pc.min_max(rows.column(columns.key[0])) if columns.key else None
        self._keys = (least_and_most["min"].as_py(), least_and_most["max"].as_py()) if least_and_most is not None else None

    def may_be_in(self, group: pq.RowGroupMetaData, times: Range) -> bool:
        """Return whether a row group's statistics leave room for these rows: by their times and their first key column."""
        span = _group_times(group, self.columns.modified) if self.columns.modified else None
        if span is not None and (span[0] > times[1] or times[0] > span[1]):
            return False
        statistics = _statistics(group, self.columns.key[0]) if self.columns.key else None
        if statistics is None or not statistics.has_min_max or self._keys is None or type(statistics.min) is not type(self._keys[0]):
            return True
        return bool(statistics.min <= self._keys[1] and self._keys[0] <= statistics.max)

    def missing(self, wanted: Hashes) -> bool:
        """Return whether a row with one of these hashes has not been found yet."""
        first = np.searchsorted(self._hashes, wanted, side="left")
        last = np.searchsorted(self._hashes, wanted, side="right")
        open_before = np.concatenate(([0], np.cumsum(~self.held[self._order])))
        return bool((open_before[last] > open_before[first]).any())

    def compare(self, lake: pa.RecordBatch, hashes: Hashes) -> None:
        """Mark the rows that are equal to one of these of the lake."""
        rows = aligned(lake, self.columns.content_schema)
        if rows is None:
            return
        first = np.searchsorted(self._hashes, hashes, side="left")
        counts = np.searchsorted(self._hashes, hashes, side="right") - first
        theirs = np.repeat(np.arange(len(hashes)), counts)
        ours = self._order[np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())]
        for start in range(0, len(ours), PAIRS):
            mine, other = ours[start : start + PAIRS], theirs[start : start + PAIRS]
            is_open = ~self.held[mine]
            mine, other = mine[is_open], other[is_open]
            left = [column.take(pa.array(mine)) for column in self._content]
            equal = equal_rows(left, [column.take(pa.array(other)) for column in rows.columns], len(mine))
            self.held[mine[equal]] = True


def repeated(rows: pa.RecordBatch, hashes: Hashes, columns: RowColumns) -> Mask:
    """Return which rows repeat an earlier one of the same version."""
    repeats = np.zeros(len(hashes), dtype=bool)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    same = ordered[1:] == ordered[:-1]
    if not same.any():
        return repeats
    places = np.sort(order[np.concatenate(([False], same)) | np.concatenate((same, [False]))])
    content = columns.content(rows.take(pa.array(places)))
    full = row_hashes(content, len(places))
    waiting = np.argsort(full, kind="stable")
    while len(waiting) > 1:
        starts = np.concatenate(([True], full[waiting][1:] != full[waiting][:-1]))
        leaders = waiting[starts][np.cumsum(starts) - 1]
        others = ~starts
        left, right = pa.array(leaders[others]), pa.array(waiting[others])
        equal = equal_rows([column.take(left) for column in content], [column.take(right) for column in content], len(left))
        repeats[places[waiting[others][equal]]] = True
        waiting = waiting[others][~equal]
    return repeats


def held_in_file(reader: LakeReader, path: str, sought: Sought, wanted: Hashes, times: Range) -> None:
    """Look for rows in a file: row groups by their times, then by their keys, then row by row."""
    columns = sought.columns
    with reader.open(path) as source:
        parquet = pq.ParquetFile(source)
        present = set(parquet.schema_arrow.names)
        paths = [name for name in columns.content_schema.names if name in present] + ["_deleted"]
        for group in range(parquet.num_row_groups):
            if not sought.missing(wanted):
                return
            if not sought.may_be_in(parquet.metadata.row_group(group), times):
                continue
            for batch in parquet.iter_batches(WHOLE_ROWS, row_groups=[group], columns=paths, use_threads=False):
                rows = batch.filter(pc.invert(batch.column("_deleted")))
                hashes = columns.hashes(rows)
                hit = np.flatnonzero(np.isin(hashes, wanted))
                if len(hit):
                    sought.compare(rows.take(pa.array(hit)), hashes[hit])


def _batches(parquet: pq.ParquetFile, rows: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, row group by row group: over all at once the reader's memory grows with the file."""
    for group in range(parquet.num_row_groups):
        yield from parquet.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False)


def _key_paths(columns: RowColumns) -> list[str]:
    return [*columns.key, *([columns.modified] if columns.modified else []), "_deleted"]


def _group_times(group: pq.RowGroupMetaData, modified: str) -> Range | None:
    statistics = _statistics(group, modified)
    if statistics is None or not statistics.has_null_count:
        return None
    if statistics.null_count == group.num_rows:
        return NO_TIME, NO_TIME
    if not statistics.has_min_max:
        return None
    return NO_TIME if statistics.null_count else int(statistics.min_raw), int(statistics.max_raw)


def _statistics(group: pq.RowGroupMetaData, column: str) -> pq.Statistics | None:
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chunk.path_in_schema == column:
            return chunk.statistics
    return None


def _nested(rows: pa.RecordBatch, column: str) -> pa.Array | None:
    first, *rest = column.split(".")
    index = rows.schema.get_field_index(first)
    if index < 0:
        return None
    values = rows.column(index)
    for name in rest:
        if not pa.types.is_struct(values.type) or values.type.get_field_index(name) < 0:
            return None
        values = pc.struct_field(values, name)
    return values

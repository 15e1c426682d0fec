"""No version twice: of a unit's rows, those that the lake does not hold yet.

A version is its key, its time of modification and its content: all columns but `_tenant_id`, `_exported_at`, `_run_id` and
`_deleted`. What is equal in key and time is found by hashes, and only then are whole rows compared, exactly.

Where a version may lie decides which files are asked. Its partition follows from its content (the first of its times), so that
the files of that partition are enough; for `partition: none`, and for rows without any of those times, which lie in the day of
the run that wrote them, all files of the entity are. Of each file the footer is read first: one whose modification times do
not meet those of the new rows is passed over. Of the others the key columns are read once a run, into hashes on the local disk.

Two units of an entity may end side by side. Each holds its partitions (`reserved`) from its first question to its commit, so that
what one is about to write is not missed by the other.
"""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from st_export.commit.lakerows import (
    LakeFile,
    LakeReader,
    RowColumns,
    Sought,
    file_times,
    held_in_file,
    key_hashes,
    placed,
    repeated,
    time_range,
)
from st_export.commit.versionindex import MEMORY_ENTRIES, Range, VersionIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from st_export.commit.sameness import Hashes, Mask
    from st_export.flow import DataFile

__all__ = ["LakeFile", "LakeReader", "RowColumns", "UnitVersions", "VersionFilter"]


class VersionFilter:
    """What one entity of one tenant holds, for the length of a run. Safe to use from many threads; `close` it in the end.

    Args:
        columns: how the entity's rows are told apart, and where they lie.
        reader: the committed files of the lake.
        spool: a local folder.

    """

    def __init__(self, columns: RowColumns, reader: LakeReader, spool: Path, *, memory_entries: int = MEMORY_ENTRIES) -> None:
        self.columns = columns
        self._reader = reader
        self._index = VersionIndex(spool, memory_entries=memory_entries)
        self._sources: list[tuple[str, ...]] = []
        self._known: set[str] = set()
        self._footers: dict[str, Range | None] = {}
        self._threads = threading.Lock()
        self._reserved: set[str | None] = set()
        self._freed = anyio.Event()

    @asynccontextmanager
    async def reserved(self, partitions: Iterable[str | None]) -> AsyncIterator[None]:
        """Hold partitions for a unit, from its first `fresh` until it is committed or given up; others wait.

        All at once or none, so that no two units wait for each other.
        """
        wanted = set(partitions)
        while not wanted.isdisjoint(self._reserved):
            await self._freed.wait()
        self._reserved |= wanted
        try:
            yield
        finally:
            self._reserved -= wanted
            self._freed.set()
            self._freed = anyio.Event()

    def unit(self) -> UnitVersions:
        """Return the questions of one unit, whose partitions are reserved."""
        return UnitVersions(self)

    def close(self) -> None:
        """Free memory and disk; may be called again."""
        with self._threads:
            self._index.close()

    def held(self, partition: str | None, rows: pa.RecordBatch, hashes: Hashes) -> Mask:
        """Return which rows the lake holds in the same version. Blocking; raises `StoreError` as the reader does."""
        result = np.zeros(rows.num_rows, dtype=bool)
        is_placed = placed(rows, self.columns)
        for mask, where in ((is_placed, partition), (~is_placed, None)):
            chosen = np.flatnonzero(mask)
            if len(chosen) == 0:
                continue
            files = self._reader.files(self.columns.entity, self.columns.tenant, where)
            if not files:
                continue
            part = rows if len(chosen) == rows.num_rows else rows.take(pa.array(chosen))
            result[chosen] = self._held_in(files, part, hashes[chosen])
        return result

    def remember(self, hashes: Hashes, paths: Sequence[str], times: Range) -> None:
        """Note what a commit has added, so that its files need not be read."""
        if paths:
            with self._threads:
                self._add(hashes, tuple(paths), times)
                self._known.update(paths)

    def _held_in(self, files: Sequence[LakeFile], rows: pa.RecordBatch, hashes: Hashes) -> Mask:
        times = time_range(rows, self.columns)
        with self._threads:
            for file in files:
                self._cover(file, times)
            found = self._index.find(np.unique(hashes), times)
        sought = Sought(rows, hashes, self.columns)
        for source, wanted in found.items():
            for path in self._sources[source]:
                held_in_file(self._reader, path, sought, wanted, times)
        return sought.held

    def _cover(self, file: LakeFile, times: Range) -> None:
        """Read a file's keys into the index, once, and only if its times meet those in question."""
        if file.path in self._known:
            return
        if file.path in self._footers:
            known = self._footers[file.path]
            if known is not None and (known[0] > times[1] or times[0] > known[1]):
                return
        with self._reader.open(file.path) as source:
            parquet = pq.ParquetFile(source)
            span = self._footers[file.path] = file_times(parquet.metadata, self.columns)
            if span is not None and (span[0] > times[1] or times[0] > span[1]):
                return
            for hashes, times_of_rows in key_hashes(parquet, self.columns):
                self._add(hashes, (file.path,), times_of_rows)
        self._known.add(file.path)

    def _add(self, hashes: Hashes, paths: tuple[str, ...], times: Range) -> None:
        if not self._sources or self._sources[-1] != paths:
            self._sources.append(paths)
        self._index.add(hashes, len(self._sources) - 1, times)


class UnitVersions:
    """The rows of one unit as they pass the filter. Used by one thread at a time."""

    def __init__(self, versions: VersionFilter) -> None:
        self.repeats = 0
        self.held = 0
        self._versions = versions
        self._added: dict[str | None, list[tuple[Hashes, Range]]] = {}

    def fresh(self, partition: str | None, table: pa.Table) -> pa.Table:
        """Return the rows whose version is new, in their order; of equal ones the first. Blocking.

        Args:
            partition: where all these rows go.
            table: rows in all columns. Two tables of one unit must not share a key. Tombstones pass: they are no versions.

        Raises:
            StoreError: a file of the lake cannot be read.
            OSError: the spool is full.

        """
        columns = self._versions.columns
        rows = _batch(table)
        hashes = columns.hashes(rows)
        is_content = ~rows.column("_deleted").to_numpy(zero_copy_only=False)
        keep = ~repeated(rows, hashes, columns) | ~is_content
        self.repeats += int((~keep).sum())
        asked = np.flatnonzero(keep & is_content)
        if len(asked):
            part = rows if len(asked) == rows.num_rows else rows.take(pa.array(asked))
            held = self._versions.held(partition, part, hashes[asked])
            self.held += int(held.sum())
            keep[asked[held]] = False
        chosen = np.flatnonzero(keep)
        new = rows if len(chosen) == rows.num_rows else rows.take(pa.array(chosen))
        content = hashes[keep & is_content]
        if len(content):
            self._added.setdefault(partition, []).append((content, time_range(new, columns)))
        return pa.Table.from_batches([_told_apart(new, hashes[chosen])], schema=table.schema)

    def committed(self, files: Sequence[DataFile]) -> None:
        """Note that the unit's files are in the lake. Without it the filter stays right, but reads them when asked."""
        for partition, parts in self._added.items():
            paths = [file.path for file in files if file.partition == partition]
            for hashes, times in parts:
                self._versions.remember(hashes, paths, times)
        self._added.clear()


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    if len(batches) == 1:
        return batches[0]
    return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _told_apart(rows: pa.RecordBatch, hashes: Hashes) -> pa.RecordBatch:
    """Let versions with one key and time differ in `_exported_at` by a microsecond, in the order they came.

    The newest by that column is the current one; rows of one page have the same.
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    if not (ordered[1:] == ordered[:-1]).any():
        return rows
    starts = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    nth = np.arange(len(ordered)) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
    later = np.zeros(len(hashes), dtype=np.int64)
    later[order] = nth
    index = rows.schema.get_field_index("_exported_at")
    field = rows.schema.field(index)
    moments = rows.column(index).cast(pa.int64()).to_numpy() + later
    return rows.set_column(index, field, pa.array(moments).cast(field.type))

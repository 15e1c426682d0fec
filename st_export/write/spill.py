"""Rows on the local disk, in buckets: one Arrow IPC file (lz4), read back bucket by bucket."""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Spill:
    """A temporary file of record batches, each in a bucket. Used by one thread at a time.

    All rows are written first (`append`), then read (`read`, any number of times), then the file is removed (`discard`).
    Memory: one batch, and a few bytes for each batch written.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self._path = folder / f"spill-{secrets.token_hex(8)}.arrow"
        self._sink: pa.OSFile | None = None
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._readers: dict[tuple[str, ...], pa.ipc.RecordBatchFileReader] = {}
        self._batches: defaultdict[int, list[int]] = defaultdict(list)
        self._count = 0

    def append(self, bucket: int, rows: pa.RecordBatch) -> None:
        """Write rows into a bucket. Raises `OSError` where the disk is full, `ValueError` after the first `read`."""
        if rows.num_rows == 0:
            return
        if self._readers:
            raise ValueError("rows came after the reading had begun")
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=False)
            self._sink = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_file(self._sink, self.schema, options=options)
        self._writer.write_batch(rows)
        self._batches[bucket].append(self._count)
        self._count += 1

    def buckets(self) -> list[int]:
        """Return the buckets that have rows, sorted."""
        return sorted(self._batches)

    def read(self, bucket: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a bucket in the order they came, batch by batch; only these columns, where given."""
        for index in self._batches.get(bucket, ()):
            yield self._reader(columns).get_batch(index)

    def discard(self) -> None:
        """Remove the file; no error where there is none, nor where writing it had failed."""
        self._writer = None  # left without its footer: nobody will read it
        if self._sink is not None:
            self._sink.close()
        self._readers.clear()
        self._batches.clear()
        self._path.unlink(missing_ok=True)

    def _reader(self, columns: Sequence[str] | None) -> pa.ipc.RecordBatchFileReader:
        self._finish()
        wanted = tuple(columns or ())
        if wanted not in self._readers:
            fields = sorted(self.schema.get_field_index(name) for name in wanted)
            options = pa.ipc.IpcReadOptions(included_fields=fields or None, use_threads=False)
            self._readers[wanted] = pa.ipc.open_file(pa.OSFile(str(self._path), "rb"), options=options)
        return self._readers[wanted]

    def _finish(self) -> None:
        if self._writer is not None and self._sink is not None:
            self._writer.close()
            self._sink.close()
            self._writer = None

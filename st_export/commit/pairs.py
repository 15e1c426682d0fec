"""Two sets of rows brought together piece by piece, so that rows that may belong together are in one piece.

Small sets are one piece in memory. Larger ones are spread over buckets on the local disk by a hash of each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.commit.sameness import Hashes
    from st_export.flow import RunId, TenantId

PIECE_BYTES = 12 << 20
"""Both sides of a piece together; about thrice that is held while it is compared."""

GUESSED_ROW_BYTES = 1_000
"""A row's size in memory where none was read."""

SPREAD_BYTES = 8 << 20
"""Rows are put together to this size before they are spread: a few rows a bucket would cost more in frames than in values."""

MOST_BUCKETS = 1_024


class Buckets(Protocol):
    """Rows on disk: all written first, then read bucket by bucket (`write.spill.Spill`)."""

    def append(self, bucket: int, rows: pa.RecordBatch) -> None:
        """Write rows into a bucket."""

    def read(self, bucket: int) -> Iterator[pa.RecordBatch]:
        """Yield a bucket's rows in the order they were written."""

    def discard(self) -> None:
        """Remove what was written."""


MakeBuckets = Callable[[pa.Schema], Buckets]
"""Makes an empty set of buckets for rows of a schema."""

Side = Iterable[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Origin:
    """What rows that are found to be new, or gone, bear in the columns of ours."""

    tenant: TenantId
    run: RunId
    exported_at: datetime

    @property
    def microseconds(self) -> int:
        """Return `exported_at` as in the column."""
        return int(pa.scalar(self.exported_at, pa.timestamp("us", "UTC")).value)


def pieces_for(rows: int, sample_bytes: int, sample_rows: int, piece_bytes: int = PIECE_BYTES) -> int:
    """Return in how many pieces so many rows are compared, judged by the size of some of them."""
    width = sample_bytes / sample_rows if sample_rows else GUESSED_ROW_BYTES
    return max(1, min(MOST_BUCKETS, int(-(-rows * width // piece_bytes))))


def paired(
    left: Side,
    right: Side,
    schemas: tuple[pa.Schema, pa.Schema],
    hashes: Callable[[pa.RecordBatch], Hashes],
    pieces: int,
    make: MakeBuckets,
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield both sides piece by piece; rows of equal hash are in the same one, each side in the order it came.

    Raises:
        OSError: the spool is full.

    """
    if pieces == 1:
        yield _joined(left, schemas[0]), _joined(right, schemas[1])
        return
    made = [make(schema) for schema in schemas]
    try:
        for rows, buckets in zip((left, right), made, strict=True):
            _spread(rows, buckets, hashes, pieces)
        for bucket in range(pieces):
            yield _joined(made[0].read(bucket), schemas[0]), _joined(made[1].read(bucket), schemas[1])
    finally:
        for buckets in made:
            buckets.discard()


def _spread(rows: Side, buckets: Buckets, hashes: Callable[[pa.RecordBatch], Hashes], pieces: int) -> None:
    for batch in _together(rows):
        numbers = (hashes(batch) % np.uint64(pieces)).astype(np.int64)
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        sorted_rows = batch.take(pa.array(order))
        for start, end in pairwise([0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)]):
            if end > start:
                buckets.append(int(ordered[start]), sorted_rows.slice(start, end - start))
        del batch, sorted_rows  # before the next ones are put together


def _together(rows: Side) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in rows:
        waiting.append(batch)
        held += batch.nbytes
        if held >= SPREAD_BYTES:
            piece = waiting[0] if len(waiting) == 1 else pa.concat_batches(waiting)
            waiting, held = [], 0
            yield piece
            del piece
    if waiting:
        yield pa.concat_batches(waiting)


def _joined(rows: Side, schema: pa.Schema) -> pa.RecordBatch:
    batches = [batch for batch in rows if batch.num_rows]
    if not batches:
        return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)

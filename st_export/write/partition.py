"""The partition of each row: the UTC day or month of the first of its times that is there, else of the run's day.

Vectorised over a batch; a partition is a number (days, or months, from 1970-01) until its text is needed. Year 1 is a year
like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from st_export.catalog.entity import Entity
    from st_export.write.layout import PartitionKind

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How an entity's rows are spread over folders.

    `columns` are tried in order, dotted for nested ones; a column that the rows lack, or that holds neither a time nor a date,
    is passed over. `asked_day` is for what was asked for a day: all its rows lie there. `run_day` takes the rest.
    """

    kind: PartitionKind
    columns: tuple[str, ...]
    run_day: date
    asked_day: date | None = None

    def numbers(self, batch: pa.RecordBatch | pa.Table) -> np.ndarray:
        """Return the partition of each row as int32: days or months from 1970-01, all 0 for `none`."""
        if self.kind == "none":
            return np.zeros(batch.num_rows, dtype=np.int32)
        if self.asked_day is not None:
            return np.full(batch.num_rows, self._number(self.asked_day), dtype=np.int32)
        days = _first_days(batch, self.columns)
        if days is None:
            return np.full(batch.num_rows, self._number(self.run_day), dtype=np.int32)
        filled = pc.fill_null(days, (self.run_day - _EPOCH).days)
        numbers: np.ndarray = filled.to_numpy(zero_copy_only=False)
        return _months(numbers) if self.kind == "month" else numbers

    def text(self, number: int) -> str | None:
        """Return a partition as it stands in a path: `2026-11-23`, `2026-11`, None for `none`."""
        if self.kind == "none":
            return None
        if self.kind == "month":
            return f"{1970 + number // 12:04d}-{number % 12 + 1:02d}"
        return (_EPOCH + timedelta(days=number)).isoformat()

    def texts(self, numbers: Iterable[int]) -> tuple[str | None, ...]:
        """Return several partitions as they stand in paths."""
        return tuple(self.text(int(number)) for number in numbers)

    def _number(self, day: date) -> int:
        return (day.year - 1970) * 12 + day.month - 1 if self.kind == "month" else (day - _EPOCH).days


def partitioning(
    entity: Entity,
    kind: PartitionKind,
    *,
    run_day: date,
    partition_by: str | None = None,
    asked_day: date | None = None,
) -> Partitioning:
    """Return the partitioning of an entity of the catalog.

    Args:
        entity: gives `modified`, `created` and its own choice of columns.
        kind: `day`, `month` or `none`.
        run_day: the UTC day of the run, for rows without any time.
        partition_by: the user's override, tried first.
        asked_day: the day that the rows were asked for, where there is one: wins over all columns.

    """
    columns = [partition_by, entity.modified, entity.created, *entity.partition_by]
    return Partitioning(kind, tuple(dict.fromkeys(name for name in columns if name)), run_day, asked_day)


def nested(batch: pa.RecordBatch | pa.Table, column: str) -> pa.Array | None:
    """Return the values of a column, dotted for a nested one; None where the rows do not have it."""
    first, *rest = column.split(".")
    index = batch.schema.get_field_index(first)
    if index < 0:
        return None
    values = batch.column(index)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    for name in rest:
        if not pa.types.is_struct(values.type) or values.type.get_field_index(name) < 0:
            return None
        values = pc.struct_field(values, name)
    return values


def _first_days(batch: pa.RecordBatch | pa.Table, columns: tuple[str, ...]) -> pa.Array | None:
    days: pa.Array | None = None
    for column in columns:
        values = nested(batch, column)
        if values is None or not (pa.types.is_timestamp(values.type) or pa.types.is_date32(values.type)):
            continue
        found = _days(values)
        days = found if days is None else pc.coalesce(days, found)
        if days.null_count == 0:
            break
    return days


def _days(values: pa.Array) -> pa.Array:
    if pa.types.is_date32(values.type):
        return values.cast(pa.int32())
    microseconds = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())
    # Floored, not cut towards zero: a moment before 1970 belongs to the day that it lies in.
    floored = np.floor_divide(pc.fill_null(microseconds, 0).to_numpy(zero_copy_only=False), 86_400_000_000)
    return pa.array(floored.astype(np.int32), mask=values.is_null().to_numpy(zero_copy_only=False))


def _months(days: np.ndarray) -> np.ndarray:
    months: np.ndarray = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int32)
    return months

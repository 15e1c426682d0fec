"""Every row against the window that was asked: a filter that the service ignores shows here."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from st_export.flow import Window


def outside(batch: pa.RecordBatch, column: str, window: Window, slack: timedelta = timedelta(0)) -> pa.BooleanArray:
    """Return for each row whether its time lies outside the window widened by `slack` on both sides.

    `column` is a timestamp or date column, dotted for one inside structs. A row without a time is not outside; neither is any
    row where the column does not exist. A date counts as its midnight UTC, and is not outside if any of its day is inside.
    """
    times = _column(batch, column)
    if times is None:
        return pa.array([False] * batch.num_rows, pa.bool_())
    start = window.start.astimezone(UTC) - slack
    end = window.end.astimezone(UTC) + slack if window.end is not None else None
    if pa.types.is_date(times.type):
        start -= timedelta(days=1) - timedelta(microseconds=1)
        times = times.cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    early = pc.less(times, pa.scalar(start, times.type))
    late = pc.greater_equal(times, pa.scalar(end, times.type)) if end is not None else None
    return pc.fill_null(early if late is None else pc.or_(early, late), fill_value=False)


def _column(batch: pa.RecordBatch, dotted: str) -> pa.Array | None:
    first, *rest = dotted.split(".")
    index = batch.schema.get_field_index(first)
    array = batch.column(index) if index >= 0 else None
    for name in rest:
        if array is None or not pa.types.is_struct(array.type) or array.type.get_field_index(name) < 0:
            return None
        array = pc.struct_field(array, name)
    return array if array is not None and (pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)) else None

"""Which rows of an answer belong to what was asked: every row is held against its window.

A row behind the pass's start is a newer version of something that was inside; a row before the window, or between its end
and the pass's start, shows that the service ignored the filter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from st_export.decode.bounds import outside
from st_export.decode.values import to_timestamp
from st_export.errors import EntityFailed

if TYPE_CHECKING:
    from st_export.catalog.entity import Entity
    from st_export.flow import Json, Page, Window

RowCheck = Callable[[pa.RecordBatch], pa.RecordBatch]
"""Takes the rows of an answer and returns those that belong to the work; raises where the filter was not honoured."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JSON = json.JSONDecoder()
_LONGEST_RECORD_BYTES = 64 << 10

SLACK = timedelta(seconds=1)
"""The service may compare milliseconds or whole seconds."""


def times(batch: pa.RecordBatch, column: str | None) -> pa.Array | None:
    """Return the timestamps of a column, dotted for a nested one; None where the rows do not have it."""
    if column is None:
        return None
    first, *rest = column.split(".")
    index = batch.schema.get_field_index(first)
    if index < 0:
        return None
    values = batch.column(index)
    for name in rest:
        values = pc.struct_field(values, name)
    return values if pa.types.is_timestamp(values.type) else None


def first_time(page: Page, entity: Entity) -> datetime | None:
    """Return when the first row of a page was created, or else modified; None where it does not tell at its beginning."""
    start, end = page.envelope.records
    text = page.body[start + 1 : min(end, start + _LONGEST_RECORD_BYTES)].decode("utf-8", "replace").lstrip()
    try:
        value: Json = _JSON.raw_decode(text)[0]
    except ValueError:  # a record longer than that, or none: there is no guess
        return None
    for name in (entity.created or entity.modified or "").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    micros, is_moment = to_timestamp(value)
    return _EPOCH + timedelta(microseconds=micros) if micros is not None and is_moment else None


def list_check(entity: Entity, window: Window | None, started: datetime, filter_name: str | None, *, by_creation: bool) -> RowCheck | None:
    """Return the check for a list that was asked with a filter: a row outside is an error that names the filter."""
    column = entity.created if by_creation else entity.modified
    if window is None or filter_name is None or column is None:
        return None

    def check(batch: pa.RecordBatch) -> pa.RecordBatch:
        moments = times(batch, column)
        if moments is None:
            return batch
        slack = SLACK if window.start.year > 1 else timedelta(0)
        settled = pc.less(moments, pa.scalar(started - SLACK, moments.type))
        count = pc.sum(pc.and_(outside(batch, column, window, slack), settled)).as_py() or 0
        if count:
            raise EntityFailed(
                f"the service ignored the filter `{filter_name}`: {count} of {batch.num_rows} rows of a page have `{column}` outside "
                f"{window.label()}",
                hint="nothing of this window was written; the filter may have been renamed, see `st-export catalog diff`",
                entity=entity.name,
            )
        return batch

    return check


def feed_check(entity: Entity, asked: datetime | None, window: Window | None, started: datetime) -> RowCheck | None:
    """Return the check for a feed: rows of a backfill's window only; a page that lies wholly before the date asked is an error."""
    column = entity.modified or entity.created
    if column is None or (asked is None and window is None):
        return None

    def check(batch: pa.RecordBatch) -> pa.RecordBatch:
        moments = times(batch, column)
        if moments is None or batch.num_rows == 0:
            return batch
        if asked is not None and pc.all(pc.less(moments, pa.scalar(asked - timedelta(days=1), moments.type)), skip_nulls=False).as_py():
            raise EntityFailed(
                f"the service ignored `from`: all {batch.num_rows} rows of a page have `{column}` before {asked.date()}",
                hint="nothing of this page was written",
                entity=entity.name,
            )
        return batch if window is None else batch.filter(within(entity, batch, window, started))

    return check


def within(entity: Entity, batch: pa.RecordBatch, window: Window, started: datetime) -> pa.Array:
    """Return the mask of rows that belong to `window`.

    Kept are rows modified (or created, where they are not modified) inside; rows without either time; and rows changed since
    the pass's start that existed before the window's end: newer versions of rows that may have been inside.
    """
    created = times(batch, entity.created)
    moments = times(batch, entity.modified)
    moments = created if moments is None else (moments if created is None else pc.coalesce(moments, created))
    if moments is None:
        return pa.array([True] * batch.num_rows)
    start_value = pa.scalar(window.start, moments.type)
    if window.end is None:
        return pc.fill_null(pc.greater_equal(moments, start_value), fill_value=True)
    end_value = pa.scalar(window.end, moments.type)
    inside = pc.and_(pc.greater_equal(moments, start_value), pc.less(moments, end_value))
    newer = pc.greater_equal(moments, pa.scalar(started, moments.type))
    if created is not None:
        newer = pc.and_(newer, pc.fill_null(pc.less(created, end_value), fill_value=True))
    return pc.or_kleene(pc.fill_null(inside, fill_value=True), pc.fill_null(newer, fill_value=False))

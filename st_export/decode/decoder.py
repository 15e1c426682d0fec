"""Pages to record batches of an entity's full schema. All of it is synchronous work for a worker thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from st_export.decode.casts import NotStrict
from st_export.decode.columns import RESCUED, CarefulReader, Columns, quick_columns
from st_export.decode.controls import NO_CONTROLS
from st_export.decode.nodes import row_node
from st_export.decode.parse import CHUNK_BYTES, borders, records_of
from st_export.decode.reports import named_rows
from st_export.decode.text import Unreadable, json_text, loads
from st_export.decode.unknown import Learner
from st_export.flow import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.catalog.entity import Entity
    from st_export.decode.controls import Controls
    from st_export.flow import Json, Page

_WRITER_COLUMNS = frozenset({"_tenant_id", "_exported_at", "_run_id", "_deleted"})
_VALUE = "value"
_LESSON_BYTES = 128 * 1024
"""What is read carefully to learn unknown fields, before the quick way is tried on the rest of a piece again."""

_FIRST_LESSON_BYTES = 32 * 1024
"""The same the first time: what stands in every record stands in the first ones, and reading carefully takes ten times as long."""

_PREVIEW_BYTES = 16 * 1024
"""What is looked through before the first lesson. Fields of whole records show in it, and it costs a fraction of a lesson."""

_LONGEST_PAUSE = 32
"""After refusals in a row the quick way is tried again after at most this many pieces (some 64 MB)."""


class _LessonDue(Exception):
    """The quick way met what it does not know yet."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A piece of a page: its rows, what could not become a row, and how many rows have something in `_rescued`."""

    batch: pa.RecordBatch
    rejects: tuple[Reject, ...] = ()
    rescued: int = 0


class Decoder:
    """The decoder of one entity, for all its pages and any number of threads.

    `schema` is the entity's full schema in the lake, after the controls. Its batches have, in the schema's order, the columns
    of the API, those that the page's request determines (`_parent_id`, `_window_from`, …) and `_rescued`; the columns that
    only the writer knows (`_tenant_id`, `_exported_at`, `_run_id`, `_deleted`) are left out.
    """

    def __init__(self, entity: Entity, schema: pa.Schema, *, controls: Controls = NO_CONTROLS) -> None:
        self._entity = entity
        self._controls = controls
        self._tree = controls.tree()
        self.schema = pa.schema([field for field in schema if field.name not in _WRITER_COLUMNS])
        self._row = row_node(entity.columns, self.schema, self._tree, plain=entity.kind == "report")
        self._learner = Learner(self._row, self._tree)
        self._careful = CarefulReader(self._row, self._learner)
        self._key = tuple(name for name in entity.key if name in self._row.fields)
        self._refusals = 0
        self._pause = 0
        self._lessons = 0
        self._is_teachable = True
        self._is_previewed = False
        self._is_taught = False

    def decode(self, page: Page, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Decoded]:
        """Yield the rows of a page in pieces of about `chunk_bytes` of JSON, in their order.

        Raises:
            Unreadable: the body is not JSON after all; the pieces before it have been yielded.

        """
        if page.envelope.shape != "array":
            yield from self._single(page)
            return
        body, view = page.body, memoryview(page.body)
        start, end = page.envelope.records[0] + 1, page.envelope.records[1] - 1
        done = 0
        size = chunk_bytes
        while start < end:
            for border in borders(body, start, end, size):
                try:
                    decoded = self._piece(page, view[start:border], is_lesson=size != chunk_bytes)
                except _LessonDue:
                    if not self._learns_by_preview(body, start, end):
                        size = min(_LESSON_BYTES if self._is_taught else _FIRST_LESSON_BYTES, chunk_bytes - 1)
                        self._is_taught = True
                    break
                if decoded is not None:
                    size = chunk_bytes
                    if decoded.batch.num_rows or decoded.rejects:
                        yield decoded
                    done += decoded.batch.num_rows + len(decoded.rejects)
                    start = border + 1
                    break
            else:
                rest = records_of(body, page.envelope)[done:]
                if rest:
                    yield self._records(page, rest)
                return

    def _learns_by_preview(self, body: bytes, start: int, end: int) -> bool:
        """Look through the first records that the quick way ever refused; return whether they have fields that are new."""
        if self._is_previewed or set(self._row.fields) == {_VALUE}:
            return False
        self._is_previewed = True
        border = next(iter(borders(body, start, end, _PREVIEW_BYTES)))
        if border - start > 2 * _PREVIEW_BYTES:
            return False
        try:
            records = loads(b"".join((b"[", memoryview(body)[start:border], b"]")))
        except Unreadable:
            return False
        lessons = self._learner.lessons
        if all(self._reason_to_reject(record) is None for record in records):
            for record in records:
                if self._tree:
                    self._controls.apply(record, self._tree)
                self._careful.look_at(record)
        return self._learner.lessons != lessons

    def _single(self, page: Page) -> Iterator[Decoded]:
        records = records_of(page.body, page.envelope)
        if records != [None] or _VALUE in self._row.fields:
            yield self._records(page, records)

    def _piece(self, page: Page, items: memoryview, *, is_lesson: bool) -> Decoded | None:
        """Return the rows of a piece of the array, None where it was not cut at a border. A piece without items has no rows.

        Raises:
            _LessonDue: the quick way refuses, and a smaller piece may show why.

        """
        lessons = self._learner.lessons
        if not is_lesson and self._may_be_quick(page):
            try:
                columns, rows = quick_columns(self._row, items, self._controls, self._learner)
                if not any(columns[name].null_count for name in self._key):
                    self._refusals = 0
                    return self._decoded(page, columns, rows, ())
            except NotStrict:
                if self._is_teachable and len(items) > 2 * _LESSON_BYTES:
                    raise _LessonDue from None
            self._refusals += 1
            self._pause = min(1 << self._refusals, _LONGEST_PAUSE) if self._refusals > 1 else 0
        try:
            records = loads(b"".join((b"[", items, b"]")))
        except Unreadable:
            return None
        decoded = self._records(page, records)
        self._is_teachable = self._learner.lessons != lessons
        return decoded

    def _may_be_quick(self, page: Page) -> bool:
        if page.envelope.fields is not None:
            return False
        if self._learner.lessons != self._lessons:
            self._lessons, self._pause = self._learner.lessons, 0
        if self._pause > 0:
            self._pause -= 1
            return False
        return True

    def _records(self, page: Page, records: list[Json]) -> Decoded:
        if page.envelope.fields is not None:
            records = named_rows(page.envelope.fields, records)
        elif set(self._row.fields) == {_VALUE}:
            records = [record if isinstance(record, dict) and _VALUE in record else {_VALUE: record} for record in records]
        rows: list[dict[str, Json]] = []
        rejects: list[Reject] = []
        for record in records:
            reason = self._reason_to_reject(record)
            if reason is None:
                rows.append(record)
            else:
                self._controls.apply(record, self._tree)
                rejects.append(Reject(self._entity.name, page.request.describe(), reason, json_text(record).encode()))
        if self._tree:
            for record in rows:
                self._controls.apply(record, self._tree)
        return self._decoded(page, self._careful.columns(rows), len(rows), tuple(rejects))

    def _reason_to_reject(self, record: Json) -> str | None:
        if not isinstance(record, dict):
            return "not an object"
        for name in self._key:
            value, node = record.get(name), self._row.fields[name]
            if value is None:
                return f"no key `{name}`"
            # A hashed key takes any value.
            if node.kind != "hash" and node.convert is not None and not node.convert(value)[1]:
                return f"the key `{name}` is no {node.kind}"
        return None

    def _decoded(self, page: Page, columns: Columns, rows: int, rejects: tuple[Reject, ...]) -> Decoded:
        arrays = [
            columns[field.name] if field.name in columns else _constant(page.constants.get(field.name), field.type, rows)
            for field in self.schema
        ]
        rescued = rows - columns[RESCUED].null_count
        return Decoded(pa.RecordBatch.from_arrays(arrays, schema=self.schema), rejects, rescued)


def _constant(value: Json, kind: pa.DataType, rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(rows, kind)
    return pa.repeat(pa.scalar(value, kind), rows)

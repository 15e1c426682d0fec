"""Progress without a terminal: plain lines, for each entity at most one every half minute, and every long wait.

Also in JSON (`event: entity_progress`), through the same writer as the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export import events as happened
from st_export.observe.quantities import count_text, plural, seconds_text
from st_export.observe.wording import event_fields, event_level, event_message, event_name

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.observe.logs import LogWriter
    from st_export.observe.progress import EntityProgress, Progress

INTERVAL_SECONDS = 30.0
"""The least time between two lines about one entity."""


class ProgressLines:
    """A listener that writes the log, and between its lines how far entities are; register it after the `Progress` that it reads.

    An entity has a line at most every half minute while it is read, and one at its end that says what it brought.
    """

    def __init__(self, progress: Progress, writer: LogWriter) -> None:
        self._progress = progress
        self._writer = writer
        self._told_at: dict[tuple[int, str], datetime] = {}

    def __call__(self, event: happened.Event) -> None:
        """Write what the log has to say of the event, or a line of progress if there has been none for half a minute."""
        if isinstance(event, happened.EntityFinished):
            self._told_at.pop((event.tenant, event.entity), None)
            self._tell_end(event)
            return
        self._writer(event)
        if isinstance(event, happened.EntityStarted):
            self._told_at[event.tenant, event.entity] = event.at
        elif isinstance(event, (happened.PageDecoded, happened.RequestFinished, happened.Committed)):
            self._tell_progress(event)

    def _tell_end(self, event: happened.EntityFinished) -> None:
        entity = self._progress.entity(event.tenant, event.entity)
        message, fields = event_message(event), event_fields(event)
        if entity is not None:
            fields |= {"rows": entity.rows_written, "files": entity.files, "seconds": round(entity.seconds(), 1)}
            if event.status == "ok":
                brought = f"{plural(entity.rows_written, 'new row')} in {plural(entity.files, 'file')}" if entity.files else "nothing new"
                message = f"ok: {brought}, {seconds_text(entity.seconds())}"
        self._writer.write(event, event_level(event), event_name(event), message, fields)

    def _tell_progress(self, event: happened.EntityEvent) -> None:
        key = event.tenant, event.entity
        told_at = self._told_at.setdefault(key, event.at)
        entity = self._progress.entity(*key)
        if entity is None or (event.at - told_at).total_seconds() < INTERVAL_SECONDS:
            return
        self._told_at[key] = event.at
        fields = {
            "tenant": event.tenant,
            "entity": event.entity,
            "rows": entity.rows_read,
            "rows_expected": entity.rows_expected,
            "rows_per_second": round(entity.rows_per_second(), 1),
            "retries": entity.retries,
            "requests_per_second": round(self._progress.requests_per_second(event.at), 1),
        }
        message = entity_line(entity) + rest_text(self._progress)
        self._writer.write(event, "info", "entity_progress", message, {name: value for name, value in fields.items() if value is not None})


def entity_line(entity: EntityProgress) -> str:
    """Return how far an entity is: `12,000 of 57,707 rows (21 %), 400/s, 2 retries`."""
    rows = plural(entity.rows_read, "row")
    if entity.rows_expected:
        share = min(100, round(100 * entity.rows_read / entity.rows_expected))
        rows = f"{count_text(entity.rows_read)} of {plural(entity.rows_expected, 'row')} ({share} %)"
    rate = f", {count_text(round(entity.rows_per_second()))}/s" if entity.rows_read else ""
    retries = f", {plural(entity.retries, 'retry', 'retries')}" if entity.retries else ""
    return rows + rate + retries


def rest_text(progress: Progress) -> str:
    """Return the estimate of the rest: `; about 4m 10s left`, `at least` where not all totals are known; empty before it can be told."""
    left = progress.seconds_left()
    if left is None:
        return ""
    seconds, is_whole = left
    return f"; {'about' if is_whole else 'at least'} {seconds_text(seconds)} left"

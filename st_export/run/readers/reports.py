"""Reading reports of the reporting module: described first, then run, at most once an interval for each report.

A report with `{day}` in its parameters is asked one day of the tenant's at a time; others in one go. The types of its columns are
pinned by the description at the first run in this lake; a column that the owner adds later is pinned when it is first seen.

Source: reporting-v2, `report-category/{category}/reports/{id}` and `…/data`: `page` and `pageSize` belong in the query, the body holds
only `parameters`; the answer's columns are its own `fields`, and every page is another run of the report.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson

from st_export.catalog.entity import Column, Entity, Scalar
from st_export.decode.reports import column_names
from st_export.errors import EntityFailed
from st_export.flow import EntityName, Json, Pass, Position, Request, Window
from st_export.plan.days import backfill_days, day_of, day_window
from st_export.plan.watermark import mark_after
from st_export.run.readers.days import DaySlot, read_slots
from st_export.run.unit import new_unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pyarrow as pa

    from st_export.config.model import Report
    from st_export.run.parts import Parts
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit

PAGE_ROWS = 25_000
"""The most rows a report gives a page. Source: reporting-v2."""

MOST_PAGES = 10_000

MOST_READINGS = 3
"""How often a report of several pages is run until its pages are of one answer."""

TYPES: dict[str, Scalar] = {"Number": "decimal", "Boolean": "bool", "Date": "date", "String": "string", "Time": "string"}
"""The type of a column by the description's `dataType`; what a cell holds against it goes to `_rescued`."""


def report_entity(report: Report, columns: tuple[Column, ...] = ()) -> Entity:
    """Return a configured report as an entity; its columns are known once it was described."""
    return Entity(
        EntityName(report.entity),
        "report",
        f"/reporting/v2/tenant/{{tenant}}/report-category/{report.category}/reports/{report.id}/data",
        columns,
        history=True,
        per="day" if _mentions(report, "{day}") else ("range" if _mentions(report, "{from}", "{to}") else None),
    )


def _mentions(report: Report, *places: str) -> bool:
    text = orjson.dumps(report.parameters).decode()
    return any(place in text for place in places)


async def read_report(parts: Parts, report: Report, scope: Scope) -> None:
    """Run a report for what is due and commit each answer as a snapshot.

    Raises:
        EntityFailed: the report's description is not what a description is.
        EntityRefused, RequestRejected, ServiceUnavailable, TenantRefused: as the client says.

    """
    entity = report_entity(report)
    reader = _ReportReader(parts, report)
    if entity.per == "day":
        await read_slots(
            parts, entity, scope, reader.fill, zone=parts.zone, lookback_days=report.lookback_days, first_days=max(report.lookback_days, 1)
        )
    else:
        await reader.read_once(entity, scope)


class _ReportReader:
    """Describes and runs one report."""

    def __init__(self, parts: Parts, report: Report) -> None:
        self.parts, self.report = parts, report
        self.path = report_entity(report).path.replace("{tenant}", str(parts.tenant))

    async def fill(self, slot: DaySlot) -> OpenUnit:
        values = {"{day}": slot.day.isoformat(), "{from}": slot.day.isoformat(), "{to}": slot.day.isoformat()}
        await self._describe()
        return await self._run(values, slot.constants, slot.open_unit)

    async def read_once(self, entity: Entity, scope: Scope) -> None:
        """Run a report that is not asked by day: over the window where it has `{from}` or `{to}`."""
        position = self.parts.position(entity, scope)
        started = await self.parts.source.service_time()
        position = replace(position, epoch=position.epoch + 1, done=False, current=Pass(started))
        window = self._window(entity, scope, position, started)
        constants: dict[str, Json] = {"_window_from": window.start, "_window_to": window.end} if window and window.end else {}
        values: dict[str, str] = {}
        if window is not None and window.end is not None:
            last = day_of(window.end - timedelta(microseconds=1), self.parts.zone)
            values = {"{from}": day_of(window.start, self.parts.zone).isoformat(), "{to}": last.isoformat()}
        await self._describe()

        def open_unit() -> OpenUnit:
            label = window.label() if window else "all"
            return new_unit(self.parts, entity, scope, position.epoch, label, window=window, reading="snapshot", constants=constants)

        unit = await self._run(values, constants, open_unit)
        end = Position(epoch=position.epoch, watermark=mark_after(started), done=scope.is_backfill)
        await unit.commit(lambda _: end)

    def _window(self, entity: Entity, scope: Scope, position: Position, started: datetime) -> Window | None:
        if entity.per is None:
            return None
        asked = scope.window(started)
        if asked is not None:
            days = backfill_days(asked.start, asked.end or started)
            return Window(day_window(days[0], self.parts.zone).start, day_window(days[-1], self.parts.zone).end)
        zone, back = self.parts.zone, timedelta(days=max(self.report.lookback_days, 0))
        first = position.watermark or self.parts.config.start or started - timedelta(days=1)
        return Window(day_window(day_of(first - back, zone), zone).start, day_window(day_of(started, zone), zone).end)

    async def _describe(self) -> None:
        """Ask the description, shortly before the data, and pin the types of its columns."""
        name = EntityName(self.report.entity)
        page = await self.parts.source.page(Request(name, self.path.removesuffix("/data")))
        try:
            described = orjson.loads(page.body)
        finally:
            self.parts.source.release(page)
        fields = described.get("fields") if isinstance(described, dict) else None
        if not isinstance(fields, list):
            raise EntityFailed("the description of the report has no `fields`", tenant=self.parts.tenant, entity=name)
        names = column_names([str(field.get("name") or "") for field in fields])
        kinds = [TYPES.get(str(field.get("dataType")), "string") for field in fields]
        columns = tuple(Column(column, kind) for column, kind in zip(names, kinds, strict=True))
        await self.parts.pin_report(report_entity(self.report, columns))

    async def _run(self, values: dict[str, str], constants: dict[str, Json], open_unit: Callable[[], OpenUnit]) -> OpenUnit:
        """Run the report and return its answer as a unit, not yet committed; every page is another run, so that they must agree."""
        parameters = [{"name": name, "value": _filled(value, values)} for name, value in self.report.parameters.items()]
        body = orjson.dumps({"parameters": parameters})
        for _ in range(MOST_READINGS):
            unit = await self._read(body, constants, open_unit)
            if unit is not None:
                return unit
            self.parts.note("info", "the report changed between its pages; running it again", report_entity(self.report))
        raise EntityFailed(
            f"the report changed between its pages, {MOST_READINGS} times",
            hint="a shorter time in its parameters, such as `{day}`, makes it fit one page",
            tenant=self.parts.tenant,
        )

    async def _read(self, body: bytes, constants: dict[str, Json], open_unit: Callable[[], OpenUnit]) -> OpenUnit | None:
        """Read all pages of one answer; None where they are not of one answer."""
        unit: OpenUnit | None = None
        totals: set[int | None] = set()
        rows = 0

        def count(batch: pa.RecordBatch) -> None:
            nonlocal rows
            rows += batch.num_rows

        try:
            for number in range(1, MOST_PAGES + 1):
                query = (("page", str(number)), ("pageSize", str(PAGE_ROWS)), ("includeTotal", "true"))
                request = Request(EntityName(self.report.entity), self.path, query, "POST", body)
                page = await self.parts.source.page(request, constants, gate=self.parts.report_gate)
                try:
                    await self._pin_answer(page.envelope.fields or ())
                    unit = unit or open_unit()
                    await unit.take(page, seen=count)
                finally:
                    self.parts.source.release(page)
                totals.add(page.envelope.total_count)
                if not page.envelope.has_more:
                    break
        except BaseException:
            if unit is not None:
                unit.discard()
            raise
        assert unit is not None  # noqa: S101 -- at least one page was taken
        if number == 1 or totals in ({rows}, {None}):
            return unit
        unit.discard()
        return None

    async def _pin_answer(self, fields: tuple[str, ...]) -> None:
        """Pin columns that the answer has and no description had."""
        known = {column.name for column in self.parts.report_columns(self.report.entity)}
        new = tuple(Column(name, "string") for name in column_names(fields) if name not in known)
        if new:
            await self.parts.pin_report(report_entity(self.report, new))


def _filled(value: Json, values: dict[str, str]) -> Json:
    if isinstance(value, str):
        for place, text in values.items():
            value = value.replace(place, text)
        return value
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value

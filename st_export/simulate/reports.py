"""Reporting: categories, reports, descriptions, and their data by POST: one run a minute, columns by name, cells of any type."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import orjson

from st_export.simulate.answers import Answer, invalid, json_answer, problem, rate_limited
from st_export.simulate.limits import IntervalLimit
from st_export.simulate.lists import Refused
from st_export.simulate.others import day_of

if TYPE_CHECKING:
    from st_export.simulate.calls import Call
    from st_export.simulate.options import Report

_DEFAULT_PAGE, _MAXIMUM_PAGE = 1_000, 25_000
_DESCRIBED_FOR_SECONDS = 600.0
_PARAMETERS = (("From", "Date", True), ("To", "Date", True), ("DateType", "Number", False))


class Reporting:
    """Answers all of the reporting module for one look-alike."""

    def __init__(self, reports: tuple[Report, ...]) -> None:
        self.reports = list(reports)
        self._throttle = IntervalLimit()
        self._described: dict[tuple[int, int], float] = {}

    def answer(self, call: Call) -> Answer:
        """Answer a call of the module."""
        path = call.match.route.path
        if "dynamic-value-sets" in path:
            return _table(call, [["1", "First"], ["2", "Second"]], [("Value", "Value"), ("Label", "Label")])
        if path.endswith("/report-categories"):
            names = sorted({each.category for each in self.reports})
            return _paged(call, [{"name": name.title(), "id": name} for name in names])
        category = call.match.ids[0]
        if path.endswith("/reports"):
            found = [each for each in self.reports if each.category == category]
            if not found:
                raise Refused(problem(404, "Category not found"))
            return _paged(
                call, [{"id": each.id, "name": each.name, "description": f"{each.name}.", "modifiedOn": _MODIFIED} for each in found]
            )
        report = next((each for each in self.reports if each.category == category and str(each.id) == call.match.ids[1]), None)
        if report is None:
            raise Refused(problem(404, "Report not found"))
        return self._data(call, report) if call.match.route.operation.method == "POST" else self._description(call, report)

    def _description(self, call: Call, report: Report) -> Answer:
        self._described[(call.tenant.id, report.id)] = time.monotonic()
        parameters = [
            {"name": name, "label": name, "dataType": kind, "isArray": False, "isRequired": required, "acceptValues": None}
            for name, kind, required in _PARAMETERS
        ]
        fields = [{"name": name, "label": name, "dataType": kind} for name, kind in report.fields]
        return json_answer(
            {
                "id": report.id,
                "name": report.name,
                "description": f"{report.name}.",
                "modifiedOn": _MODIFIED,
                "parameters": parameters,
                "fields": fields,
            }
        )

    def _data(self, call: Call, report: Report) -> Answer:
        wait = self._throttle.wait_after(f"{call.tenant.id}/{report.id}", call.options.report_interval_seconds)
        if wait:
            return rate_limited(wait, call.options.retry_after)
        parameters = _parameters(call.body)
        described = self._described.get((call.tenant.id, report.id), -1e9)
        if call.options.report_needs_description and time.monotonic() - described > _DESCRIBED_FOR_SECONDS:
            raise Refused(invalid("parameters", "Invalid report parameter"))
        for name, kind, required in _PARAMETERS:
            given = parameters.get(name)
            wrong = given is not None and kind == "Date" and day_of(str(given)) is None
            if (required and given is None) or wrong:
                raise Refused(invalid("parameters", f"Invalid report parameter {name}"))
        rows = report.rows if report.rows is not None else _made_up(call, report, parameters)
        return _table(call, [list(row) for row in rows], [(name, name) for name, _ in report.fields])


_MODIFIED = "2026-01-15T09:30:00.1234567Z"


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        return {each["name"]: each["value"] for each in orjson.loads(body)["parameters"]}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Refused(invalid("parameters", "The parameters are not valid.")) from None


def _made_up(call: Call, report: Report, parameters: dict[str, Any]) -> tuple[tuple[Any, ...], ...]:
    """Return the rows of a run: the same for the same parameters; cells do not always obey their declared type."""
    dice = random.Random(f"{call.options.seed}/{call.tenant.id}/{report.id}/{json.dumps(parameters, sort_keys=True)}")  # noqa: S311 - made-up data
    day = str(parameters.get("From"))

    def cell(kind: str) -> Any:
        if dice.random() < 0.04:
            return dice.choice([None, "007", "N/A", True])
        if kind == "Date":
            return f"{day}T00:00:00-05:00"
        return dice.randrange(100_000) / 100 if kind == "Number" else f"Row {dice.randrange(10_000)}"

    return tuple(tuple(cell(kind) for _, kind in report.fields) for _ in range(report.rows_a_run))


def _page_of(call: Call) -> tuple[int, int]:
    page, size = call.asked("page") or "1", call.asked("pageSize") or str(_DEFAULT_PAGE)
    if not (page.isdigit() and size.isdigit() and 1 <= int(size) <= _MAXIMUM_PAGE and int(page) >= 1):
        raise Refused(invalid("pageSize", f"A page of 1 to {_MAXIMUM_PAGE} rows is expected."))
    return int(page), int(size)


def _paged(call: Call, records: list[Any]) -> Answer:
    page, size = _page_of(call)
    shown = records[(page - 1) * size : page * size]
    total = len(records) if call.flag("includeTotal") else None
    document = {"page": page, "pageSize": size, "hasMore": page * size < len(records), "totalCount": total, "data": shown}
    return Answer(200, orjson.dumps(document), rows=len(shown))


def _table(call: Call, rows: list[list[Any]], fields: list[tuple[str, str]]) -> Answer:
    document = orjson.loads(_paged(call, rows).body)
    document["fields"] = [{"name": name, "label": label} for name, label in fields]
    return Answer(200, orjson.dumps(document), rows=len(document["data"]))

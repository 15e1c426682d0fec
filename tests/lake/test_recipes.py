"""The recipes over a small lake whose right answers are written down here, to the cent."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from st_export.catalog.load import Catalog, load_catalog
from st_export.catalog.schema import entity_schema
from st_export.lake.query import query
from st_export.lake.shape import Shape, entity_shape
from tests.lake.lakes import Lake, moment

pytestmark = pytest.mark.anyio
RECIPES = Path(__file__).parents[2] / "configs" / "recipes"


@pytest.fixture(scope="module")
def shapes() -> dict[str, Shape]:
    catalog: Catalog = load_catalog()
    return {str(name): entity_shape(entity, entity_schema(entity)) for name, entity in catalog.entities.items() if entity.alias_of is None}


async def run(lake: Lake, shapes: dict[str, Shape], recipe: str, **changes: str) -> list[dict[str, Any]]:
    sql = (RECIPES / recipe).read_text()
    for old, new in changes.items():
        assert old in sql
        sql = sql.replace(old, new)
    sink = io.StringIO()
    await query(lake.store, shapes.values(), sql, output="json", sink=sink)
    return list(orjson.loads(sink.getvalue()))


def invoice(key: int, day: str, sub_total: str, balance: str = "0", **more: Any) -> dict[str, Any]:
    money = {"subTotal": Decimal(sub_total), "salesTax": Decimal("1.01"), "total": Decimal(sub_total), "balance": Decimal(balance)}
    unit = {"businessUnit": {"id": 1, "name": "HVAC"}, "customer": {"id": 7, "name": "Ada"}, "referenceNumber": str(key)}
    return {"id": key, "invoiceDate": moment(day), "modifiedOn": moment(day), "active": True, **money, **unit, **more}


def line(key: int, invoice_id: int, quantity: str, price: str) -> dict[str, Any]:
    return {"id": key, "invoiceId": invoice_id, "quantity": Decimal(quantity), "price": Decimal(price), "active": True}


async def test_revenue_by_month(lake: Lake, shapes: dict[str, Shape]) -> None:
    invoices = shapes["accounting.invoices"]
    lake.commit(
        invoices, [invoice(1, "2026-10-31T23:59:59", "0.30"), invoice(2, "2026-11-01", "1234567.89"), invoice(3, "2026-11-02", "9")]
    )
    lake.commit(invoices, [invoice(3, "2026-11-03", "10.10"), {**invoice(4, "2026-11-04", "500"), "active": False}])
    items = [line(1, 1, "3", "0.1"), line(2, 2, "1.000000001", "1234567.89"), line(3, 3, "2.5", "4.04"), line(4, 4, "1", "500")]
    lake.commit(shapes["accounting.invoice-items"], items)
    same = {"tenant_id": 1001, "business_unit": "HVAC"}
    assert await run(lake, shapes, "revenue-by-month.sql") == [
        {**same, "month": "2026-10", "invoices": 1, "revenue": 0.3, "lines": 0.3, "sales_tax": 1.01},
        {**same, "month": "2026-11", "invoices": 2, "revenue": 1234577.99, "lines": 1234577.99, "sales_tax": 2.02},
    ]


async def test_technician_utilisation(lake: Lake, shapes: dict[str, Shape]) -> None:
    def visit(key: int, arrived: str, done: str | None, canceled: str | None = None) -> dict[str, Any]:
        times = {"arrivedOn": moment(arrived), "doneOn": done and moment(done), "canceledOn": canceled and moment(canceled)}
        return {"id": key, "technicianId": 5, "active": True, **times}

    def shift(key: int, start: str, end: str, kind: str = "Normal") -> dict[str, Any]:
        return {"id": key, "technicianId": 5, "shiftType": kind, "start": moment(start), "end": moment(end), "active": True}

    visits = [visit(1, "2026-11-16T08:00", "2026-11-16T10:30"), visit(2, "2026-11-17T08:00", "2026-11-17T09:00")]
    visits += [visit(3, "2026-11-17T10:00", None), visit(4, "2026-11-18T10:00", "2026-11-18T12:00", "2026-11-18T12:00")]
    lake.commit(shapes["payroll.jobs.timesheets"], visits)
    shifts = [shift(1, "2026-11-16T08:00", "2026-11-16T16:00"), shift(2, "2026-11-17T08:00", "2026-11-17T16:00", "TimeOff")]
    lake.commit(shapes["dispatch.technician-shifts"], [*shifts, shift(3, "2026-11-23T08:00", "2026-11-23T16:00")])
    lake.commit(shapes["settings.technicians"], [{"id": 5, "name": "Grace", "active": True}])
    same = {"tenant_id": 1001, "technician_id": 5, "technician": "Grace", "hours_on_shift": 8.0}
    assert await run(lake, shapes, "technician-utilisation.sql") == [
        {**same, "week": "2026-11-16", "hours_on_jobs": 3.5, "utilisation": 0.4375},
        {**same, "week": "2026-11-23", "hours_on_jobs": 0.0, "utilisation": 0.0},
    ]


async def test_open_estimates(lake: Lake, shapes: dict[str, Shape]) -> None:
    def estimate(key: int, status: str, subtotal: str) -> dict[str, Any]:
        created = datetime.now(UTC) - timedelta(days=3)
        words = {"name": "Furnace", "jobNumber": "77", "status": {"value": 0, "name": status}, "businessUnitName": "HVAC"}
        money = {"subtotal": Decimal(subtotal), "tax": Decimal("0.07")}
        return {"id": key, "customerId": 7, "createdOn": created, "modifiedOn": created, "active": True, **words, **money}

    lake.commit(shapes["sales.estimates"], [estimate(1, "Open", "99.99"), estimate(2, "Sold", "1"), estimate(3, "Open", "100.10")])
    lake.commit(shapes["sales.estimates"], [{**estimate(1, "Open", "120.01"), "modifiedOn": datetime.now(UTC)}])
    lake.commit(shapes["crm.customers"], [{"id": 7, "name": "Ada"}])
    found = await run(lake, shapes, "open-estimates.sql")
    assert [(row["estimate_id"], row["subtotal"], row["tax"], row["customer"], row["age_days"]) for row in found] == [
        (1, 120.01, 0.07, "Ada", 3),
        (3, 100.1, 0.07, "Ada", 3),
    ]


async def test_unpaid_invoices_by_age(lake: Lake, shapes: dict[str, Shape]) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    due = {days: today - timedelta(days=days) for days in (-5, 0, 1, 30, 31, 60, 61, 90, 91)}
    rows = [{**invoice(key, "2020-01-01", "10", "0.10"), "dueDate": due[days]} for key, days in enumerate(due)]
    rows += [{**invoice(20, "2020-01-01", "10", "5"), "dueDate": None}, {**invoice(21, "2020-01-01", "10", "-3"), "dueDate": today}]
    lake.commit(shapes["accounting.invoices"], rows)
    assert await run(lake, shapes, "unpaid-invoices-by-age.sql") == [
        {
            "tenant_id": 1001,
            "customer_id": 7,
            "customer": "Ada",
            "invoices": 10,
            "not_due": 0.2,
            "1-30": 0.2,
            "31-60": 0.2,
            "61-90": 0.2,
            "over 90": 5.1,
            "no_date": 0,
            "total": 5.9,
        }
    ]


async def test_the_history_of_one_job(lake: Lake, shapes: dict[str, Shape]) -> None:
    def job(status: str, modified: str, number: str = "77") -> dict[str, Any]:
        return {"id": 1, "jobNumber": number, "jobStatus": status, "total": Decimal("12.50"), "modifiedOn": moment(modified)}

    lake.commit(shapes["jpm.jobs"], [job("Scheduled", "2026-11-20T08:00"), {**job("Done", "2026-11-20", "78"), "id": 2}])
    lake.commit(shapes["jpm.jobs"], [job("Completed", "2026-11-21T08:00")])
    times = {"start": moment("2026-11-21T06:00"), "end": moment("2026-11-21T07:00"), "modifiedOn": moment("2026-11-20T09:00")}
    lake.commit(shapes["jpm.appointments"], [{"id": 3, "jobId": 1, "appointmentNumber": "77-1", "status": "Done", **times}])
    lake.commit(shapes["jpm.job-notes"], [{"id": 4, "jobId": 1, "text": "gate code", "createdOn": moment("2026-11-20T08:30")}])
    lake.commit(shapes["jpm.job-history"], [{"jobId": 1, "history": [{"eventType": "Job Booked", "date": moment("2026-11-20T07:00")}]}])
    lake.commit(shapes["accounting.invoices"], [invoice(9, "2026-11-22", "12.50", job={"id": 1}, createdOn=moment("2026-11-22"))])
    found = await run(lake, shapes, "job-history.sql", **{"'1' AS": "'77' AS"})
    assert [(row["happened_at"][:16], row["what"], row["detail"]) for row in found] == [
        ("2026-11-20T07:00", "event", "Job Booked"),
        ("2026-11-20T08:00", "job", "Scheduled, total 12.50"),
        ("2026-11-20T08:30", "note", "gate code"),
        ("2026-11-20T09:00", "appointment 77-1", "Done, 2026-11-21 06:00:00+00 to 2026-11-21 07:00:00+00"),
        ("2026-11-21T08:00", "job", "Completed, total 12.50"),
        ("2026-11-22T00:00", "invoice 9", "total 12.50, balance 0.00"),
    ]


async def test_every_recipe_runs_on_an_empty_lake(lake: Lake, shapes: dict[str, Shape]) -> None:
    recipes = sorted(path.name for path in RECIPES.glob("*.sql"))
    assert recipes == [
        "job-history.sql",
        "open-estimates.sql",
        "revenue-by-month.sql",
        "technician-utilisation.sql",
        "unpaid-invoices-by-age.sql",
    ]
    for recipe in recipes:
        assert await run(lake, shapes, recipe) == []


def test_no_two_entities_share_a_view(shapes: dict[str, Shape]) -> None:
    names = [name for shape in shapes.values() for name in (shape.view, (shape.view[0], f"{shape.view[1]}_log"))]
    assert len(names) == len(set(names))

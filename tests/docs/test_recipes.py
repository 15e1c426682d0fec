"""The recipes over an exported look-alike, each held to the cent against sums over the look-alike's own records, made here anew."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from st_export.commands.app import run
from tests.docs.documents import ROOT
from tests.lookalike import service

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.simulate.server import LookAlike

ENTITIES = (
    "accounting.invoices", "accounting.invoice-items", "sales.estimates", "crm.customers", "payroll.jobs.timesheets",
    "dispatch.technician-shifts", "dispatch.appointment-assignments", "settings.technicians", "jpm.jobs", "jpm.appointments",
    "jpm.job-notes", "jpm.job-history",
)  # fmt: skip
CENT = Decimal("0.01")
Records = dict[str, list[dict[str, Any]]]


class Exported:
    """The lake, and what the look-alike holds: the newest version of every record, numbers as they were sent."""

    def __init__(self, folder: Path, records: Records) -> None:
        self.folder = folder
        self.records = records

    def active(self, name: str) -> list[dict[str, Any]]:
        return [record for record in self.records[name] if record.get("active") is not False]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("lake")

    async def export() -> Records:
        async with service(folder, {"rows": 60, "years": 0.25, "now": None}) as tried:
            _open_some_estimates(tried.look_alike)
            assert (await tried.run(*ENTITIES)).bad() == {}
            return {name: _current(tried.look_alike, name) for name in ENTITIES}

    return Exported(folder, anyio.run(export))


def _open_some_estimates(look_alike: LookAlike) -> None:
    for number, version in enumerate(look_alike.truth("sales.estimates", current_only=True)):
        if number % 3 == 0:
            look_alike.simulation.changes.modify("sales.estimates", version.id, {"status": {"value": 0, "name": "Open"}})


def _current(look_alike: LookAlike, name: str) -> list[dict[str, Any]]:
    return [json.loads(version.record, parse_float=Decimal) for version in look_alike.truth(name, current_only=True)]


@pytest.fixture
def ask(exported: Exported, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    def answer(recipe: str, **changes: str) -> list[dict[str, Any]]:
        sql = (ROOT / "configs" / "recipes" / recipe).read_text()
        for old, new in changes.items():
            assert old in sql
            sql = sql.replace(old, new)
        assert run(["query", "--lake", str(exported.folder), "--json", sql]) == 0
        found: list[dict[str, Any]] = json.loads(capfdbinary.readouterr().out, parse_float=Decimal)
        return found

    return answer


def money(value: Any) -> Decimal:
    """Return an amount as the API spells it, as text or number; null counts nothing."""
    return Decimal(value) if value is not None else Decimal(0)


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def day_of(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(f"{text[:26].removesuffix('Z')}+00:00")


def test_revenue_by_month(exported: Exported, ask: Any) -> None:
    amounts: dict[int, Decimal] = defaultdict(Decimal)
    for line in exported.active("accounting.invoice-items"):
        if line["quantity"] is not None and line["price"] is not None:
            amounts[line["invoiceId"]] += money(line["quantity"]) * money(line["price"])
    expected: dict[tuple[str | None, str | None], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for invoice in exported.active("accounting.invoices"):
        group = (invoice["invoiceDate"] and invoice["invoiceDate"][:7], (invoice["businessUnit"] or {}).get("name"))
        added = (money(invoice["subTotal"]), amounts.get(invoice["id"], Decimal(0)), money(invoice["salesTax"]))
        expected[group] = [before + more for before, more in zip(expected[group], added, strict=True)]
    found = ask("revenue-by-month.sql")
    assert {(row["month"], row["business_unit"]): [money(row[name]) for name in ("revenue", "lines", "sales_tax")] for row in found} == {
        group: [cents(value) for value in values] for group, values in expected.items()
    }
    assert sum(row["invoices"] for row in found) == len(exported.active("accounting.invoices")) > 30


def test_open_estimates(exported: Exported, ask: Any) -> None:
    names = {customer["id"]: customer["name"] for customer in exported.records["crm.customers"]}
    expected = [
        (estimate["id"], cents(money(estimate["subtotal"])), cents(money(estimate["tax"])), names.get(estimate["customerId"]))
        for estimate in exported.active("sales.estimates")
        if (estimate["status"] or {}).get("name") == "Open"
    ]
    found = ask("open-estimates.sql")
    assert [(row["estimate_id"], money(row["subtotal"]), money(row["tax"]), row["customer"]) for row in found] == sorted(
        expected, key=lambda row: (-row[1], row[0])
    )
    assert len(found) > 3


def test_unpaid_invoices_by_age(exported: Exported, ask: Any) -> None:
    today = datetime.now(UTC).date()
    expected: dict[int | None, dict[str, Decimal]] = {}
    for invoice in exported.active("accounting.invoices"):
        if money(invoice["balance"]) > 0:
            due = day_of(invoice["dueDate"] or invoice["invoiceDate"])
            days = (today - due).days if due else None
            age = "no_date" if days is None else "not_due" if days <= 0 else "over 90" if days > 90 else f"{(days - 1) // 30 * 30 + 1}-"
            sums = expected.setdefault((invoice["customer"] or {}).get("id"), defaultdict(Decimal))
            for name in (age, "total"):
                sums[name] += money(invoice["balance"])
    found = ask("unpaid-invoices-by-age.sql")
    ages = {
        "not_due": "not_due",
        "1-30": "1-",
        "31-60": "31-",
        "61-90": "61-",
        "over 90": "over 90",
        "no_date": "no_date",
        "total": "total",
    }
    assert {row["customer_id"]: {name: money(row[name]) for name in ages} for row in found} == {
        customer: {name: cents(sums[short]) for name, short in ages.items()} for customer, sums in expected.items()
    }
    assert len(found) > 10


def test_technician_utilisation(exported: Exported, ask: Any) -> None:
    hours: dict[tuple[int, date], list[timedelta]] = defaultdict(lambda: [timedelta(0)] * 2)

    def add(place: int, technician: int, start: str, end: str) -> None:
        day = moment_of(start).date()
        group = hours[technician, day - timedelta(days=day.weekday())]
        group[place] += moment_of(end) - moment_of(start)

    for visit in exported.active("payroll.jobs.timesheets"):
        if (
            not visit["canceledOn"]
            and visit["arrivedOn"]
            and visit["doneOn"]
            and moment_of(visit["doneOn"]) > moment_of(visit["arrivedOn"])
        ):
            add(0, visit["technicianId"], visit["arrivedOn"], visit["doneOn"])
    for shift in exported.active("dispatch.technician-shifts"):
        if shift["shiftType"] != "TimeOff":
            add(1, shift["technicianId"], shift["start"], shift["end"])
    found = ask("technician-utilisation.sql")
    told = {(row["technician_id"], date.fromisoformat(row["week"])): (row["hours_on_jobs"], row["hours_on_shift"]) for row in found}
    assert set(told) == set(hours)
    for key, values in hours.items():
        assert [float(value) for value in told[key]] == pytest.approx([value / timedelta(hours=1) for value in values], abs=0.0051)


def test_the_history_of_one_job(exported: Exported, ask: Any) -> None:
    notes = exported.records["jpm.job-notes"]
    job = next(job for job in exported.records["jpm.jobs"] if any(note["jobId"] == job["id"] for note in notes))
    found = ask("job-history.sql", **{"'1' AS": f"'{job['jobNumber']}' AS"})
    assert [row["detail"] for row in found if row["what"] == "job"] == [f"{job['jobStatus']}, total {cents(money(job['total']))}"]
    assert sorted(row["detail"] for row in found if row["what"] == "note") == sorted(
        note["text"] for note in notes if note["jobId"] == job["id"]
    )
    invoices = [invoice for invoice in exported.records["accounting.invoices"] if (invoice["job"] or {}).get("id") == job["id"]]
    assert sorted(row["detail"] for row in found if row["what"].startswith("invoice ")) == sorted(
        f"total {cents(money(invoice['total']))}, balance {cents(money(invoice['balance']))}" for invoice in invoices
    )

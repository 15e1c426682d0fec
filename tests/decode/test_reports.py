"""Report answers, and rows against the window that was asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from st_export.decode.bounds import outside
from st_export.decode.reports import column_names
from st_export.flow import Window
from tests.decode.cases import column, decode, entity, rows


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (("Total", "total", "TOTAL"), ("Total", "total_2", "TOTAL_3")),
        (("a", "a_2", "a"), ("a", "a_2", "a_3")),
        (("a", "a", "a_2"), ("a", "a_2", "a_2_2")),
        (("", "x"), ("column_1", "x")),
    ],
)
def test_repeated_names_are_numbered(fields: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert column_names(fields) == names


def test_rows_are_matched_by_the_answers_own_fields() -> None:
    report = entity(column("Name", "string"), column("Number", "decimal"), column("number_2", "double"), kind="report")
    fields = [{"name": name} for name in ("Number", "number", "New", "Name")]
    body = {"fields": fields, "data": [["007", 1.5, True, "a"], [2], ["x", None, 1, 3, 4], {}], "hasMore": False}
    (decoded,) = decode(report, body)
    found = [{name: value for name, value in row.items() if not name.startswith("_window")} for row in rows([decoded])]
    assert found == [
        {"Name": "a", "Number": None, "number_2": 1.5, "_rescued": {"Number": "007", "New": True}},
        {"Name": None, "Number": Decimal(2), "number_2": None},
        {"Name": None, "Number": None, "number_2": None, "_rescued": {"Number": "x", "New": 1, "Name": 3, "[4]": 4}},
        {"Name": None, "Number": None, "number_2": None},
    ]


WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))


def test_rows_outside_the_window_are_found() -> None:
    times = [datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), WINDOW.start, datetime(2026, 11, 1, 23, tzinfo=UTC), WINDOW.end, None]
    batch = pa.record_batch({"on": pa.array(times, pa.timestamp("us", tz="UTC"))})
    assert outside(batch, "on", WINDOW).to_pylist() == [True, False, False, True, False]
    assert sum(outside(batch, "on", WINDOW, timedelta(seconds=1)).to_pylist()) == 0
    assert sum(outside(batch, "on", Window(WINDOW.start)).to_pylist()) == 1
    assert sum(outside(batch, "gone", WINDOW).to_pylist()) == 0


def test_dates_and_nested_times_are_held_against_the_window_too() -> None:
    days = pa.array([date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)])
    inner = pa.array([{"on": WINDOW.end}, None, {"on": None}], pa.struct([("on", pa.timestamp("us", tz="UTC"))]))
    batch = pa.record_batch({"day": days, "call": inner})
    assert outside(batch, "day", WINDOW).to_pylist() == [True, False, True]
    assert outside(batch, "call.on", WINDOW).to_pylist() == [True, False, False]

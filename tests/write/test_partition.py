"""Which folder a row goes to."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.catalog.entity import Column, Entity
from st_export.flow import EntityName
from st_export.write.partition import Partitioning, partitioning

US = pa.timestamp("us", "UTC")
RUN_DAY = date(2026, 11, 25)


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def texts(where: Partitioning, rows: pa.RecordBatch) -> tuple[str | None, ...]:
    return where.texts(where.numbers(rows))


def at(*moments: str | None) -> pa.Array:
    return pa.array([None if text is None else datetime.fromisoformat(text) for text in moments], US)


def test_the_first_time_that_is_there_counts() -> None:
    rows = batch(
        modifiedOn=at("2026-11-23T23:59:59.999999Z", None, None),
        createdOn=at("2026-01-01T00:00:00Z", "2026-02-03T00:00:00Z", None),
    )
    where = Partitioning("day", ("modifiedOn", "createdOn"), RUN_DAY)
    assert texts(where, rows) == ("2026-11-23", "2026-02-03", "2026-11-25")


def test_the_override_is_tried_before_all_others() -> None:
    entity = Entity(
        EntityName("a.b"), "feed", "/a", (Column("id", "int64"),), modified="modifiedOn", created="createdOn", partition_by=("postDate",)
    )
    where = partitioning(entity, "day", run_day=RUN_DAY, partition_by="createdOn")
    assert where.columns == ("createdOn", "modifiedOn", "postDate")
    rows = batch(modifiedOn=at("2026-11-23T00:00:00Z"), createdOn=at("2026-01-01T00:00:00Z"))
    assert texts(where, rows) == ("2026-01-01",)


def test_months_are_of_the_utc_date() -> None:
    rows = batch(modifiedOn=at("2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z"))
    assert texts(Partitioning("month", ("modifiedOn",), RUN_DAY), rows) == ("2026-11", "2026-12", "0001-01", "1969-12")


def test_a_nested_column_and_a_civil_date_serve_too() -> None:
    calls = pa.array([{"modifiedOn": datetime(2026, 5, 6, tzinfo=UTC)}, None], pa.struct([("modifiedOn", US)]))
    rows = batch(leadCall=calls, postDate=pa.array([None, date(2026, 7, 8)], pa.date32()))
    assert texts(Partitioning("day", ("leadCall.modifiedOn", "postDate"), RUN_DAY), rows) == ("2026-05-06", "2026-07-08")


def test_what_holds_no_time_is_passed_over() -> None:
    rows = batch(name=pa.array(["2026-01-01"]), leadCall=pa.array([1]))
    assert texts(Partitioning("day", ("absent", "name", "leadCall.modifiedOn"), RUN_DAY), rows) == ("2026-11-25",)


def test_what_was_asked_for_a_day_lies_there() -> None:
    rows = batch(modifiedOn=at("2026-11-23T00:00:00Z"))
    asked = date(2026, 10, 31)
    assert texts(Partitioning("day", ("modifiedOn",), RUN_DAY, asked), rows) == ("2026-10-31",)
    assert texts(Partitioning("month", ("modifiedOn",), RUN_DAY, asked), rows) == ("2026-10",)


def test_without_partition_there_is_none() -> None:
    assert texts(Partitioning("none", ("modifiedOn",), RUN_DAY), batch(modifiedOn=at("2026-11-23T00:00:00Z"))) == (None,)


@given(st.lists(st.one_of(st.none(), st.datetimes()), min_size=1, max_size=20), st.sampled_from(["day", "month"]))
def test_every_moment_lies_in_its_own_date(moments: list[datetime | None], kind: str) -> None:
    rows = batch(modifiedOn=pa.array([moment and moment.replace(tzinfo=UTC) for moment in moments], US))
    expected = tuple((moment.date() if moment else RUN_DAY).isoformat()[: 10 if kind == "day" else 7] for moment in moments)
    assert texts(Partitioning(kind, ("modifiedOn",), RUN_DAY), rows) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["day", "month"])
def test_all_rows_without_times_lie_in_the_run(kind: str) -> None:
    rows = batch(modifiedOn=pa.nulls(2, US))
    assert set(texts(Partitioning(kind, ("modifiedOn",), RUN_DAY), rows)) == {RUN_DAY.isoformat()[: 10 if kind == "day" else 7]}  # type: ignore[arg-type]

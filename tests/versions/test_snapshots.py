"""Snapshots: written whole when anything differs, and not at all when nothing does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from st_export.commit.lakerows import RowColumns
from st_export.commit.pairs import Origin
from st_export.commit.snapshots import SnapshotRead
from st_export.flow import RunId, TenantId
from st_export.write.spill import Spill

US = pa.timestamp("us", "UTC")
START = datetime(2026, 11, 1, tzinfo=UTC)
OWN = [("_tenant_id", pa.int64()), ("_exported_at", US), ("_run_id", pa.string()), ("_deleted", pa.bool_()), ("_rescued", pa.string())]
PLAIN = pa.schema([("name", pa.string()), ("cells", pa.list_(pa.float64())), *OWN])
WINDOWED = pa.schema([("name", pa.string()), ("_window_from", US), ("_window_to", US), ("_segment", pa.string()), *OWN])
CHILDREN = pa.schema([("name", pa.string()), ("_parent_id", pa.int64()), ("_parent_ids", pa.list_(pa.string())), *OWN])


class Reads:
    """Readings of one entity, one after the other."""

    def __init__(self, lake: Any, schema: pa.Schema, piece_bytes: int = 1 << 24) -> None:
        self.lake, self.schema, self.piece_bytes, self.number = lake, schema, piece_bytes, 0

    def read(
        self, rows: list[dict[str, Any]], asked: list[dict[str, Any]] | None = None, at: datetime | None = None
    ) -> list[dict[str, Any]]:
        self.number += 1
        now = at or START + timedelta(days=self.number)
        own = {"_tenant_id": 1001, "_exported_at": now, "_run_id": "r", "_deleted": False}
        tables = [pa.Table.from_pylist([{**row, **own}], schema=self.schema) for row in rows]
        snapshot = SnapshotRead(
            RowColumns("report.revenue", 1001, self.schema, (), None),
            self.lake,
            lambda schema: Spill(self.lake.spool, schema),
            Origin(TenantId(1001), RunId("r"), now),
            piece_bytes=self.piece_bytes,
        )
        changes = list(snapshot.changes(lambda: iter(tables), rows=len(rows), size=len(rows) * 100, asked=asked))
        self.lake.put([("2026-11-01", change) for change in changes], self.schema, entity="report.revenue")
        return [row for change in changes for row in change.to_pylist()]


def names(rows: list[dict[str, Any]]) -> list[str | None]:
    return [row["name"] for row in rows]


def test_a_snapshot_is_written_once(lake: Any) -> None:
    reads = Reads(lake, PLAIN)
    rows = [{"name": "a", "cells": [1.0, None]}, {"name": "b", "cells": []}, {"name": "a", "cells": [1.0, None]}]
    assert names(reads.read(rows)) == ["a", "b", "a"]
    assert reads.read([rows[1], rows[0], rows[2]]) == []


def test_numbers_of_equal_rows_count(lake: Any) -> None:
    reads = Reads(lake, PLAIN)
    reads.read([{"name": "a"}, {"name": "b"}, {"name": "b"}])
    written = reads.read([{"name": "a"}, {"name": "a"}, {"name": "b"}])
    assert names(written) == ["a", "a", "b"]
    assert {row["_exported_at"] for row in written} == {START + timedelta(days=2)}


def test_what_becomes_empty_is_one_row_of_nulls(lake: Any) -> None:
    reads = Reads(lake, PLAIN)
    reads.read([{"name": "a"}])
    [stone] = reads.read([])
    own = {"_tenant_id": 1001, "_exported_at": START + timedelta(days=2), "_run_id": "r", "_deleted": True}
    assert stone == dict.fromkeys(PLAIN.names) | own
    assert reads.read([]) == []
    assert names(reads.read([{"name": "a"}])) == ["a"]


def test_each_window_and_segment_is_a_snapshot_of_its_own(lake: Any) -> None:
    reads = Reads(lake, WINDOWED)
    day = {"_window_from": START, "_window_to": START + timedelta(days=1), "_segment": "campaign"}
    next_day = {"_window_from": day["_window_to"], "_window_to": START + timedelta(days=2), "_segment": None}
    reads.read([{"name": "a", **day}, {"name": "b", **next_day}], [day, next_day])
    assert names(reads.read([{"name": "a", **day}, {"name": "c", **next_day}], [day, next_day])) == ["c"]
    [stone] = reads.read([], [day])
    assert {name: stone[name] for name in ("name", *day, "_deleted")} == {"name": None, **day, "_deleted": True}


def test_a_window_that_was_not_asked_stays(lake: Any) -> None:
    reads = Reads(lake, CHILDREN)
    reads.read([{"name": "a", "_parent_id": 11}, {"name": "b", "_parent_id": 12}])
    assert reads.read([{"name": "a", "_parent_id": 11}], [{"_parent_id": 11}]) == []
    assert [(row["_parent_id"], row["_deleted"]) for row in reads.read([{"name": "a", "_parent_id": 11}])] == [(12, True)]


def test_a_clock_that_went_back_hides_nothing(lake: Any) -> None:
    reads = Reads(lake, PLAIN)
    reads.read([{"name": "a"}], at=START + timedelta(days=20))
    [row] = reads.read([{"name": "b"}], at=START)
    assert row["_exported_at"] == START + timedelta(days=20, microseconds=1)
    assert reads.read([{"name": "b"}], at=START) == []


readings = st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from("ab")), max_size=6)


@settings(max_examples=60, deadline=None)
@given(nights=st.lists(readings, min_size=1, max_size=5), piece_bytes=st.sampled_from([100, 1 << 24]))
def test_a_group_is_written_when_its_rows_differ(lake_folder: Any, nights: list[list[tuple[int, str]]], piece_bytes: int) -> None:
    with TemporaryDirectory() as folder:
        reads = Reads(lake_folder(Path(folder)), CHILDREN, piece_bytes)
        before: dict[int, Counter[str]] = {}
        for night in nights:
            now = {parent: Counter(name for one, name in night if one == parent) for parent in (1, 2)}
            written = reads.read([{"name": name, "_parent_id": parent} for parent, name in night])
            for parent in (1, 2):
                rows = [row for row in written if row["_parent_id"] == parent]
                expected = now[parent] if now[parent] != before.get(parent, Counter()) else Counter()
                assert Counter(row["name"] for row in rows if not row["_deleted"]) == expected
                assert any(row["_deleted"] for row in rows) is (not now[parent] and bool(before.get(parent)))
            before = now
        assert list(reads.lake.spool.iterdir()) == []

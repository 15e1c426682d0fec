"""Whole reads against a model: the lake's current rows are what the service shows, and nothing is written without need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from st_export.commit.lakerows import RowColumns
from st_export.commit.pairs import Origin
from st_export.commit.whole import EVERYTHING, NOTHING, Extent, WholeRead
from st_export.flow import RunId, TenantId
from st_export.write.spill import Spill

US = pa.timestamp("us", "UTC")
START = datetime(2026, 11, 1, tzinfo=UTC)
OWN = [("_tenant_id", pa.int64()), ("_exported_at", US), ("_run_id", pa.string()), ("_deleted", pa.bool_()), ("_rescued", pa.string())]
KEY = [pa.field("id", pa.int64(), nullable=False), pa.field("code", pa.string(), nullable=False)]
SCHEMA = pa.schema([*KEY, ("name", pa.string()), ("modifiedOn", US), ("tags", pa.list_(pa.string())), ("_parent_id", pa.int64()), *OWN])


class Runs:
    """Whole reads of one entity, one after the other."""

    def __init__(self, lake: Any, modified: str | None = "modifiedOn", piece_bytes: int = 1 << 24) -> None:
        self.lake, self.piece_bytes, self.number = lake, piece_bytes, 0
        self.modified = modified
        self.columns = RowColumns("jpm.jobs", 1001, SCHEMA, ("id", "code"), modified)

    def read(self, rows: list[dict[str, Any]], extent: Extent = EVERYTHING, at: datetime | None = None) -> list[dict[str, Any]]:
        self.number += 1
        now = at or START + timedelta(days=self.number)
        own = {"_tenant_id": 1001, "_exported_at": now, "_run_id": f"r{self.number}", "_deleted": False, "_rescued": None}
        table = pa.Table.from_pylist([{**row, **own} for row in rows], schema=SCHEMA)
        whole = WholeRead(
            self.columns,
            self.lake,
            lambda schema: Spill(self.lake.spool, schema),
            Origin(TenantId(1001), RunId(f"r{self.number}"), now),
            piece_bytes=self.piece_bytes,
        )
        changes = list(whole.changes([table], rows=table.num_rows, size=table.nbytes, extent=extent))
        self.lake.put([(f"2026-11-{self.number:02d}", change) for change in changes], SCHEMA, ("id", "code"))
        return [row for change in changes for row in change.to_pylist()]

    def current(self) -> list[tuple[Any, ...]]:
        """Return the current rows as the contract defines them, by DuckDB."""
        newest = "modifiedOn DESC NULLS LAST, " if self.modified else ""
        query = f"""SELECT id, code, name, modifiedOn::VARCHAR, tags FROM (SELECT *,
            row_number() OVER (PARTITION BY id, code ORDER BY _deleted, {newest}_exported_at DESC) AS place,
            max(_exported_at) FILTER (_deleted) OVER (PARTITION BY id, code) AS gone,
            max(_exported_at) FILTER (NOT _deleted) OVER (PARTITION BY id, code) AS seen
            FROM read_parquet('{self.lake.root}/*/*/*/*.parquet')) WHERE place = 1 AND NOT _deleted AND (gone IS NULL OR gone <= seen)
            ORDER BY ALL"""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(query).fetchall()


def record(number: int, name: str = "a", day: int | None = 1, tags: list[str] | None = None, parent: int | None = None) -> dict[str, Any]:
    modified = None if day is None else START + timedelta(hours=day)
    return {"id": number, "code": "c", "name": name, "modifiedOn": modified, "tags": tags, "_parent_id": parent}


def shown(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    def text(moment: datetime | None) -> str | None:
        return None if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S+00")

    return sorted((row["id"], row["code"], row["name"], text(row["modifiedOn"]), row["tags"]) for row in rows)


def brief(rows: list[dict[str, Any]]) -> list[tuple[int, str | None, bool]]:
    return sorted((row["id"], row["name"], row["_deleted"]) for row in rows)


states = st.dictionaries(st.integers(1, 6), st.tuples(st.sampled_from("ab"), st.sampled_from([None, [], ["x"]])), max_size=6)


@settings(max_examples=60, deadline=None)
@given(nights=st.lists(states, min_size=1, max_size=6), piece_bytes=st.sampled_from([200, 1 << 24]), has_time=st.booleans())
def test_the_current_rows_are_what_the_service_shows(
    lake_folder: Any, nights: list[dict[int, tuple[str, list[str] | None]]], piece_bytes: int, has_time: bool
) -> None:
    with TemporaryDirectory() as folder:
        runs = Runs(lake_folder(Path(folder)), "modifiedOn" if has_time else None, piece_bytes)
        before: dict[int, tuple[str, list[str] | None]] = {}
        for night in nights:
            rows = [record(number, name, 1, tags) for number, (name, tags) in night.items()]
            written = runs.read(rows + rows[:2])
            changed = {number for number in night if before.get(number) != night[number]}
            assert sorted((row["id"], row["_deleted"]) for row in written) == sorted(
                [(number, False) for number in changed] + [(number, True) for number in before.keys() - night.keys()]
            )
            if runs.lake.files("jpm.jobs", 1001, None):
                assert runs.current() == shown(rows)
            before = night
        assert list(runs.lake.spool.iterdir()) == []


def test_an_equal_reading_writes_nothing(lake: Any) -> None:
    runs = Runs(lake)
    assert len(runs.read([record(number) for number in range(1, 4)])) == 3
    assert runs.read([record(number) for number in (3, 1, 2)]) == []


def test_a_tombstone_is_the_key_and_nulls(lake: Any) -> None:
    runs = Runs(lake)
    runs.read([record(1, parent=7, tags=["x"])])
    [stone] = runs.read([])
    moment = START + timedelta(days=2)
    own = {"_tenant_id": 1001, "_exported_at": moment, "_run_id": "r2", "_deleted": True}
    assert stone == dict.fromkeys(SCHEMA.names) | {"id": 1, "code": "c"} | own
    assert runs.read([]) == []


def test_a_key_that_returns_is_written_again(lake: Any) -> None:
    runs = Runs(lake)
    runs.read([record(1)])
    runs.read([])
    assert brief(runs.read([record(1)])) == [(1, "a", False)]
    assert runs.read([record(1)]) == []
    assert runs.current() == shown([record(1)])


def test_a_row_that_changes_back_is_current_again(lake: Any) -> None:
    runs = Runs(lake)
    for name in "aba":
        assert len(runs.read([record(1, name)])) == 1
    assert runs.current() == shown([record(1, "a")])


def test_an_older_version_than_the_current_is_written_once(lake: Any) -> None:
    runs = Runs(lake)
    runs.read([record(1, "new", day=5)])
    assert brief(runs.read([record(1, "old", day=3)])) == [(1, "old", False)]
    assert runs.read([record(1, "old", day=3)]) == []


def test_two_states_in_one_reading_are_both_kept_and_the_later_is_current(lake: Any) -> None:
    runs = Runs(lake)
    assert brief(runs.read([record(1, "b"), record(1, "a")])) == [(1, "a", False), (1, "b", False)]
    assert runs.current() == shown([record(1, "a")])
    assert runs.read([record(1, "b"), record(1, "a")]) == []


def test_a_clock_that_went_back_hides_nothing(lake: Any) -> None:
    runs = Runs(lake)
    runs.read([record(1), record(2)], at=START + timedelta(days=20))
    runs.read([record(1, "b")], at=START)
    assert runs.current() == shown([record(1, "b")])


def test_a_part_of_the_whole_makes_no_tombstones(lake: Any) -> None:
    runs = Runs(lake)
    runs.read([record(1), record(2)])
    assert brief(runs.read([record(2, "b")], NOTHING)) == [(2, "b", False)]
    assert runs.read([record(2, "b")], NOTHING) == []


def test_children_are_gone_only_from_parents_that_were_read(lake: Any) -> None:
    runs = Runs(lake)
    runs.read([record(1, parent=11), record(2, parent=11), record(3, parent=12), record(4, parent=13)])
    extent = Extent(everything=False, parents=frozenset({11, 13}))
    assert brief(runs.read([record(1, parent=11)], extent)) == [(2, None, True), (4, None, True)]


def test_many_keys_go_through_buckets(lake: Any) -> None:
    runs = Runs(lake, piece_bytes=50_000)
    rows = [record(number, "x" * 50) for number in range(3_000)]
    assert len(runs.read(rows)) == 3_000
    assert runs.read(rows) == []
    assert brief(runs.read([*rows[5:], record(3_000)])) == sorted([(number, None, True) for number in range(5)] + [(3_000, "a", False)])


@pytest.mark.parametrize("modified", [None, "modifiedOn"])
def test_nothing_read_of_nothing_is_nothing(lake: Any, modified: str | None) -> None:
    assert Runs(lake, modified).read([]) == []

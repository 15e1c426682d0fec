"""`catalog.json`: what stands in the lake, brought up to date from the manifests that came since."""

from __future__ import annotations

import orjson
import pytest

from st_export.lake.describe import describe
from st_export.lake.index import entity_index, from_ranges, ranges, read_catalog
from tests.lake.lakes import JOBS, ROLES, Lake, job, moment

pytestmark = pytest.mark.anyio
NOW = moment("2026-11-24T00:00:00")


async def test_an_entity_is_described(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")], partition="2026-11-20")
    lake.commit(JOBS, [job(1, "2026-11-21", "a"), job(2, None, "a")], partition="2026-11-21")
    lake.commit(JOBS, [job(2, None, "b")], partition="2026-11-23", tenant=1002)
    document = (await describe(lake.store, [JOBS, ROLES], now=NOW))["entities"]
    assert list(document) == ["jpm.jobs"]
    index = document["jpm.jobs"].pop("index")
    size = document["jpm.jobs"].pop("bytes")
    columns = document["jpm.jobs"].pop("columns")
    assert document["jpm.jobs"] == {
        "view": "jpm.jobs",
        "log_view": "jpm.jobs_log",
        "folder": "jpm.jobs/",
        "key": ["id"],
        "modified": "modifiedOn",
        "partition": "day",
        "rows": 4,
        "files": 3,
        "days": [["2026-11-20", "2026-11-21"], ["2026-11-23", "2026-11-23"]],
    }
    assert size == sum(path.stat().st_size for path in lake.root.rglob("*.parquet"))
    assert columns[:2] == [
        {"name": "id", "type": "int64", "nullable": False},
        {"name": "modifiedOn", "type": "timestamp[us, UTC]", "nullable": True},
    ]
    assert {tenant: (files["ordinal"], files["rows"]) for tenant, files in index["tenants"].items()} == {"1001": (2, 3), "1002": (1, 1)}


async def test_only_later_manifests_are_read_and_an_idle_night_writes_nothing(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    await describe(lake.store, [JOBS], now=NOW)
    before = (lake.root / "_st_export/catalog.json").read_bytes()
    first = lake.manifest_path(JOBS, 1001, 1, "run-0001-u0001")
    first.write_bytes(b"not read again")
    await describe(lake.store, [JOBS], now=moment("2026-11-25"))
    assert (lake.root / "_st_export/catalog.json").read_bytes() == before
    lake.commit(JOBS, [job(2, "2026-11-20", "a")])
    assert (await describe(lake.store, [JOBS], now=NOW, entities=["jpm.jobs"]))["entities"]["jpm.jobs"]["rows"] == 2


async def test_a_damaged_catalog_is_made_anew(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    whole = await describe(lake.store, [JOBS], now=NOW)
    (lake.root / "_st_export/catalog.json").write_bytes(orjson.dumps(whole)[:50])
    assert await read_catalog(lake.store) == {}
    assert await describe(lake.store, [JOBS], now=NOW) == whole


async def test_manifests_taken_away_by_hand_are_noticed(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    lake.commit(JOBS, [job(2, "2026-11-20", "a")])
    catalog = await describe(lake.store, [JOBS], now=NOW)
    lake.manifest_path(JOBS, 1001, 2, "run-0001-u0002").unlink()
    assert (await entity_index(lake.store, "jpm.jobs", catalog)).rows == 1


async def test_an_entity_that_left_the_catalog_is_still_described(lake: Lake) -> None:
    lake.commit(ROLES, [{"id": 1, "name": "x"}])
    document = (await describe(lake.store, [], now=NOW))["entities"]["settings.user-roles"]
    assert (document["rows"], document["days"], document["columns"][0]["name"]) == (1, [], "id")


def test_days_as_ranges_and_back() -> None:
    days = {"2026-10-31", "2026-11-01", "2026-11-03", "9999-12-31", "0001-01-01"}
    closed = ranges(days)
    assert closed == [
        ["0001-01-01", "0001-01-01"],
        ["2026-10-31", "2026-11-01"],
        ["2026-11-03", "2026-11-03"],
        ["9999-12-31", "9999-12-31"],
    ]
    assert set(from_ranges(closed)) == days
    assert ranges({"2026-10", "2026-11"}) == [["2026-10", "2026-10"], ["2026-11", "2026-11"]]

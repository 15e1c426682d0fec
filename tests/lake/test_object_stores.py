"""The same lake in an object store: what is read, compacted and verified is what a folder gives."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from st_export.errors import StoreError
from st_export.lake.compact import Compacted, compact
from st_export.lake.query import query
from st_export.lake.relations import is_fresh
from st_export.lake.verify import verify
from st_export.storage.open import open_store
from tests.lake.lakes import JOBS, ROLES, Lake, job, tombstone
from tests.storage.servers import BUCKET, s3_options, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from st_export.commit.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest, endpoint: str, tmp_path: Path) -> Store:
    if request.param == "memory":
        return open_store("memory://", {}, tmp_path)
    return open_store(f"s3://{BUCKET}/{tmp_path.name}", s3_options(endpoint), tmp_path)


async def upload(lake: Lake, store: Store) -> None:
    for path in lake.root.rglob("*"):
        if path.is_file():
            await store.write(str(path.relative_to(lake.root)), path.read_bytes())


async def rows(store: Store, sql: str) -> list[dict[str, Any]]:
    sink = io.StringIO()
    await query(store, [JOBS, ROLES], sql, output="json", sink=sink)
    return list(orjson.loads(sink.getvalue()))


async def test_query_compact_and_verify(lake: Lake, store: Store) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "old", "1.10") for key in range(30)], partition="2026-11-20")
    lake.commit(JOBS, [job(3, "2026-11-21", "new", "2.20")], partition="2026-11-21")
    lake.commit(ROLES, [{"id": key, "name": "x"} for key in range(3)], at="2026-11-20T00:00:00")
    lake.commit(ROLES, [tombstone(1)], at="2026-11-21T00:00:00")
    await upload(lake, store)
    sql = 'select count(*) as n, sum(total) as total, max(day) as day, max("end") filter (id = 3) as "end" from jpm.jobs'
    expected = [{"n": 30, "total": 34.1, "day": "2026-11-21", "end": "new"}]
    assert await rows(store, sql) == expected
    assert await rows(store, "select id from settings.user_roles order by id") == [{"id": 0}, {"id": 2}]
    done = await compact(store, [JOBS, ROLES])
    assert done == [Compacted("jpm.jobs", 1001, 1, 1, 30), Compacted("settings.user-roles", 1001, 1, 1, 2)]
    assert await is_fresh(store, JOBS)
    assert await rows(store, sql) == expected
    assert (await verify(store)).document() == {"ok": True, "files": 4, "rows": 35, "problems": []}


async def test_compact_goes_on_from_its_parts(lake: Lake, store: Store) -> None:
    lake.commit(JOBS, [job(key, "2026-11-20", "old") for key in range(30)])
    await upload(lake, store)
    await compact(store, [JOBS])
    lake.commit(JOBS, [job(3, "2026-11-21", "new"), job(99, "2026-11-21", "new")], at="2026-11-25T00:00:00")
    await upload(lake, store)
    assert await compact(store, [JOBS]) == [Compacted("jpm.jobs", 1001, 1, 1, 31)]
    assert await rows(store, "select id from jpm.jobs where \"end\" = 'new' order by 1") == [{"id": 3}, {"id": 99}]


async def test_damage_is_found_and_a_query_says_so(lake: Lake, store: Store) -> None:
    path = lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    await upload(lake, store)
    await store.write(path, b"x" * len((lake.root / path).read_bytes()))
    [problem] = (await verify(store)).problems
    assert problem.problem == "its checksum differs from its manifest's: the content has changed"
    with pytest.raises(StoreError):
        await rows(store, "select * from jpm.jobs_log")

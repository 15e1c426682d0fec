"""`verify` and `--repair`: each kind of damage is found and named, put away, and forgotten by what was derived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from st_export.errors import CheckpointUnreadable
from st_export.flow import Position
from st_export.lake.compact import compact
from st_export.lake.describe import describe
from st_export.lake.query import current_keys
from st_export.lake.relations import is_fresh
from st_export.lake.repair import damages, quarantine
from st_export.lake.verify import Problem, compare_with_service, verify
from tests.lake.lakes import JOBS, ROLES, Lake, job, moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from st_export.lake.shape import Shape

pytestmark = pytest.mark.anyio


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 1), path)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda path: path.unlink(), "missing"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-10]), "bytes, its manifest says"),
    "empty": (lambda path: path.write_bytes(b""), "has 0 bytes"),
    "flipped": (flip, "its checksum differs"),
    "other rows": (other_rows, "bytes, its manifest says"),
}


async def test_a_healthy_lake_is_ok(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a"), job(2, "2026-11-20", "a")])
    lake.commit(ROLES, [{"id": 1, "name": "x"}], tenant=1002)
    assert (await verify(lake.store)).document() == {"ok": True, "files": 2, "rows": 3, "problems": []}


@pytest.mark.parametrize("kind", DAMAGES)
async def test_damage_is_found_and_named(lake: Lake, kind: str) -> None:
    path = lake.commit(JOBS, [job(1, "2026-11-20", "a"), job(2, "2026-11-20", "a")])
    lake.commit(JOBS, [job(3, "2026-11-20", "a")])
    harm, text = DAMAGES[kind]
    harm(lake.root / path)
    document = (await verify(lake.store)).document()
    assert (document["ok"], document["files"], document["rows"]) == (False, 1, 1)
    [problem] = document["problems"]
    assert (problem["entity"], problem["file"]) == ("jpm.jobs", path)
    assert text in problem["problem"]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("version", 2, "newer st-export"),
        ("columns", [["id", "string"]], "its schema differs"),
        ("files", "x", "the manifest cannot be read"),
    ],
)
async def test_a_manifest_that_says_something_else_is_a_problem(lake: Lake, field: str, value: object, text: str) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    manifest = lake.manifest_path(JOBS, 1001, 1, "run-0001-u0001")
    manifest.write_bytes(orjson.dumps(orjson.loads(manifest.read_bytes()) | {field: value}))
    [problem] = (await verify(lake.store)).problems
    assert text in problem.problem


async def test_repair_puts_the_file_away_and_says_where_to_read_on(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    path = lake.commit(JOBS, [job(2, "2026-11-20", "a")], partition="2026-11-21")
    lake.commit(JOBS, [job(3, "2026-11-20", "a")])
    await compact(lake.store, [JOBS])
    await describe(lake.store, [JOBS], now=moment("2026-11-24"))
    flip(lake.root / path)
    damaged = (lake.root / path).read_bytes()
    [damage] = await damages(lake.store, (await verify(lake.store)).problems)
    assert (damage.unit, damage.before, list(damage.files)) == ("run-0001-u0002", Position(epoch=1, token="t1"), [path])
    await quarantine(lake.store, damage, repaired_at="2026-11-24T00:00:00Z")
    assert (lake.root / "_st_export/quarantine" / path).read_bytes() == damaged
    assert (await verify(lake.store)).document() == {"ok": True, "files": 2, "rows": 2, "problems": []}
    assert not await is_fresh(lake.store, JOBS)
    assert await current_keys(lake.store, JOBS, 1001) == 2
    await compact(lake.store, [JOBS])
    assert pq.read_table(lake.root / "current/jpm.jobs").num_rows == 2
    catalog = await describe(lake.store, [JOBS], now=moment("2026-11-24"))
    assert (catalog["entities"]["jpm.jobs"]["rows"], catalog["entities"]["jpm.jobs"]["days"]) == (2, [["2026-11-22", "2026-11-22"]])


async def test_a_lost_manifest_goes_with_the_files_of_its_unit(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    path = lake.commit(JOBS, [job(2, "2026-11-20", "a")])
    manifest = lake.manifest_path(JOBS, 1001, 2, "run-0001-u0002")
    manifest.write_bytes(b"\0\0")
    [damage] = await damages(lake.store, (await verify(lake.store)).problems)
    assert (damage.manifest_lost, damage.before) == (True, Position(epoch=1, token="t1"))
    await quarantine(lake.store, damage, repaired_at="2026-11-24T00:00:00Z")
    assert not (lake.root / path).exists()
    assert (await verify(lake.store)).document() == {"ok": True, "files": 1, "rows": 1, "problems": []}


async def test_a_newer_manifest_is_not_repaired(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    manifest = lake.manifest_path(JOBS, 1001, 1, "run-0001-u0001")
    manifest.write_bytes(orjson.dumps({"version": 2}))
    problems = (await verify(lake.store)).problems
    with pytest.raises(CheckpointUnreadable):
        await damages(lake.store, problems)


async def test_counts_are_held_against_the_service(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a"), job(2, "2026-11-20", "a")])
    lake.commit(JOBS, [job(2, "2026-11-21", "b")])
    lake.commit(ROLES, [{"id": 1, "name": "x"}])

    async def totals(_tenant: int, entity: str) -> int | None:
        return {"jpm.jobs": 5}.get(entity)

    async def keys(tenant: int, shape: Shape) -> int:
        return await current_keys(lake.store, shape, tenant)

    found = await compare_with_service([JOBS, ROLES], [1001], keys=keys, totals=totals)
    assert found == [Problem("jpm.jobs", 1001, None, "the lake has 2 current keys, the service 5: 3 fewer")]


async def test_a_foreign_file_beside_ours_is_not_ours(lake: Lake) -> None:
    lake.commit(JOBS, [job(1, "2026-11-20", "a")])
    lake.write("jpm.jobs/foreign.parquet", pa.table({"x": [1]}))
    assert (await verify(lake.store)).document()["ok"]
    assert await current_keys(lake.store, JOBS, 1001) == 1

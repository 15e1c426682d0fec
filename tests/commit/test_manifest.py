"""Manifests come back as they were written, tell order and unit by their names, and sum up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.commit.manifest import Manifest, Manifests, Totals, manifest_from, manifest_json
from st_export.commit.store import AlreadyExists
from st_export.errors import CheckpointUnreadable
from st_export.flow import DataFile, Position, Window
from tests.commit.parts import COLUMNS, TENANT
from tests.commit.test_checkpoint import MOMENTS, POSITIONS, WINDOWS

if TYPE_CHECKING:
    from st_export.commit.store import Store

FILES = st.builds(DataFile, st.text(), st.none() | st.text(), st.integers(0, 2**40), st.integers(0, 2**40), st.text())
MANIFESTS = st.builds(
    Manifest,
    tenant=st.integers(0, 2**40),
    entity=st.text(),
    scope=st.text(),
    unit=st.text(),
    ordinal=st.integers(0, 2**40),
    run=st.text(),
    committed_at=MOMENTS,
    files=st.lists(FILES, max_size=3).map(tuple),
    columns=st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple),
    position=POSITIONS,
    window=st.none() | WINDOWS,
    rescued=st.integers(0, 9),
    rejected=st.integers(0, 9),
)


def manifest(ordinal: int, unit: str = "run-0001-a", entity: str = "jpm.jobs", rows: int = 5) -> Manifest:
    return Manifest(
        tenant=TENANT,
        entity=entity,
        scope=unit.partition("-")[0],
        unit=unit,
        ordinal=ordinal,
        run="run-1",
        committed_at=datetime(2026, 11, 23, tzinfo=UTC),
        files=(DataFile(f"{entity}/tenant_id=1001/day=2026-11-23/{unit}-00.parquet", "2026-11-23", rows, 100, "ab"),),
        columns=COLUMNS,
        position=Position(1, token=f"t{ordinal}"),
        window=Window(datetime(2026, 11, 22, tzinfo=UTC)),
    )


@given(MANIFESTS)
def test_every_manifest_comes_back_from_json(one: Manifest) -> None:
    assert manifest_from("path", manifest_json(one)) == one


@pytest.mark.anyio
async def test_names_tell_what_is_committed(store: Store) -> None:
    written = Manifests(store, TENANT)
    for one in (manifest(1), manifest(2, "b1234abcd-0001-x"), manifest(10, "run-0001-b"), manifest(1, entity="crm.customers")):
        await written.add(one)
    read = Manifests(store, TENANT)
    await read.load()
    assert read.entities() == ("crm.customers", "jpm.jobs")
    assert read.units("jpm.jobs") == {"run-0001-a", "b1234abcd-0001-x", "run-0001-b"}
    assert read.paths("jpm.jobs") == tuple(
        f"_st_export/manifests/jpm.jobs/1001/{name}.json"
        for name in ("00000001-run-0001-a", "00000002-b1234abcd-0001-x", "00000010-run-0001-b")
    )
    assert (read.last_ordinal("jpm.jobs"), read.last_ordinal("none")) == (10, 0)
    assert read.is_committed("jpm.jobs", "jpm.jobs/tenant_id=1001/day=2026-11-23/run-0001-a-00.parquet")
    assert not read.is_committed("jpm.jobs", "jpm.jobs/tenant_id=1001/day=2026-11-23/run-0001-c-00.parquet")


@pytest.mark.anyio
async def test_contents_come_in_the_order_of_the_commits_and_sum_up(store: Store) -> None:
    manifests = Manifests(store, TENANT)
    wanted = [manifest(ordinal, f"run-0001-{ordinal}", rows=ordinal) for ordinal in range(1, 41)]
    for one in reversed(wanted):
        await manifests.add(one)
    assert [one async for one in manifests.read_all("jpm.jobs")] == wanted
    assert await manifests.totals("jpm.jobs") == Totals(rows=820, files=40, bytes=4_000)
    assert sorted(await manifests.files("jpm.jobs")) == sorted(file.path for one in wanted for file in one.files)


@pytest.mark.anyio
async def test_a_manifest_is_written_once(store: Store) -> None:
    manifests = Manifests(store, TENANT)
    path = await manifests.add(manifest(1))
    with pytest.raises(AlreadyExists):
        await manifests.add(manifest(1, rows=9))
    assert await manifests.read(path) == manifest(1)


@pytest.mark.anyio
@pytest.mark.parametrize("data", [b"", b"\0\0", b"{}", b'{"version": 1}', b'{"version": 9}', b"[1]"])
async def test_a_damaged_or_newer_manifest_is_an_error(store: Store, data: bytes) -> None:
    manifests = Manifests(store, TENANT)
    path = await manifests.add(manifest(1))
    await store.write(path, data)
    with pytest.raises(CheckpointUnreadable, match=r"00000001-run-0001-a\.json"):
        await manifests.totals("jpm.jobs")

"""The stores' suite and a whole lake in an Azure container, on Microsoft's emulator."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from st_export.storage.open import open_store
from tests.crash.runs import ENTITIES, KILLED
from tests.object_stores.azurite import ACCOUNT, CONTAINER, KEY, azure_options, azurite
from tests.object_stores.buckets import BucketRuns, command
from tests.storage.suite import RaceSuite, StoreSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from st_export.commit.store import Store
    from st_export.simulate.process import RemoteLookAlike

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with azurite() as endpoint:
        yield endpoint


@pytest.fixture
def runs(endpoint: str, look_alike: RemoteLookAlike, tmp_path: Path) -> BucketRuns:
    return BucketRuns(look_alike, tmp_path, url=f"az://{CONTAINER}/{tmp_path.name}", options=azure_options(endpoint))


class TestAzure(StoreSuite, RaceSuite):
    @pytest.fixture
    def store(self, endpoint: str, tmp_path: Path) -> Store:
        return open_store(f"az://{CONTAINER}/{uuid.uuid4().hex}", azure_options(endpoint), tmp_path)


def test_a_lake_in_a_container(runs: BucketRuns) -> None:
    assert (command(runs, "check")[0], command(runs, "run", "-q")[0], runs.compare(), runs.left_over()) == (0, 0, [], [])
    runs.look_alike.control("churn", records=20)
    for arguments in (("run", "--compact"), ("backfill", "--from", "2026-01-01"), ("verify",), ("compact",), ("status",)):
        code, _, stderr = command(runs, *arguments)
        assert (code, runs.compare(), runs.left_over()) == (0, [], []), (arguments, stderr)
    assert runs.run().rows == 0
    _, stdout, _ = command(runs, "query", "select count(*) as n from jpm.jobs", "--json")
    assert json.loads(stdout) == [{"n": sum(each["current"] for each in runs.look_alike.truth("jpm.jobs"))}]


def test_killed_in_a_container_at_each_step(runs: BucketRuns) -> None:
    for number, step in enumerate(("intent", "file", "files", "manifest", "checkpoint", "cleared")):
        entity = ENTITIES[number % len(ENTITIES)]
        runs.look_alike.control("add", where=entity)
        assert runs.run(kill=(entity, step, 1)).code == KILLED, step
        runs.check_readable()
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over(), runs.run().rows) == (0, [], [], 0), resumed.stderr


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("az://nowhere/lake", {}, "there is no such bucket or container (ContainerNotFound"),
        (f"az://{CONTAINER}/lake", {"account_key": "d3Jvbmc="}, "the object store refuses the credentials"),
    ],
)
def test_what_azure_refuses_is_named(runs: BucketRuns, url: str, options: dict[str, str], text: str) -> None:
    runs.url, runs.options = url, {**runs.options, **options}
    code, _, stderr = command(runs, "run")
    assert (code, text in stderr, "\nhint: " in stderr, KEY in stderr) == (2, True, True, False), stderr


@pytest.mark.anyio
async def test_each_way_to_name_the_account_reaches_it(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", endpoint.removesuffix(f"/{ACCOUNT}"))
    names: dict[str, object] = {"azure_storage_account_name": ACCOUNT, "azure_storage_account_key": KEY, "azure_storage_endpoint": endpoint}
    secure = f"abfss://{CONTAINER}@{ACCOUNT}.dfs.core.windows.net"
    ways: list[tuple[str, dict[str, object]]] = [
        ("az", names),
        ("az", {**azure_options(endpoint), "allow_http": True}),
        ("az", {"use_emulator": True}),
        (secure, names),
    ]
    for number, (way, options) in enumerate(ways):
        url = f"{way}/ways" if "://" in way else f"{way}://{CONTAINER}/ways"
        await open_store(url, options, tmp_path).write(f"{number}", b"")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    found = open_store(f"az://{CONTAINER}/ways", {"account_name": ACCOUNT, "endpoint": endpoint}, tmp_path)
    assert sorted([entry.path async for entry in found.list("")]) == ["0", "1", "2", "3"]

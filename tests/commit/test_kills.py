"""A real process is killed at every labelled step of a commit; the same command then ends as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from st_export.flow import Position
from st_export.storage.open import open_store
from tests.commit.parts import JOBS, lake, left_over, start
from tests.storage.servers import BUCKET, s3_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from st_export.commit.store import Store

ROOT = Path(__file__).parents[2]
KILLS = [
    ("intent", 2),
    ("file", 3),
    ("file", 4),
    ("files", 2),
    ("manifest", 1),
    ("manifest", 2),
    ("checkpoint", 2),
    ("cleared", 2),
    ("file", 1),
]
COMMITTED_BEFORE = {("manifest", 1): 1, ("manifest", 2): 2, ("checkpoint", 2): 2, ("cleared", 2): 2, ("file", 1): 0}


def child(store: Store, options: Mapping[str, object], base: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.commit.child", store.url, json.dumps(options), str(base), "commit", *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, dict[str, str]]:
    """A store in a folder, and one in a bucket, with the options that a child opens it with."""
    if request.param == "folder":
        return open_store("lake", {}, tmp_path), {}
    options = s3_options(request.getfixturevalue("s3_endpoint"))
    return open_store(f"s3://{BUCKET}/{uuid.uuid4().hex}", options, tmp_path), options


@pytest.mark.anyio
@pytest.mark.parametrize(("step", "number"), KILLS)
async def test_killed_and_resumed(place: tuple[Store, dict[str, str]], tmp_path: Path, step: str, number: int) -> None:
    store, options = place
    killed = child(store, options, tmp_path, step, str(number))
    assert (killed.returncode, killed.stdout) == (-9, ""), killed.stderr
    units = COMMITTED_BEFORE.get((step, number), 1)
    committed = [f"{label}" for label in "abc"[:units]]
    before = await lake(store)

    recovered = await start(store)
    now = await lake(store)
    assert recovered.manifests.units(JOBS) == {f"run-0001-{label}" for label in committed}
    assert recovered.checkpoints.position(JOBS, "run") == (Position(1, token=committed[-1]) if committed else Position())
    assert (len(now), now.items() <= before.items(), await left_over(store)) == (2 * units, True, [])

    resumed = child(store, options, tmp_path)
    assert (resumed.returncode, resumed.stdout) == (0, "done\n"), resumed.stderr
    final = await lake(store)
    assert (len(final), now.items() <= final.items(), await left_over(store)) == (6, True, [])
    assert set(await (await start(store)).manifests.files(JOBS)) == set(final)

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


async def kill_and_resume(store: Store, options: Mapping[str, object], base: Path, step: str, number: int) -> None:
    killed = child(store, options, base, step, str(number))
    assert (killed.returncode, killed.stdout) == (-9, ""), killed.stderr
    units = COMMITTED_BEFORE.get((step, number), 1)
    committed = [f"{label}" for label in "abc"[:units]]
    before = await lake(store)

    recovered = await start(store)
    now = await lake(store)
    assert recovered.manifests.units(JOBS) == {f"run-0001-{label}" for label in committed}
    assert recovered.checkpoints.position(JOBS, "run") == (Position(1, token=committed[-1]) if committed else Position())
    assert (len(now), now.items() <= before.items(), await left_over(store)) == (2 * units, True, [])

    resumed = child(store, options, base)
    assert (resumed.returncode, resumed.stdout) == (0, "done\n"), resumed.stderr
    final = await lake(store)
    assert (len(final), now.items() <= final.items(), await left_over(store)) == (6, True, [])
    assert set(await (await start(store)).manifests.files(JOBS)) == set(final)


@pytest.mark.anyio
@pytest.mark.parametrize(("step", "number"), KILLS)
async def test_killed_in_a_folder(tmp_path: Path, step: str, number: int) -> None:
    await kill_and_resume(open_store("lake", {}, tmp_path), {}, tmp_path, step, number)


@pytest.mark.anyio
@pytest.mark.parametrize(("step", "number"), KILLS)
async def test_killed_on_s3(tmp_path: Path, s3_endpoint: str, step: str, number: int) -> None:
    options = s3_options(s3_endpoint)
    await kill_and_resume(open_store(f"s3://{BUCKET}/{uuid.uuid4().hex}", options, tmp_path), options, tmp_path, step, number)

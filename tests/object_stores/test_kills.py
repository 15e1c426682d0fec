"""A real process is killed while its lake is a bucket: at each step of a commit, after each write that S3 has done, at random.

What was committed stays and is not fetched again; the same command then ends with the truth, each version once.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from st_export.storage.open import open_store
from tests.crash.program import finish, start
from tests.crash.runs import ENTITIES, KILLED
from tests.crash.test_random_moments import pages_asked
from tests.crash.test_steps import BEFORE_THE_COMMIT, STEPS
from tests.object_stores.buckets import command
from tests.object_stores.server import BUCKET

if TYPE_CHECKING:
    from tests.crash.runs import Ended
    from tests.object_stores.buckets import BucketRuns
    from tests.object_stores.server import S3

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("ST_EXPORT_TEST_SEED", "20261125"))


def holds_the_truth_after_a_run(runs: BucketRuns) -> None:
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over()) == (0, [], []), resumed.stderr
    assert runs.run().rows == 0


def test_killed_at_each_step(runs: BucketRuns) -> None:
    for step, entity in zip(STEPS, itertools.cycle(ENTITIES), strict=False):
        runs.entities = (entity,)
        runs.look_alike.control("add", where=entity)
        before = runs.committed()
        assert runs.run(kill=(entity, step, 1)).code == KILLED, step
        runs.check_readable()
        assert runs.committed() - before == (0 if step in BEFORE_THE_COMMIT else 1), step
    runs.entities = ENTITIES
    holds_the_truth_after_a_run(runs)


def test_killed_after_each_write(runs: BucketRuns, s3: S3) -> None:
    runs.entities = ("jpm.jobs",)
    ended, kills = killed_after_write(runs, s3, 1), 0
    while ended.code == KILLED:
        runs.check_readable()
        kills += 1
        ended = killed_after_write(runs, s3, kills + 1)
    assert (ended.code, kills >= 12) == (0, True), ended.stderr
    holds_the_truth_after_a_run(runs)


def killed_after_write(runs: BucketRuns, s3: S3, number: int) -> Ended:
    """Run with something new to fetch, and kill after so many writes, if there are as many."""
    runs.look_alike.control("add", where="jpm.jobs")
    run = runs.start()
    s3.kill_after(number, run.kill)
    return run.ended()


def test_killed_at_random_moments(runs: BucketRuns) -> None:
    print(f"ST_EXPORT_TEST_SEED={SEED}")
    dice, killed = random.Random(SEED), 0
    runs.look_alike.control("options", latency_seconds=[0.0, 0.02])
    for _ in range(6):
        runs.look_alike.control("churn", records=20)
        run = runs.start()
        run.wait(dice.uniform(0.1, 0.8))
        run.kill()
        killed += run.ended().code == KILLED
        runs.check_readable()
    assert killed > 0
    holds_the_truth_after_a_run(runs)


def test_the_program_killed_at_random_writes_of_a_run_and_a_backfill(runs: BucketRuns, s3: S3) -> None:
    print(f"ST_EXPORT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    for arguments in (("run",), ("backfill", "--from", "2026-01-01")):
        runs.look_alike.control("churn", records=20)
        process = start(runs, *arguments)
        s3.kill_after(dice.randint(8, 25), process.kill)
        assert finish(process)[0] == KILLED
        runs.check_readable()
    assert command(runs, "backfill", "--from", "2026-01-01")[0] == 0
    holds_the_truth_after_a_run(runs)


def test_what_was_committed_is_not_fetched_again(runs: BucketRuns) -> None:
    runs.entities, runs.more = ("crm.contacts",), {"entities": {"crm.contacts": {"page_size": 2}}}
    path = "/crm/v2/tenant/1001/contacts"
    assert runs.run(kill=("crm.contacts", "cleared", 2)).code == KILLED
    first = pages_asked(runs.look_alike.stats(log=True), path)
    holds_the_truth_after_a_run(runs)
    runs.look_alike.control("reset_stats")
    assert runs.run().code == 0
    idle = pages_asked(runs.look_alike.stats(log=True), path)
    assert (len(first) > 2, len(idle) < len(first)) == (True, True)


@pytest.mark.parametrize("number", [2, 5])
def test_a_compact_that_was_killed_is_repeated(runs: BucketRuns, s3: S3, number: int) -> None:
    runs.run()
    runs.entities = ("jpm.jobs", "settings.user-roles")
    assert command(runs, "compact")[0] == 0
    for entity in runs.entities:
        runs.look_alike.control("add", where=entity)
    runs.run()
    process = start(runs, "compact")
    s3.kill_after(number, process.kill)
    assert finish(process)[0] == KILLED
    wanted = sum(each["current"] for each in runs.look_alike.truth("jpm.jobs"))
    assert json.loads(command(runs, "query", "select count(*) as n from jpm.jobs", "--json")[1]) == [{"n": wanted}]
    assert keys_in_current(runs) in (wanted - 1, wanted)
    assert (command(runs, "compact")[0], keys_in_current(runs), runs.compare()) == (0, wanted, [])


def keys_in_current(runs: BucketRuns) -> int:
    """Return how many jobs a reader of the folder sees, each of them once."""
    files = sorted((runs.download() / "current/jpm.jobs").rglob("*.parquet"))
    keys = [key for file in files for key in pq.read_table(file, columns=["id"], partitioning=None)["id"].to_pylist()]
    assert len(keys) == len(set(keys))
    return len(keys)


UPLOAD = """
import sys, json, pathlib, anyio
from st_export.storage.open import open_store
store = open_store(sys.argv[1], json.loads(sys.argv[2]), pathlib.Path("."))
local = store.spool / "large"
local.write_bytes(b"x" * 12_000_000)
anyio.run(store.put_file, "jpm.jobs/large", local)
"""


@pytest.mark.anyio
async def test_parts_of_an_upload_that_was_killed_are_no_file(s3: S3, tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/{tmp_path.name}"
    arguments = [sys.executable, "-c", UPLOAD, url, json.dumps(s3.options())]
    process = subprocess.Popen(arguments, cwd=ROOT)  # noqa: ASYNC220 -- the test only waits for its end
    s3.kill_after(3, process.kill)  # the upload is begun, two of its parts are there
    while process.poll() is None:
        time.sleep(0.01)  # noqa: ASYNC251 -- likewise
    store = open_store(url, s3.options(), tmp_path)
    assert (process.returncode, await store.exists("jpm.jobs/large"), await store.folders("")) == (KILLED, False, ())

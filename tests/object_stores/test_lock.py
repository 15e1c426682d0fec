"""The lock in a bucket: one run at a time, and a dead one does not block."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.program import finish, start
from tests.crash.runs import KILLED
from tests.crash.test_signals_and_lock import wait_for_requests
from tests.object_stores.buckets import command

if TYPE_CHECKING:
    from tests.object_stores.buckets import BucketRuns

STALL = [{"kind": "stall", "after": 2, "path": "*/export/*"}]


def lock_of(runs: BucketRuns) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(runs.objects()[f"_st_export/locks/{runs.access.id}.json"])
    return document


def test_a_second_run_is_refused_and_a_dead_ones_lock_is_taken_over(runs: BucketRuns) -> None:
    runs.entities = ("jpm.jobs",)
    runs.look_alike.control("faults", faults=STALL)
    first = start(runs, "run")
    wait_for_requests(runs, first, 3)
    code, _, stderr = command(runs, "run")
    assert (code, f"(process {first.pid} on " in stderr, "--wait" in stderr) == (5, True, True), stderr
    first.send_signal(signal.SIGKILL)
    runs.look_alike.control("faults", faults=[])
    assert (finish(first)[0], lock_of(runs)["owner"]["pid"]) == (KILLED, first.pid)
    code, _, stderr = command(runs, "run")
    assert (code, runs.compare(), runs.left_over(), lock_of(runs)["owner"]) == (0, [], [], None), stderr
    assert lock_of(runs)["generation"] == 2


@pytest.mark.parametrize("is_over", [True, False])
def test_the_lease_of_another_machine(runs: BucketRuns, *, is_over: bool) -> None:
    runs.entities = ("settings.user-roles",)
    assert command(runs, "run", "-q")[0] == 0
    expires = datetime.now(UTC) + timedelta(seconds=-60 if is_over else 60)
    owner = {"host": "a container that is gone", "boot": "b", "space": "s", "pid": 1, "started": "1"}
    held = {**lock_of(runs), "owner": owner, "lease_seconds": 0.5, "expires_at": expires.isoformat().replace("+00:00", "Z")}
    runs.store().put(f"_st_export/locks/{runs.access.id}.json", json.dumps(held).encode())
    code, _, stderr = command(runs, "run", "-q")
    assert (code, lock_of(runs)["generation"] - held["generation"]) == ((0, 1) if is_over else (5, 0)), stderr

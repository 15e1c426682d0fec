"""The program under SIGINT and SIGTERM, beside another run of itself, and after a run that died with the lock in its hand."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.crash.program import finish, run, start

if TYPE_CHECKING:
    import subprocess

    from tests.crash.runs import Runs


def wait_for_requests(runs: Runs, process: subprocess.Popen[str], count: int) -> None:
    """Wait until the service has seen so many requests: then the run is in the middle of its work."""
    deadline = time.monotonic() + 30
    while runs.look_alike.stats()["requests"] < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run sent nothing"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_and_commits_nothing(runs: Runs, number: signal.Signals, code: int) -> None:
    runs.entities = ("jpm.jobs", "crm.customers")
    runs.look_alike.control("faults", faults=[{"kind": "stall", "path": "*/export/*", "after": 3}])
    process = start(runs, "run", "--json")
    wait_for_requests(runs, process, 5)
    committed = runs.committed()
    began = time.monotonic()
    process.send_signal(number)
    ended, stdout, stderr = finish(process)
    assert (ended, runs.committed(), '"stopped"' in stdout) == (code, committed, True), stderr
    assert time.monotonic() - began < 10
    runs.look_alike.control("faults", faults=[])
    assert (run(runs, "run", "-q")[0], runs.compare(), runs.left_over()) == (0, [], [])


def test_a_signal_during_a_retry_ends_the_run(runs: Runs) -> None:
    runs.entities = ("jpm.jobs", "settings.user-roles")
    runs.look_alike.control("faults", faults=[{"kind": "error-json", "path": "*/settings/*"}])
    process = start(runs, "run")
    wait_for_requests(runs, process, 16)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    runs.look_alike.control("faults", faults=[])
    runs.look_alike.control("reset_stats")
    assert run(runs, "run", "-q")[0] == 0
    asked = [seen["query"] for seen in runs.look_alike.stats(log=True)["log"] if seen["path"].endswith("/export/jobs")]
    assert (len(asked), set(asked[0])) == (1, {"from"}), "the finished feed goes on from its token"
    assert runs.compare() == []


def test_a_second_run_is_refused_or_waits(runs: Runs) -> None:
    runs.entities = ("jpm.jobs",)
    runs.look_alike.control("faults", faults=[{"kind": "stall", "after": 2, "path": "*/export/*"}])
    first = start(runs, "run")
    wait_for_requests(runs, first, 3)
    code, _, stderr = run(runs, "run")
    assert (code, "--wait" in stderr) == (5, True), stderr

    waiting = start(runs, "run", "--wait", "1m")
    first.kill()
    runs.look_alike.control("faults", faults=[])
    assert finish(first)[0] == -signal.SIGKILL
    code, _, stderr = finish(waiting)
    assert (code, runs.compare()) == (0, []), stderr


def test_the_lock_of_a_dead_run_does_not_block(runs: Runs) -> None:
    runs.entities = ("jpm.jobs",)
    runs.look_alike.control("faults", faults=[{"kind": "stall", "after": 2, "path": "*/export/*"}])
    first = start(runs, "run")
    wait_for_requests(runs, first, 3)
    first.kill()
    finish(first)
    runs.look_alike.control("faults", faults=[])
    code, _, stderr = run(runs, "run")
    assert (code, runs.compare(), runs.left_over()) == (0, [], []), stderr

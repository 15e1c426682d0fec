"""A real process is killed at random moments; what was committed is not fetched again, and the lake ends equal to the truth."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import start_in_process
from tests.crash.runs import KILLED, Runs

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("ST_EXPORT_TEST_SEED", "20261125"))
KILLS = 12


def test_killed_at_random_moments(runs: Runs) -> None:
    print(f"ST_EXPORT_TEST_SEED={SEED}")
    dice, killed = random.Random(SEED), 0
    runs.look_alike.control("options", latency_seconds=[0.0, 0.02])
    for _ in range(KILLS):
        runs.look_alike.control("churn", records=20)
        run = runs.start()
        run.wait(dice.uniform(0.05, 0.8))
        run.kill()
        killed += run.ended().code == KILLED
        runs.check_readable()
    runs.look_alike.control("options", latency_seconds=[0.0, 0.0])
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over()) == (0, [], []), resumed.stderr
    assert (killed > 0, runs.run().rows) == (True, 0)


def test_a_backfill_killed_at_random_moments_and_a_run_bring_each_version_once(runs: Runs) -> None:
    dice = random.Random(SEED)
    since = "2026-01-01T00:00:00+00:00"
    runs.look_alike.control("options", latency_seconds=[0.0, 0.02])
    for _ in range(4):
        for command in ("run", "backfill"):
            run = runs.start(command=command, backfill_from=since if command == "backfill" else None)
            run.wait(dice.uniform(0.1, 0.6))
            run.kill()
            run.ended()
            runs.check_readable()
    runs.look_alike.control("options", latency_seconds=[0.0, 0.0])
    codes = [runs.run(command="backfill", backfill_from=since).code, runs.run().code]
    assert (codes, runs.compare(), runs.left_over()) == ([0, 0], [], [])


def test_a_kill_at_half_way_costs_few_requests(tmp_path: Path) -> None:
    tenant = SimulateOptions(rows=120, years=2, requests_per_second=0, feed_lag_seconds=0, feed_page_rows=1)
    with start_in_process(tenant) as look_alike:
        assert Runs(look_alike, tmp_path / "clean", ("jpm.jobs",), partition="day").run().code == 0
        needed = look_alike.stats()["requests"]

        look_alike.control("reset_stats")
        look_alike.control("options", latency_seconds=[0.05, 0.05])
        runs = Runs(look_alike, tmp_path / "killed", ("jpm.jobs",), partition="day")
        run = runs.start()
        while not run.wait(0.02) and look_alike.stats()["requests"] < needed // 2:
            pass
        run.kill()
        codes = (run.ended().code, runs.run().code)
        asked = look_alike.stats()["requests"]
        assert (codes, runs.compare()) == ((KILLED, 0), [])
        assert asked <= 1.1 * needed, (asked, needed)


def test_what_was_committed_is_not_fetched_again(runs: Runs) -> None:
    entities = {"jpm.jobs": "/jpm/v2/tenant/1001/export/jobs", "crm.contacts": "/crm/v2/tenant/1001/contacts"}
    runs.more = {"entities": {"crm.contacts": {"page_size": 2}}}
    for entity, path in entities.items():
        runs.look_alike.control("reset_stats")
        runs.entities = (entity,)
        assert runs.run(kill=(entity, "cleared", 1)).code == KILLED
        first = pages_asked(runs.look_alike.stats(log=True), path)
        resumed = runs.run()
        both = pages_asked(runs.look_alike.stats(log=True), path)
        assert (resumed.code, runs.compare()) == (0, []), resumed.stderr
        again = {page for page, times in both.items() if times > 1}
        assert len(again) < len(first), again


def pages_asked(stats: dict[str, Any], path: str) -> Counter[str]:
    """Return how often each page was asked: its parameters, those of a mere count left out."""
    queries = [seen["query"] for seen in stats["log"] if seen["path"] == path]
    return Counter(repr(sorted(query.items())) for query in queries if query.get("pageSize") != "1")

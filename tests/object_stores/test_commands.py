"""Every command on its command line, with a bucket for a lake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.crash.runs import ENTITIES
from tests.object_stores.buckets import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.object_stores.buckets import BucketRuns
    from tests.object_stores.server import S3

SINCE = ("--from", "2026-01-01")


def told(runs: BucketRuns, *arguments: str) -> Any:
    """Run a command that must end well; return the JSON that it printed."""
    code, stdout, stderr = command(runs, *arguments, "--json")
    assert code == 0, stderr
    return json.loads(stdout)


def new_rows(runs: BucketRuns, *arguments: str) -> int:
    """Run a command that exports; return how many rows it added."""
    return int(told(runs, *arguments)["totals"]["rows"])


def asked(runs: BucketRuns, sql: str) -> list[dict[str, Any]]:
    return list(told(runs, "query", sql))


def test_runs_bring_what_is_new_and_a_backfill_adds_nothing(runs: BucketRuns) -> None:
    assert new_rows(runs, "run") > 100
    assert (runs.compare(), runs.left_over(), new_rows(runs, "run")) == ([], [], 0)
    runs.look_alike.control("churn", records=20)
    assert new_rows(runs, "run") > 0
    assert (new_rows(runs, "backfill", *SINCE), runs.compare(), runs.left_over()) == (0, [], [])
    assert {path.partition("/")[0] for path in runs.objects()} == {*ENTITIES, "_st_export"}


def test_what_lies_there_is_verified_and_repaired(runs: BucketRuns) -> None:
    new_rows(runs, "run")
    verified = told(runs, "verify", "--api")
    assert (verified["ok"], verified["rows"], runs.compare()) == (True, runs.rows_of(*ENTITIES), [])
    lost = next(path for path in runs.objects() if path.startswith("jpm.jobs/"))
    runs.store().delete(lost)
    code, stdout, _ = command(runs, "verify")
    assert (code, lost.rpartition("/")[2] in stdout.replace("\n", "")) == (4, True)
    assert (command(runs, "verify", "--repair")[0], told(runs, "verify")["ok"], runs.compare()) == (0, True, [])


def test_current_rows_are_compacted_and_queried(runs: BucketRuns) -> None:
    new_rows(runs, "run")
    for entity in ENTITIES:
        runs.look_alike.control("add", where=entity)
    runs.look_alike.control("bulk_edit", where="jpm.jobs", modified_on="2026-11-25T00:00:00Z")
    new_rows(runs, "run")
    counts = "select (select count(*) from jpm.jobs) as current, (select count(*) from jpm.jobs_log) as log"
    computed, log = asked(runs, counts), {path: data for path, data in runs.objects().items() if path.startswith(ENTITIES)}
    assert computed[0]["log"] > computed[0]["current"] > 100
    assert (command(runs, "compact")[0], asked(runs, counts), command(runs, "compact")[0]) == (0, computed, 0)
    objects = runs.objects()
    assert {path: data for path, data in objects.items() if path.startswith(ENTITIES)} == log
    assert {path.split("/")[1] for path in objects if path.startswith("current/")} == set(ENTITIES)


def test_a_nightly_run_compacts_what_it_brought_and_nothing_else(runs: BucketRuns, s3: S3) -> None:
    assert new_rows(runs, "run", "--compact") > 0
    s3.asked.clear()
    runs.look_alike.control("add", where="jpm.jobs")
    assert new_rows(runs, "run", "--compact") > 0
    written = {path.split("/")[4] for method, path in s3.asked if method == "PUT" and "/current/" in path and path.endswith(".parquet")}
    assert written == {"jpm.jobs"}
    [rows] = asked(runs, "select count(*) as n from jpm.jobs")
    assert rows["n"] == sum(each["current"] for each in runs.look_alike.truth("jpm.jobs"))


def test_positions_are_shown_and_reset(runs: BucketRuns) -> None:
    rows = new_rows(runs, "run")
    [tenant] = told(runs, "status")["tenants"]
    assert {each["name"]: each["last_outcome"] for each in tenant["entities"]} == dict.fromkeys(ENTITIES, "ok")
    assert sum(each["rows"] for each in tenant["entities"]) == rows
    assert all(each["newest"] for each in tenant["entities"] if each["name"] in ("jpm.jobs", "taskmanagement.tasks"))
    told(runs, "reset", "jpm.*")
    runs.look_alike.control("reset_stats")
    assert (new_rows(runs, "run"), runs.compare()) == (0, [])
    again = [seen["query"] for seen in runs.look_alike.stats(log=True)["log"] if seen["path"].endswith("/export/jobs")]
    assert (len(again) > 1, set(again[0]) & {"from"}) == (True, set()), "from the beginning"


def test_views_for_other_engines_show_the_bucket(runs: BucketRuns) -> None:
    new_rows(runs, "run")
    code, in_bucket, stderr = command(runs, "views")
    assert (code, f"{runs.url}/jpm.jobs/" in in_bucket) == (0, True), stderr
    # DuckDB reads s3:// with an extension that it downloads; the same views over a copy need none
    _, over_copy, _ = command(runs, "views", "--url", str(runs.download()))
    assert over_copy == in_bucket.replace(runs.url, str(runs.lake))
    with duckdb.connect() as database:
        database.execute(over_copy)
        found = database.sql("select count(*) from jpm.jobs").fetchall()
    assert found == [(sum(each["current"] for each in runs.look_alike.truth("jpm.jobs")),)]


def test_children_of_what_changed_are_found_in_the_bucket(runs: BucketRuns) -> None:
    runs.entities = ("crm.customers", "crm.customers.notes")
    assert new_rows(runs, "run") > 0
    now = datetime.now(UTC).isoformat()
    runs.look_alike.control("bulk_edit", where="crm.customers", modified_on=now, count=3)
    runs.look_alike.control("reset_stats")
    assert new_rows(runs, "run") > 0
    notes = {seen["path"] for seen in runs.look_alike.stats(log=True)["log"] if seen["path"].endswith("/notes")}
    assert len(notes) == 3


@pytest.mark.parametrize("name", ["check", "plan", "report"])
def test_what_only_looks_leaves_the_bucket_as_it_was(runs: BucketRuns, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # `report` writes its page into the working folder
    new_rows(runs, "run")
    before = runs.objects()
    code, _, stderr = command(runs, name)
    assert (code, runs.objects()) == (0, before), stderr

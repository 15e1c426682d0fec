"""Commands that read or move a lake's state: status, reset, compact, query, report."""

from __future__ import annotations

import json

import pytest

from tests.run_commands.conftest import SELECT, Project


def test_status_tells_position_rows_and_freshness(exported: Project) -> None:
    document = exported.call("status", "--json").document
    entities = {one["name"]: one for one in document["tenants"][0]["entities"]}
    assert sorted(entities) == sorted(SELECT)
    jobs = entities["jpm.jobs"]
    newest = exported.call("query", "SELECT max(modifiedOn) AS newest FROM jpm.jobs_log", "--csv").out.split()[-1]
    assert (jobs["rows"], jobs["newest"], jobs["last_outcome"], jobs["last_error"]) == (exported.rows("jpm.jobs_log"), newest, "ok", None)
    assert jobs["last_run"].endswith("Z")
    assert (jobs["position"]["epoch"], jobs["position"]["token"] != "") == (1, True)


def test_status_of_a_lake_needs_no_configuration(exported: Project) -> None:
    (exported.folder / "elsewhere").mkdir()
    told = exported.call("status", "--json", "--lake", str(exported.lake))
    assert [(tenant["id"], len(tenant["entities"])) for tenant in told.document["tenants"]] == [(1001, len(SELECT))]


def test_status_before_any_run_is_empty(project: Project) -> None:
    told = project.call("status", "--json")
    assert (told.code, told.document) == (0, {"tenants": [{"id": 1001, "entities": []}]})
    assert project.call("status", "--fail-if-older", "26h").code == 4


def test_a_failure_stands_in_status(exported: Project) -> None:
    exported.service.control("fault", kind="forbidden", path="*/export/jobs")
    assert exported.call("run", "-q").code == 4
    told = exported.call("status")
    line = next(line for line in told.out.splitlines() if line.startswith("jpm.jobs"))
    assert ("failed" in line, "answered 403" in line) == (True, True)


def test_reset_makes_the_next_run_read_again_and_adds_nothing(exported: Project) -> None:
    before = exported.rows("jpm.jobs_log")
    told = exported.call("reset", "jpm.jobs", "--json")
    assert told.document == {"tenants": [{"id": 1001, "entities": [{"name": "jpm.jobs", "from": None}]}]}
    exported.service.control("reset_stats")
    summary = exported.call("run", "-q", "--json", "--select", "jpm.jobs").document
    assert (summary["totals"]["rows"], exported.rows("jpm.jobs_log")) == (0, before)
    assert summary["tenants"][0]["entities"][0]["bytes_received"] > 10_000


def test_reset_never_moves_a_position_forward(exported: Project) -> None:
    def watermark() -> str:
        document = exported.call("status", "--json").document
        return str(next(one for one in document["tenants"][0]["entities"] if one["name"] == "jpm.jobs")["position"]["watermark"])

    assert exported.call("reset", "jpm.jobs", "--to", "2026-01-02").code == 0
    assert watermark() == "2026-01-02T00:00:00Z"
    told = exported.call("reset", "jpm.*", "--to", "2026-01-03")
    assert (watermark(), "stays there" in told.err) == ("2026-01-02T00:00:00Z", True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reset", "jpm.jbos"), "did you mean `jpm.jobs`?"),
        (("reset", "nothing.*"), "matches no entity"),
        (("reset", "jpm.jobs", "--to", "2126-01-01"), "lies in the future"),
        (("reset", "jpm.jobs", "--tenant", "7"), "tenant 7 is not in the configuration"),
    ],
)
def test_a_wrong_reset_changes_nothing(exported: Project, arguments: tuple[str, ...], said: str) -> None:
    checkpoint = (exported.lake / "_st_export/checkpoint/1001.json").read_bytes()
    told = exported.call(*arguments)
    assert (told.code, said in told.err) == (2, True)
    assert (exported.lake / "_st_export/checkpoint/1001.json").read_bytes() == checkpoint


@pytest.mark.parametrize(
    "arguments", [("reset", "jpm.jobs"), ("compact",), ("verify",), ("report",), ("query", "SELECT 1"), ("verify", "--api")]
)
def test_without_a_lake_nothing_is_begun(project: Project, arguments: tuple[str, ...]) -> None:
    told = project.call(*arguments)
    assert (told.code, "hint: `st-export run` begins" in told.err, project.lake.exists()) == (2, True, False)


@pytest.mark.parametrize("command", [("reset", "jpm.jobs"), ("status",), ("plan",), ("run", "-q")])
@pytest.mark.parametrize(("damage", "said"), [(b"", "is damaged"), (b"\0" * 99, "is damaged"), (b'{"version": 9}', "newer st-export")])
def test_a_damaged_or_newer_checkpoint_is_exit_2_and_left_alone(
    exported: Project, command: tuple[str, ...], damage: bytes, said: str
) -> None:
    path = exported.lake / "_st_export/checkpoint/1001.json"
    path.write_bytes(damage)
    told = exported.call(*command)
    assert (told.code, said in told.err, path.read_bytes() == damage) == (2, True, True)


def test_compact_writes_only_what_changed(exported: Project) -> None:
    first = exported.call("compact", "--json").document["entities"]
    second = exported.call("compact", "--json").document["entities"]
    assert {one["entity"]: one["rows"] for one in first} == {name: exported.rows(name.replace("-", "_")) for name in SELECT}
    assert [one["parts_written"] for one in second] == [0] * len(SELECT)


def test_compact_takes_a_selection(exported: Project) -> None:
    document = exported.call("compact", "--json", "--select", "jpm.*").document
    assert [(one["tenant"], one["entity"]) for one in document["entities"]] == [(1001, "jpm.jobs")]


def test_a_run_can_compact_at_its_end(project: Project) -> None:
    assert project.call("run", "-q", "--compact").code == 0
    assert sorted(path.name for path in (project.lake / "current").iterdir()) == sorted(SELECT)


def test_a_lock_that_is_held_is_exit_5(exported: Project) -> None:
    path = exported.lake / "_st_export/locks/1001.json"
    lease = json.loads(path.read_text())
    lease |= {"owner": {"host": "elsewhere", "boot": "b", "space": None, "pid": 1, "started": None}, "expires_at": "2126-01-01T00:00:00Z"}
    path.write_text(json.dumps(lease))
    for command in (("run", "-q"), ("reset", "jpm.jobs"), ("compact",)):
        told = exported.call(*command)
        assert (told.code, "holds the tenant's lock" in told.err) == (5, True)


def test_a_report_of_the_run_is_a_page(exported: Project) -> None:
    page = exported.call("report", "--output", "-").out
    assert (page.startswith("<!doctype html>"), "jpm.jobs" in page) == (True, True)


def test_the_reports_of_the_tenant_are_listed(project: Project) -> None:
    document = project.call("entities", "--reports", "--json").document
    assert [(one["category"], one["id"]) for one in document["tenants"][0]["reports"]] == [
        ("accounting", 101), ("marketing", 303), ("operations", 202),
    ]  # fmt: skip


def test_reports_that_may_not_be_listed_are_exit_3(project: Project) -> None:
    project.service.control("fault", kind="forbidden", path="*/report-categories")
    told = project.call("entities", "--reports")
    assert (told.code, "the scope Reporting > report-categories" in told.err) == (3, True)

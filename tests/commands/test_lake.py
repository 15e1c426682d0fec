"""Commands that only read a lake: a report of its runs, queries, views, verification, from files as they lie there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from st_export.commands.app import run


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lake/_st_export/runs").mkdir(parents=True)
    (tmp_path / "lake/_st_export/lake.json").write_text('{"version": 1}')
    return tmp_path / "lake"


def summary(run_id: str, rows: int) -> dict[str, Any]:
    entity = {
        "name": "jpm.jobs", "status": "ok", "rows": rows, "pages": 1, "files": 1, "bytes_received": 1, "bytes_written": 1, "retries": 0,
        "rescued": 0, "rejected": 0, "window": None, "seconds": 1.0, "error": None, "manifests": [],
    }  # fmt: skip
    totals = {
        "rows": rows, "requests": 1, "retries": 0, "rate_limited": 0, "token_requests": 1, "bytes_received": 1, "bytes_written": 1,
        "files": 1, "seconds": 1.0, "peak_rss_mb": 99.0,
    }  # fmt: skip
    return {
        "run_id": run_id, "command": "run", "started_at": "2026-11-25T02:00:00Z", "finished_at": "2026-11-25T02:00:01Z",
        "outcome": "complete", "exit_code": 0, "tenants": [{"id": 1001, "entities": [entity]}], "totals": totals,
    }  # fmt: skip


def test_a_report_is_of_the_last_run_or_of_the_named_one(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run_id, rows in (("20261124T020000Z-a", 4321), ("20261125T020000Z-b", 1234)):
        (lake / f"_st_export/runs/{run_id}.json").write_text(json.dumps(summary(run_id, rows)))
    assert run(["report", "--lake", "lake"]) == 0
    assert capsys.readouterr().out == "st-export-report-20261125T020000Z-b.html\n"
    assert "1,234" in Path("st-export-report-20261125T020000Z-b.html").read_text()
    assert run(["report", "20261124T020000Z-a", "--lake", "lake", "--output", "-"]) == 0
    assert "4,321" in capsys.readouterr().out


def test_a_run_that_does_not_exist_is_told(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lake / "_st_export/runs/r1.json").write_text(json.dumps(summary("r1", 1)))
    assert run(["report", "r2", "--lake", "lake"]) == 2
    assert capsys.readouterr().err == "error: there is no run `r2`\nhint: the last ones are r1\n"


@pytest.mark.parametrize(
    ("options", "text"), [([], "a\n-\n0\n(1 row)\n"), (["--csv"], "a\n0\n"), (["--json"], '[\n{"a":0}\n]\n')]
)  # fmt: skip
def test_a_query_has_three_forms_on_stdout(options: list[str], text: str, lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", "SELECT count(*) AS a FROM jpm.jobs_log", "--lake", str(lake), *options]) == 0
    assert capsys.readouterr().out == text


def test_an_empty_lake_has_every_view(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", "SELECT count(*) AS n FROM jpm.jobs", "--csv", "--lake", str(lake)]) == 0
    assert capsys.readouterr().out == "n\n0\n"
    assert run(["views", "--lake", str(lake)]) == 0
    assert 'CREATE OR REPLACE VIEW "jpm"."jobs" AS' in capsys.readouterr().out


def test_wrong_sql_is_told(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", "SELEC 1", "--lake", str(lake)]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.startswith("error: "), "Traceback" in shown.err) == ("", True, False)


def test_an_empty_lake_verifies(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--json", "--lake", str(lake)]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "files": 0, "rows": 0, "problems": []}


def test_a_lake_of_a_newer_version_is_refused(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lake / "_st_export/lake.json").write_text('{"version": 99}')
    assert run(["query", "SELECT 1", "--lake", str(lake)]) == 2
    assert "hint: upgrade st-export" in capsys.readouterr().err

"""Verification against manifests and service, and repair by reading again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.run_commands.conftest import Project


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def test_a_whole_lake_agrees_with_the_service(exported: Project) -> None:
    told = exported.call("verify", "--api", "--json")
    assert (told.code, told.document["ok"], told.document["problems"]) == (0, True, [])


def test_a_row_that_the_lake_lacks_is_told_with_its_number(exported: Project) -> None:
    for _ in range(2):
        exported.service.control("add", where="marketing.campaigns", created_on="2026-01-02T00:00:00Z")
    told = exported.call("verify", "--api", "--json")
    problems = [(one["entity"], one["problem"].rpartition(": ")[2]) for one in told.document["problems"]]
    assert (told.code, problems) == (4, [("marketing.campaigns", "2 fewer")])


@pytest.mark.parametrize("entity", ["jpm.jobs", "settings.user-roles", "dispatch.business-hours", "marketing.campaigns"])
@pytest.mark.parametrize("damage", [Path.unlink, cut])
def test_damage_is_found_and_read_again(exported: Project, entity: str, damage: object) -> None:
    view = entity.replace("-", "_")
    before = exported.rows(view)
    file = exported.files(entity)[0]
    damage(file)  # type: ignore[operator]  # one of the two above
    found = exported.call("verify", "--json")
    relative = str(file.relative_to(exported.lake))
    assert (found.code, [(one["entity"], one["file"]) for one in found.document["problems"]]) == (4, [(entity, relative)])
    mended = exported.call("verify", "--repair", "--json")
    assert (mended.code, mended.document["problems"], [one["file"] for one in mended.document["repaired"]]) == (0, [], [relative])
    assert exported.rows(view) == before
    assert exported.call("verify", "--api").code == 0


def test_a_manifest_that_cannot_be_read_is_mended(exported: Project) -> None:
    rows = exported.rows("jpm.jobs")
    cut(next((exported.lake / "_st_export/manifests/jpm.jobs/1001").iterdir()))
    assert exported.call("verify").code == 4
    assert exported.call("verify", "--repair").code == 0
    assert exported.rows("jpm.jobs") == rows


def test_damage_of_a_backfill_is_read_again_by_one(project: Project) -> None:
    assert project.call("backfill", "-q", "--from", "2020-01-01", "--to", "2026-11-24", "--select", "jpm.jobs").code == 0
    before = project.rows("jpm.jobs")
    project.files("jpm.jobs")[0].unlink()
    assert project.call("verify", "--repair").code == 0
    assert project.rows("jpm.jobs") == before


def test_what_cannot_be_read_again_stays_a_problem(exported: Project) -> None:
    exported.service.control("fault", kind="forbidden", path="*/export/jobs")
    exported.files("jpm.jobs")[0].unlink()
    told = exported.call("verify", "--repair", "--json")
    assert (told.code, len(told.document["problems"]), told.document["repaired"]) == (4, 1, [])
    exported.service.control("faults", faults=[])
    assert exported.call("verify", "--repair").code == 0


def test_repair_needs_the_service(exported: Project) -> None:
    told = exported.call("verify", "--repair", "--lake", str(exported.lake))
    assert (told.code, "need a configuration instead of `--lake`" in told.err) == (2, True)
    assert json.loads((exported.lake / "_st_export/lake.json").read_text()) == {"version": 1}

"""The dry run: totals, windows, what the service does not tell, what `kinds` leaves out; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.run_commands.conftest import Project


def test_a_first_run_is_planned_from_totals_and_writes_nothing(project: Project) -> None:
    project.settings["select"] = ["jpm.jobs", "settings.user-roles", "jpm.job-notes"]
    document = project.call("plan", "--json").document
    tenant = document["tenants"][0]
    found = {one["name"]: (one["kind"], one["rows"], one["requests"]) for one in tenant["entities"]}
    roles = len(project.service.truth("settings.user-roles", current_only=True))
    kind, rows, requests = found["jpm.jobs"]
    assert (kind, 100 < rows <= 120, requests) == ("feed", True, 1)  # the list beside the feed does not show deleted jobs
    assert found["settings.user-roles"] == ("list", roles, 1)
    assert found["jpm.job-notes"] == ("feed", None, None)
    assert (tenant["requests"], tenant["unknown"]) == (3, 1)
    assert not project.lake.exists()
    assert project.service.stats()["requests"] == 2


def test_a_planned_night_begins_at_the_watermark(exported: Project) -> None:
    document = exported.call("plan", "--json", "--select", "marketing.campaigns").document
    status = exported.call("status", "--json").document
    position = {one["name"]: one["position"] for one in status["tenants"][0]["entities"]}["marketing.campaigns"]
    assert document["tenants"][0]["entities"][0]["window"][0] == position["watermark"]


def test_a_backfill_says_that_a_feed_is_read_to_its_end(project: Project) -> None:
    told = project.call("plan", "--from", "2020-01-01", "--to", "2020-02-01", "--select", "jpm.jobs")
    assert told.code == 0
    assert "2020-01-01 … 2020-02-01" in told.out
    assert "a feed has no upper bound: it is read on to its end" in told.out


def test_what_kinds_leaves_out_is_priced_without_asking(project: Project) -> None:
    project.settings["select"] = ["crm.*"]
    document = project.call("plan", "--json").document
    tenant = document["tenants"][0]
    left_out = {one["name"]: one for one in tenant["left_out"]}
    customers = next(one for one in tenant["entities"] if one["name"] == "crm.customers")
    assert left_out["crm.customers.notes"]["requests"] == customers["rows"]
    assert project.service.stats()["requests"] <= len(tenant["entities"])


def test_children_cost_a_request_a_parent(project: Project) -> None:
    entity = project.call("plan", "--json", "--select", "crm.customers.notes").document["tenants"][0]["entities"][0]
    assert (entity["rows"], entity["requests"] > 10, entity["note"]) == (None, True, "one request a row of crm.customers")
    assert project.service.stats()["requests"] == 1


def test_reports_take_their_interval(project: Project) -> None:
    report = {"name": "revenue", "category": "accounting", "id": 101, "parameters": {"From": "{day}"}}
    project.settings |= {"reports": [report], "start": "2026-01-01"}
    told = project.call("plan", "--json", "--from", "2026-01-01", "--to", "2026-01-11", "--select", "report.revenue")
    entity = told.document["tenants"][0]["entities"][0]
    assert (entity["rows"], entity["requests"], entity["seconds"]) == (None, 20, 540.0)


def test_a_tenant_that_refuses_everything_cannot_be_planned(project: Project) -> None:
    project.settings["tenants"][0]["id"] = 2002
    told = project.call("plan")
    assert (told.code, told.out, "these credentials do not open tenant 2002" in told.err) == (3, "", True)


def test_a_list_that_is_refused_says_so_in_its_place(project: Project) -> None:
    project.service.control("fault", kind="forbidden", path="*/user-roles")
    entities = project.call("plan", "--json").document["tenants"][0]["entities"]
    roles = next(one for one in entities if one["name"] == "settings.user-roles")
    assert (roles["rows"], roles["note"].startswith("cannot be read: ")) == (None, True)

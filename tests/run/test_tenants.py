"""What is refused, skipped or failed, for an entity or a tenant, and the exit code that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import Fault
from tests.lookalike import service
from tests.truth import entities, same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

TAGS, TEAMS = "settings.tag-types", "dispatch.teams"
GLOBS = ("settings.tag-*", "dispatch.team*")


@pytest.mark.parametrize("kind", ["forbidden", "not-found"])
async def test_what_only_a_wildcard_selected_is_skipped(tmp_path: Path, kind: str) -> None:
    async with service(tmp_path, {"faults": (Fault(kind, path="*/tag-types"),)}) as running:  # type: ignore[arg-type]
        ended = await running.run(*GLOBS)
        assert (ended.exit_code, ended.summary["outcome"]) == (0, "complete")
        assert ended.statuses() == {TAGS: "skipped", TEAMS: "ok"}
        assert ended.entities()[TAGS]["error"]


@pytest.mark.parametrize("kind", ["forbidden", "not-found"])
async def test_what_was_named_in_full_has_failed(tmp_path: Path, kind: str) -> None:
    async with service(tmp_path, {"faults": (Fault(kind, path="*/tag-types"),)}) as running:  # type: ignore[arg-type]
        ended = await running.run(TAGS, GLOBS[1])
        assert (ended.exit_code, ended.summary["outcome"]) == (4, "partial")
        assert ended.statuses() == {TAGS: "failed", TEAMS: "ok"}


async def test_what_was_readable_before_has_failed(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        assert (await running.run(*GLOBS)).exit_code == 0
        running.look_alike.simulation.forbid("*/tag-types")
        ended = await running.run(*GLOBS)
        assert (ended.exit_code, ended.statuses()) == (4, {TAGS: "failed", TEAMS: "ok"})


@pytest.mark.parametrize("select", [GLOBS, (TAGS, TEAMS)])
async def test_where_nothing_was_readable_the_exit_is_3(tmp_path: Path, select: tuple[str, ...]) -> None:
    async with service(tmp_path, {"faults": (Fault("forbidden"),)}) as running:
        ended = await running.run(*select)
        assert (ended.exit_code, ended.summary["outcome"], ended.rows) == (3, "failed", 0)


@pytest.mark.parametrize("status", [403, 404])
async def test_one_tenant_of_two_that_is_refused_leaves_the_other_whole(tmp_path: Path, status: int) -> None:
    kind = {403: "forbidden", 404: "not-found"}[status]
    async with service(tmp_path, {"tenants": (1, 2), "faults": (Fault(kind, tenant=1),)}) as running:  # type: ignore[arg-type]
        ended = await running.run(*GLOBS)
        assert (ended.exit_code, ended.summary["outcome"]) == (4, "partial")
        assert ended.statuses(1) == {TAGS: "skipped", TEAMS: "skipped"}
        assert ended.statuses(2) == {TAGS: "ok", TEAMS: "ok"}
        assert same(running.lake, running.look_alike, (TAGS, TEAMS), tenant=2) > 10
        assert not running.lake.rows(TAGS, 1)


async def test_wrong_credentials_of_one_tenant_end_that_tenant_alone(tmp_path: Path) -> None:
    async with service(tmp_path, {"tenants": (1, 2)}) as running:
        running.look_alike.simulation.auth.set_secret(1, "another")
        access = running.look_alike.tenants
        tenants = [{"id": one.id, "client_id": one.client_id, "client_secret": f"old{one.id}", "app_key": one.app_key} for one in access]
        tenants[1]["client_secret"] = access[1].client_secret
        ended = await running.run(*GLOBS, tenants=tenants)
        assert (ended.exit_code, ended.summary["outcome"]) == (4, "partial")
        refused = next(one for one in ended.summary["tenants"] if one["id"] == 1)
        assert all("refuses client_id" in error for error in (refused["error"], *(entity["error"] for entity in refused["entities"])))
        assert same(running.lake, running.look_alike, (TAGS, TEAMS), tenant=2) > 10
        tenants[1]["client_secret"] = "old"
        assert (await running.run(*GLOBS, tenants=tenants)).exit_code == 3


async def test_each_tenant_has_its_own_rows_positions_and_changes(tmp_path: Path) -> None:
    names = ("jpm.jobs", "inventory.vendors", "marketing.costs")
    async with service(tmp_path, {"tenants": (1, 2), "row_counts": dict.fromkeys(names, 20)}) as running:
        assert (await running.run(*names)).rows == 120
        running.changes.add("jpm.jobs", tenant=2)
        running.changes.delete("marketing.costs", running.look_alike.truth(entities()["marketing.costs"].path, tenant=1)[0].id, tenant=1)
        ended = await running.run(*names)
        assert [sum(each["rows"] for each in ended.entities(tenant).values()) for tenant in (1, 2)] == [1, 1]
        for tenant in (1, 2):
            same(running.lake, running.look_alike, names, tenant=tenant)
        assert (await running.run(*names, request={"tenants": (2,)})).summary["tenants"][0]["id"] == 2


async def test_a_record_without_its_key_is_a_reject_and_the_exit_says_so(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {"jpm.jobs": 5}}) as running:
        running.changes.add("jpm.jobs", {"id": None, "summary": "lost"}, whole=True)
        ended = await running.run("jpm.jobs")
        assert (ended.exit_code, ended.rows, ended.statuses()) == (4, 5, {"jpm.jobs": "ok"})
        assert ended.entities()["jpm.jobs"]["rejected"] == 1
        (path,) = (tmp_path / "_st_export/rejects").rglob("*.json")
        assert "lost" in path.read_text()

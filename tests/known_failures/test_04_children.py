"""Case 4: one odd parent takes nothing from the others, each parent begins at page 1, and both shapes of an answer are read alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lookalike import Service, service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

NOTES = "crm.customers.notes"
PARENTS = ["11", "12", "13", "14", "15"]


def note(number: int) -> dict[str, Any]:
    return {"id": number, "text": f"note {number}", "isPinned": False, "createdById": 1, "createdOn": "2026-11-01T00:00:00Z"}


def answer(running: Service, parent: str, pages: list[list[int]], *, tenant: int = 1001, bare: bool = False) -> None:
    path = f"/crm/v2/tenant/{tenant}/customers/{parent}/notes"
    for number, ids in enumerate(pages, start=1):
        rows = [note(each) for each in ids]
        total = sum(map(len, pages))
        envelope = {"page": number, "pageSize": 2, "hasMore": number < len(pages), "totalCount": total, "data": rows}
        query = f"page={number}" if len(pages) > 1 else ""
        running.look_alike.simulation.answer_with(path, rows if bare else envelope, query=query)
    if len(pages) > 1:
        running.look_alike.simulation.answer_with(path, {"totalCount": sum(map(len, pages)), "data": []}, query="pageSize=1&")


def refuse(running: Service, parent: str, status: int) -> None:
    running.look_alike.simulation.answer_with(f"*/customers/{parent}/notes", {"title": "no", "status": status}, status=status)


async def test_odd_parents_cost_only_themselves(tmp_path: Path) -> None:
    settings = {"page_size": 2, "parent_ids": PARENTS}
    async with service(tmp_path, entities={NOTES: settings}) as running:
        answer(running, "11", [[1, 2], [3, 4], [5]])
        refuse(running, "12", 409)
        answer(running, "13", [[6]])
        refuse(running, "14", 404)
        answer(running, "15", [[]])
        ended = await running.run(NOTES)
        assert (ended.exit_code, ended.statuses()) == (0, {NOTES: "ok"})
        rows = sorted((row.values["_parent_id"], row.values["id"]) for row in running.lake.rows(NOTES))
        assert rows == [(11, 1), (11, 2), (11, 3), (11, 4), (11, 5), (13, 6)]
        for parent in PARENTS:
            assert ended.asked(f"/{parent}/notes")[0].query["page"] == "1"


async def test_a_refusal_of_the_entity_itself_fails_it(tmp_path: Path) -> None:
    async with service(tmp_path, entities={NOTES: {"parent_ids": PARENTS}}) as running:
        running.look_alike.simulation.forbid("*/notes")
        ended = await running.run(NOTES, "settings.tag-types")
        assert (ended.exit_code, ended.statuses()[NOTES]) == (4, "failed")


async def test_an_array_for_one_tenant_and_an_envelope_for_another_are_alike(tmp_path: Path) -> None:
    async with service(tmp_path, {"tenants": (1001, 1002)}, entities={NOTES: {"parent_ids": ["11"]}}) as running:
        answer(running, "11", [[1, 2]], tenant=1001, bare=True)
        answer(running, "11", [[1, 2]], tenant=1002)
        ended = await running.run(NOTES)
        assert (ended.exit_code, ended.rows) == (0, 4)
        shown = [sorted((row.values["id"], row.values["text"]) for row in running.lake.rows(NOTES, tenant)) for tenant in (1001, 1002)]
        assert shown[0] == shown[1] == [(1, "note 1"), (2, "note 2")]

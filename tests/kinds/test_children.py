"""Children of the look-alike, held against its truth."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from st_export.catalog.load import load_catalog
from st_export.run.readers import children
from st_export.simulate.options import Fault
from tests.lookalike import NOW
from tests.truth import compare, entities, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lookalike import Service

pytestmark = pytest.mark.anyio

CHILDREN = sorted(str(entity.name) for entity in load_catalog(None).entities.values() if entity.kind == "child" and not entity.alias_of)
NO_LIST = {name: {"parent_ids": list(range(1, 10))} for name in ("crm.booking-provider.bookings", "schedulingpro.routers.*")}
NOT_RECORDS = ("crm.locations.preferredtechnician", "crm.contacts.contact-methods.preferences", "reporting.report-category.reports")
"""A bare value, an object that is made up when it is asked for, and what the options say: not in the look-alike's truth."""

BOOKINGS = "crm.booking-provider.bookings"
HIDDEN = (BOOKINGS, f"{BOOKINGS}.contacts")
"""A provider's bookings: the look-alike hides inactive ones, without a parameter to ask for them, and so what is below them."""

NOTES, CUSTOMERS = "crm.customers.notes", "crm.customers"


def rows(it: Service, entity: str) -> list[dict[str, Any]]:
    return [row.values for row in it.lake.rows(entity)]


def shown_below_providers(it: Service, entity: str) -> set[int]:
    """Return the ids that the service shows, from the look-alike's own state: of active bookings only."""
    tenant, route = it.look_alike.simulation.tenants[1001], it.look_alike.view(entities()[entity].path)
    bookings, own = tenant.rows("crm.bookings"), tenant.rows(route.collection)
    booking = range(own.count) if entity == BOOKINGS else own.parent[: own.count].tolist()
    return {int(own.ids[row]) for row, of in enumerate(booking) if own.listed[row] and bookings.listed[of] and bookings.active[of]}


def holds_exactly_what_is_shown(it: Service, entity: str) -> bool:
    """Whether the lake has the records that the service shows below providers, none more and none less, each as the truth has it."""
    found = compare(it.lake, it.look_alike, entity, partition=lambda row: None)
    assert [text for text in found.differences if not text.startswith("not in the lake")] == []
    shown = shown_below_providers(it, entity)
    assert {row["id"] for row in rows(it, entity)} == shown
    return bool(shown)


def customers(it: Service) -> list[str]:
    return [each.id for each in it.look_alike.truth("/crm/v2/tenant/{tenant}/customers") if each.current and each.listed]


def parents_asked(run: Any, part: str = "/notes") -> list[str]:
    return [seen.path.split("/")[-2] for seen in run.asked(part)]


async def test_every_child_is_as_the_truth_says(serving: Callable[..., Any]) -> None:
    names = [name for name in CHILDREN if not name.endswith(".performance")]
    async with serving({"rows": 30}, entities=NO_LIST) as it:
        run = await it.run(*names)
        assert run.bad() == {}
        records = [name for name in names if name not in NOT_RECORDS + HIDDEN]
        assert all(holds_exactly_what_is_shown(it, name) for name in HIDDEN)
        assert same(it.lake, it.look_alike, records, partition=lambda row: None) > 200
        assert all(run.entities()[name]["rows"] for name in NOT_RECORDS)
        again = await it.run(*names)
        assert (again.exit_code, again.files) == (0, 0)


async def test_only_parents_that_arrived_since_the_last_pass_are_visited(serving: Callable[..., Any]) -> None:
    async with serving() as it:
        first = await it.run(CUSTOMERS, NOTES)
        ids = customers(it)
        assert sorted(parents_asked(first)) == sorted(ids)
        assert parents_asked(await it.run(CUSTOMERS, NOTES)) == []
        it.changes.modify(CUSTOMERS, ids[3])
        note = it.changes.add("/crm/v2/tenant/{tenant}/customers/{id}/notes", parent=ids[3])
        it.changes.add("/crm/v2/tenant/{tenant}/customers/{id}/notes", parent=ids[4])
        run = await it.run(CUSTOMERS, NOTES)
        assert parents_asked(run) == [ids[3]]
        assert run.entities()[NOTES]["rows"] == 1
        assert int(note) in {row["id"] for row in rows(it, NOTES) if row["_parent_id"] == int(ids[3])}
        full = await it.run(CUSTOMERS, NOTES, request={"full_children": True})
        assert sorted(parents_asked(full)) == sorted(ids)
        assert same(it.lake, it.look_alike, [NOTES], partition=lambda row: None)


async def test_without_its_parents_in_the_run_the_service_is_asked_which_have_changed(serving: Callable[..., Any]) -> None:
    async with serving({"now": NOW}) as it:
        first = await it.run(NOTES)
        assert len(parents_asked(first)) == len(customers(it))
        it.changes.modify(CUSTOMERS, customers(it)[5])
        second = await it.run(NOTES)
        assert customers(it)[5] in parents_asked(second)
        assert len(parents_asked(second)) < 10
        assert all(seen.query["from"].startswith("2026-11-20T0") for seen in second.asked("/export/customers"))


async def test_a_bad_parent_costs_its_own_children_only(serving: Callable[..., Any]) -> None:
    async with serving(entities={NOTES: {"page_size": 2}}) as it:
        paged, odd, short, gone, empty = customers(it)[:5]
        for parent, count in ((paged, 5), (short, 1)):
            for _ in range(count):
                it.changes.add("/crm/v2/tenant/{tenant}/customers/{id}/notes", parent=parent)
        it.look_alike.simulation.answer_with(f"*/customers/{odd}/notes", {"title": "The entity is inactive."}, status=409)
        it.look_alike.simulation.answer_with(f"*/customers/{gone}/notes", {"title": "Not found"}, status=404)
        it.look_alike.simulation.answer_with(f"*/customers/{empty}/notes", {"page": 1, "hasMore": False, "data": []})
        run = await it.run(NOTES)
        assert (run.exit_code, run.statuses()) == (0, {NOTES: "ok"})
        firsts = {path: next(seen.query["page"] for seen in run.log if seen.path == path) for path in {s.path for s in run.asked("/notes")}}
        assert set(firsts.values()) == {"1"}
        found = {parent: sum(row["_parent_id"] == int(parent) for row in rows(it, NOTES)) for parent in (paged, odd, short, gone, empty)}
        assert found[paged] >= 5
        assert found[short] >= 1
        assert (found[odd], found[gone], found[empty]) == (0, 0, 0)
        assert sum("answered 4" in note.text for note in run.notes) == 2


async def test_children_of_a_parent_that_is_refused_are_not_taken_for_gone(serving: Callable[..., Any]) -> None:
    async with serving() as it:
        await it.run(CUSTOMERS, NOTES)
        parent = str(rows(it, NOTES)[0]["_parent_id"])
        it.look_alike.simulation.answer_with(f"*/customers/{parent}/notes", {"title": "The entity is inactive."}, status=409)
        await it.run(CUSTOMERS, NOTES, request={"full_children": True})
        assert not any(row["_deleted"] for row in rows(it, NOTES))
        it.look_alike.simulation.clear_answers()
        kept = next(row["id"] for row in rows(it, NOTES) if row["_parent_id"] == int(parent))
        it.changes.remove("/crm/v2/tenant/{tenant}/customers/{id}/notes", str(kept))
        await it.run(CUSTOMERS, NOTES, request={"full_children": True})
        assert [row["id"] for row in rows(it, NOTES) if row["_deleted"]] == [kept]


@pytest.mark.parametrize("shape", ["array", "envelope"])
async def test_a_bare_array_and_an_envelope_are_read_alike(shape: str, serving: Callable[..., Any]) -> None:
    async with serving() as it:
        record = {"id": 1, "status": "Open"}
        body = [record] if shape == "array" else {"data": [record], "hasMore": False}
        it.look_alike.simulation.answer_with("*/status/estimates/*/changes", body)
        it.look_alike.simulation.answer_with("*/export/estimates", {"hasMore": False, "continueFrom": "t", "data": [{"id": 5}]})
        await it.run("sales.status.estimates.changes")
        assert [(row["id"], row["_parent_id"]) for row in rows(it, "sales.status.estimates.changes")] == [(1, 5)]


async def test_403_is_about_the_entity(serving: Callable[..., Any]) -> None:
    async with serving(kinds=["feed", "child"]) as it:
        it.look_alike.simulation.forbid("*/customers/*/notes")
        run = await it.run(CUSTOMERS, "crm.customers.n*")
        assert (run.exit_code, run.statuses()[NOTES]) == (0, "skipped")
        run = await it.run(CUSTOMERS, NOTES)
        assert (run.exit_code, run.statuses()[NOTES]) == (4, "failed")


async def test_an_entity_whose_parents_are_all_unknown_is_not_known_to_the_service(serving: Callable[..., Any]) -> None:
    async with serving(kinds=["feed", "child"]) as it:
        it.look_alike.simulation.answer_with("*/customers/*/notes", {"title": "Not found"}, status=404)
        run = await it.run(CUSTOMERS, "crm.customers.n*")
        assert (run.exit_code, run.statuses()[NOTES]) == (0, "skipped")
        it.look_alike.simulation.clear_answers()
        run = await it.run(CUSTOMERS, "crm.customers.n*")
        assert sorted(parents_asked(run)) == sorted(customers(it))


async def test_parents_that_no_list_shows_come_from_the_configuration(serving: Callable[..., Any]) -> None:
    names = ("schedulingpro.routers.sessions", "crm.booking-provider.bookings", "crm.booking-provider.bookings.contacts")
    async with serving(kinds=["child"]) as it:
        run = await it.run("schedulingpro.r*", "crm.booking-provider*")
        assert (run.exit_code, set(run.statuses().values())) == (0, {"skipped"})
        assert "no list of the service shows its parents" in run.entities()[names[0]]["error"]
        run = await it.run(*names)
        assert (run.exit_code, set(run.statuses().values())) == (4, {"failed"})
        run = await it.run(*names, entities=NO_LIST)
        assert (run.exit_code, run.bad()) == (0, {})
        assert same(it.lake, it.look_alike, names[:1], partition=lambda row: None)
        assert all(holds_exactly_what_is_shown(it, name) for name in names[1:])


async def test_a_pass_goes_on_behind_the_last_parent_committed(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "PARENTS_A_UNIT", 4)
    async with serving(entities={NOTES: {"max_in_flight": 1}}) as it:
        await it.run(CUSTOMERS)
        it.look_alike.simulation.faults.add(Fault("forbidden", path="*/customers/*/notes", after=10))
        broken = await it.run(CUSTOMERS, NOTES)
        asked = parents_asked(broken)
        assert (broken.exit_code, len(asked)) == (4, 11)
        it.look_alike.simulation.faults.set(())
        resumed = await it.run(CUSTOMERS, NOTES)
        assert parents_asked(resumed) == sorted(customers(it), key=int)[8:]
        assert same(it.lake, it.look_alike, [NOTES], partition=lambda row: None)


async def test_a_failed_parent_fails_its_children_without_a_request(serving: Callable[..., Any]) -> None:
    async with serving() as it:
        it.look_alike.simulation.answer_with("*/export/customers", {"title": "no"}, status=400)
        run = await it.run(CUSTOMERS, NOTES)
        assert run.statuses() == {CUSTOMERS: "failed", NOTES: "failed"}
        assert parents_asked(run) == []


async def test_an_item_that_stands_below_two_parents_is_two_rows_and_stays_so(serving: Callable[..., Any]) -> None:
    segments, items = "jpm.work-breakdown-structure.projects.segments", "jpm.work-breakdown-structure.projects.segments.items"
    async with serving() as it:
        one, two = [each.id for each in it.look_alike.truth("jpm.projects") if each.listed][:2]
        answer = it.look_alike.simulation.answer_with
        answer("*/projects/*/segments", {"data": []})
        for project in (one, two):
            answer(f"*/projects/{project}/segments", {"data": [{"id": 7}]})
        answer("*/segments/7/items", {"hasMore": False, "data": [{"id": 70}]})
        await it.run("jpm.projects", segments, items)
        expected = [(70, 7, [one, "7"]), (70, 7, [two, "7"])]
        assert sorted((row["id"], row["_parent_id"], row["_parent_ids"]) for row in rows(it, items)) == sorted(expected)
        answer(f"*/projects/{one}/segments/7/items", {"hasMore": False, "data": []})
        it.changes.modify("jpm.projects", one)
        await it.run("jpm.projects", segments, items, request={"full_children": True})
        assert [row["_parent_ids"] for row in rows(it, items) if row["_deleted"]] == [[one, "7"]]


async def test_every_depth_of_a_work_breakdown_structure_is_read_once(serving: Callable[..., Any]) -> None:
    name = "jpm.work-breakdown-structure.segments.items.children"
    async with serving() as it:
        answer = it.look_alike.simulation.answer_with
        answer("*/work-breakdown-structure/segments", {"hasMore": False, "data": [{"id": 1}]})
        answer("*/segments/1/items", {"hasMore": False, "data": [{"id": 10}]})
        below = {10: [11, 12], 11: [13], 13: [10]}  # the last one closes a circle
        for item in (10, 11, 12, 13):
            answer(f"*/items/{item}/children", {"hasMore": False, "data": [{"id": each} for each in below.get(item, [])]})
        run = await it.run("jpm.work-breakdown-structure.segments", "jpm.work-breakdown-structure.segments.items", name)
        assert run.bad() == {}
        found = sorted((row["id"], row["_parent_ids"]) for row in rows(it, name))
        assert found == [(10, ["1", "13"]), (11, ["1", "10"]), (12, ["1", "10"]), (13, ["1", "11"])]
        assert len(run.asked("/children")) == 4


async def test_children_without_a_key_are_a_snapshot_of_each_parent(serving: Callable[..., Any]) -> None:
    name, entries = "accounting.journal-entries.details", "accounting.journal-entries"
    async with serving() as it:
        answer = it.look_alike.simulation.answer_with
        one, two = [each.id for each in it.look_alike.truth("/accounting/v2/tenant/{tenant}/journal-entries") if each.listed][:2]
        answer("*/details", {"hasMore": False, "data": []})
        answer(f"*/{one}/details", {"hasMore": False, "data": [{"memo": "a"}, {"memo": "a"}]})
        answer(f"*/{two}/details", {"hasMore": False, "data": [{"memo": "b"}]})
        await it.run(entries, name)
        answer(f"*/{one}/details", {"hasMore": False, "data": [{"memo": "a"}]})
        answer(f"*/{two}/details", {"hasMore": False, "data": []})
        run = await it.run(entries, name, request={"full_children": True})
        assert run.entities()[name]["rows"] == 2
        found = sorted(
            (row["_parent_id"], row["memo"], row["_deleted"]) for row in rows(it, name) if row["_run_id"] == run.summary["run_id"]
        )
        assert found == sorted([(one, "a", False), (two, None, True)])
        assert (await it.run(entries, name, request={"full_children": True})).files == 0


async def test_reasons_are_asked_for_fifty_jobs_at_once(serving: Callable[..., Any]) -> None:
    name = "jpm.jobs.cancel-reasons"
    async with serving({"rows": 130}) as it:
        run = await it.run("jpm.jobs", name)
        sizes = [len(seen.query["ids"].split(",")) for seen in run.asked("/jobs/cancel-reasons")]
        jobs = len([each for each in it.look_alike.truth("jpm.jobs") if each.current])
        assert sorted(sizes, reverse=True) == [50] * (jobs // 50) + [jobs % 50] * (jobs % 50 > 0)
        assert same(it.lake, it.look_alike, [name], partition=lambda row: None)
        it.look_alike.simulation.answer_with("*/jobs/cancel-reasons", {"data": [], "hasMore": False})
        before = len(rows(it, name))
        await it.run("jpm.jobs", name, request={"full_children": True})
        assert sum(row["_deleted"] for row in rows(it, name)) == before


@pytest.mark.parametrize("name", ["schedulingpro.schedulers.performance", "schedulingpro.routers.performance"])
async def test_performance_is_asked_for_each_day_below_each_parent(name: str, serving: Callable[..., Any]) -> None:
    async with serving({"now": NOW}, entities=NO_LIST, start="2026-11-18") as it:
        run = await it.run(name)
        assert run.bad() == {}
        parents = sorted({row["_parent_id"] for row in rows(it, name)})
        days = sorted({row["_window_from"].date().isoformat() for row in rows(it, name)})
        assert days == ["2026-11-18", "2026-11-19", "2026-11-20"]
        assert len(run.asked("/performance")) == len(parents) * 3
        spans = {(s.query["sessionCreatedOnOrAfter"], s.query["sessionCreatedBefore"]) for s in run.asked("/performance")}
        assert ("2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z") in spans
        again = await it.run(name)
        assert (len(again.asked("/performance")), again.files) == (len(parents), 0)  # the day of the watermark


async def test_a_backfill_visits_the_parents_of_its_window(serving: Callable[..., Any]) -> None:
    async with serving({"now": NOW, "years": 0.2}) as it:
        start = NOW - timedelta(days=20)
        run = await it.backfill(start, None, CUSTOMERS, NOTES)
        inside = [
            each.id for each in it.look_alike.truth(CUSTOMERS) if each.current and each.modified_on[:19] >= f"{start:%Y-%m-%dT%H:%M:%S}"
        ]
        assert sorted(parents_asked(run)) == sorted(inside)

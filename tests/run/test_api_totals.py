"""`verify --api`: what the lake has held against what the service says, for every kind of collection that shows how many it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from st_export.verification import verify
from tests.lookalike import NOW, service
from tests.truth import entities

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lookalike import Service

pytestmark = pytest.mark.anyio

FEEDS = ("jpm.jobs", "crm.customers.contacts", "settings.technicians")
NO_TOTAL = ("pricebook.materialsmarkup", "jpm.work-breakdown-structure.segments", "equipmentsystems.installed-equipment.custom-field-types")
PLAIN = ("pricebook.materials.costtypes", "crm.contacts.preferences")
LISTS = ("settings.user-roles", "inventory.vendors", "accounting.ap-bills", "telecom.calls-v3")
NAMES = (*FEEDS, *NO_TOTAL, *PLAIN, *LISTS)


async def differences(running: Service, *names: str) -> dict[str, str]:
    """Return the difference that is told of each entity: `2 fewer`."""
    problems = (await verify(running.config(select=list(names)), api=True))["problems"]
    return {one["entity"]: one["problem"].rpartition(": ")[2] for one in problems}


def shown(running: Service, name: str) -> list[str]:
    """Return the ids of the records that a list shows and nobody has made inactive, the oldest first."""
    records = [each for each in running.look_alike.truth(entities()[name].path, current_only=True) if each.listed]
    active = [(json.loads(each.record).get("createdOn") or "", each.id) for each in records if b'"active":false' not in each.record]
    return [record_id for _, record_id in sorted(active)]


async def test_a_lake_that_has_all_agrees(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": dict.fromkeys(NAMES, 12)}, start=NOW.replace(day=18)) as running:
        assert (await running.run(*NAMES)).bad() == {}
        assert await differences(running, *NAMES) == {}


@pytest.mark.parametrize("most", [1, 100], ids=["one is gone", "all are gone"])
async def test_what_the_service_no_longer_shows_is_told(tmp_path: Path, most: int) -> None:
    async with service(tmp_path, {"row_counts": dict.fromkeys(NAMES, 12)}) as running:
        assert (await running.run(*NAMES)).bad() == {}
        gone = {name: shown(running, name)[:most] for name in NAMES}
        for name, doomed in gone.items():
            for each in doomed:
                running.changes.remove("telecom.calls" if name == "telecom.calls-v3" else name, each)
        told = await differences(running, *NAMES)
        # A list beside a feed that shows inactive records too hides how many of them are deleted.
        assert set(told) == set(NAMES) - ({"settings.technicians"} if most == 1 else set())
        assert all(0 < int(text.removesuffix(" more")) <= len(gone[name]) for name, text in told.items() if most == 1 or name in FEEDS)


async def test_a_feeds_deleted_records_are_no_difference(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {"jpm.jobs": 12}}) as running:
        running.changes.delete("jpm.jobs", shown(running, "jpm.jobs")[0])
        assert (await running.run("jpm.jobs")).rows == 12
        assert await differences(running, "jpm.jobs") == {}

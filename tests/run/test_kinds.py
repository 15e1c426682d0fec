"""The kinds that a wildcard matches only when asked to: children below all their parents, capacity, reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lookalike import service
from tests.truth import entities, same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PARENTS = [str(number) for number in range(1, 10)]
UNLISTED = ("crm.booking-provider.bookings", "schedulingpro.routers.sessions")
"""Children of what no list shows; the look-alike has parents 1 to 9."""
OTHER = (
    "crm.locations.preferredtechnician",
    "reporting.report-category.reports",
    "crm.booking-provider.bookings",
    "crm.booking-provider.bookings.contacts",
)
"""Bare values, reports, and bookings of a provider, which are hidden while inactive: the look-alike's truth does not tell them so."""
REPORT = {"name": "revenue", "category": "accounting", "id": 101, "parameters": {"From": "{day}", "To": "{day}"}, "lookback_days": 1}


async def test_children_capacity_and_reports_are_whole_and_an_idle_night_writes_nothing(tmp_path: Path) -> None:
    children = [name for name, entity in entities().items() if entity.kind == "child" and not entity.alias_of and entity.per is None]
    known = [name for name in children if name not in OTHER]
    settings = {
        "kinds": ["feed", "list", "plain", "child", "capacity", "report"],
        "entities": {name: {"parent_ids": PARENTS} for name in UNLISTED},
        "capacity": {"days_ahead": 1},
        "reports": [REPORT],
        "exclude": ["marketing.*", "marketingads.*", "telecom.*", "payroll.*", "inventory.*", "*.performance"],
    }
    options = {"rows": 12, "years": 0.003, "inactive_parent_conflicts": False}
    async with service(tmp_path, options, **settings) as running:
        first = await running.run("*")
        assert (first.exit_code, first.bad()) == (0, {})
        assert set(children) <= first.entities().keys()
        assert same(running.lake, running.look_alike, known) > 150
        assert (len(running.lake.rows("report.revenue")), len(running.lake.rows("dispatch.capacity"))) == (48, 10)
        assert len(running.lake.rows("crm.booking-provider.bookings")) == 2
        assert {row.values["value"] for row in running.lake.rows("crm.locations.preferredtechnician")} > {None}
        second = await running.run("*")
        assert (second.exit_code, second.rows, second.files, second.bad()) == (0, 0, 0, {})


async def test_a_child_without_known_parents_is_skipped_or_failed_by_how_it_was_selected(tmp_path: Path) -> None:
    async with service(tmp_path, {"rows": 5}, kinds=["child"]) as running:
        by_glob = await running.run("schedulingpro.routers.s*", "settings.tag-types")
        assert (by_glob.exit_code, by_glob.statuses()["schedulingpro.routers.sessions"]) == (0, "skipped")
        by_name = await running.run(UNLISTED[1], "settings.tag-types")
        assert (by_name.exit_code, by_name.statuses()[UNLISTED[1]]) == (4, "failed")

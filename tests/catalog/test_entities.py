"""What the catalog says about its entities: names, kinds, keys, ways to ask, parents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from st_export.catalog.columns import find_column
from st_export.catalog.entity import Entity, Paging, Parent
from st_export.catalog.schema import entity_schema
from st_export.flow import EntityName

if TYPE_CHECKING:
    from st_export.catalog.load import Catalog


def _own(catalog: Catalog) -> list[Entity]:
    return [entity for entity in catalog.entities.values() if entity.alias_of is None]


@pytest.mark.parametrize(
    ("name", "kind", "path", "sources"),
    [
        ("crm.customers.contacts", "feed", "/crm/v2/tenant/{tenant}/export/customers/contacts", 2),
        ("accounting.inventory-bills", "feed", "/accounting/v2/tenant/{tenant}/export/inventory-bills", 2),
        ("sales.estimates", "feed", "/sales/v2/tenant/{tenant}/export/estimates", 2),
        ("telecom.calls", "feed", "/telecom/v2/tenant/{tenant}/export/calls", 1),
        ("telecom.calls-v3", "list", "/telecom/v3/tenant/{tenant}/calls", 0),
        ("telecom.optinouts.optouts", "plain", "/telecom/v3/tenant/{tenant}/optinouts/optouts", 0),
        ("crm.customers.notes", "child", "/crm/v2/tenant/{tenant}/customers/{id}/notes", 0),
        ("memberships.invoice-templates", "feed", "/memberships/v2/tenant/{tenant}/export/invoice-templates", 1),
        ("dispatch.capacity", "capacity", "/dispatch/v2/tenant/{tenant}/capacity", 0),
        ("pricebook.images", "binary", "/pricebook/v2/tenant/{tenant}/images", 0),
    ],
)
def test_the_best_path_of_a_name_is_read(catalog: Catalog, name: str, kind: str, path: str, sources: int) -> None:
    entity = catalog.get(name)
    assert entity is not None
    assert (entity.kind, entity.path, len(entity.sources)) == (kind, path, sources)


def test_an_alias_stands_for_an_entity_and_shows_its_rows(catalog: Catalog) -> None:
    aliases = {entity.name: entity.alias_of for entity in catalog.entities.values() if entity.alias_of is not None}
    assert aliases[EntityName("jpm.jobs.notes")] == "jpm.job-notes"
    assert all(catalog.entities[target].alias_of is None for target in aliases.values())
    assert all(catalog.entities[name].columns == catalog.entities[target].columns for name, target in aliases.items())


def test_the_module_is_the_first_part_of_the_path_and_of_the_name(catalog: Catalog) -> None:
    assert all(entity.name.split(".")[0] == entity.path.split("/")[1] for entity in _own(catalog))
    assert all(re.fullmatch(r"[a-z][a-z0-9.-]*", entity.name) for entity in _own(catalog))


def test_keys_are_columns_of_the_files(catalog: Catalog) -> None:
    missing = [(entity.name, name) for entity in _own(catalog) for name in entity.key if name not in entity_schema(entity).names]
    assert missing == []


def test_rows_with_an_id_have_it_as_key_unless_they_describe_a_day(catalog: Catalog) -> None:
    without = [entity for entity in _own(catalog) if find_column(entity.columns, "id") and "id" not in entity.key]
    assert {entity.name for entity in without} == {"schedulingpro.routers.performance", "schedulingpro.schedulers.performance"}


def test_entities_without_a_key_are_the_known_snapshots(catalog: Catalog) -> None:
    assert sorted(entity.name for entity in _own(catalog) if not entity.key) == [
        "accounting.journal-entries.details",
        "accounting.journal-entries.summary",
        "dispatch.arrival-windows.configuration",
        "dispatch.business-hours",
        "dispatch.capacity",
        "marketing.campaign-cost-summary",
        "marketing.email-channel-cost",
        "marketingads.attributed-leads",
        "marketingads.capacity-warnings",
        "marketingads.performance",
        "marketingreputation.reviews",
        "schedulingpro.routers.performance",
        "schedulingpro.schedulers.performance",
        "taskmanagement.data",
    ]


def test_times_and_partition_columns_exist_and_are_times(catalog: Catalog) -> None:
    wrong = [
        (entity.name, path)
        for entity in _own(catalog)
        for path in (entity.modified, entity.created, *entity.partition_by)
        if path is not None and ((column := find_column(entity.columns, path)) is None or column.type not in ("timestamp", "date"))
    ]
    assert wrong == []


def test_parents_list_the_ids_that_children_need(catalog: Catalog) -> None:
    unknown = []
    for entity in _own(catalog):
        for parent in entity.parents:
            target = catalog.get(parent.entity) if parent.entity is not None else None
            if target is None or parent.detail_path is not None:
                continue
            column = parent.column.partition("[")[0] if parent.column.startswith("_") else parent.column
            if find_column(target.columns, column) is None and column not in entity_schema(target).names:
                unknown.append((entity.name, parent))
    assert unknown == []


def test_only_routers_and_booking_providers_need_ids_from_the_configuration(catalog: Catalog) -> None:
    assert {entity.name for entity in _own(catalog) if any(parent.entity is None for parent in entity.parents)} == {
        "crm.booking-provider.bookings",
        "schedulingpro.routers.performance",
        "schedulingpro.routers.sessions",
    }


def test_every_id_in_a_path_has_a_parent_from_one_entity(catalog: Catalog) -> None:
    for entity in _own(catalog):
        if entity.kind == "child":
            ids = re.findall(r"\{(\w+)\}", entity.path)[1:] or ["ids"]
            assert [parent.parameter for parent in entity.parents] == ids
            assert len({parent.entity for parent in entity.parents}) == 1


def test_ids_of_a_grandchild_come_from_one_row(catalog: Catalog) -> None:
    entity = catalog.get("jpm.work-breakdown-structure.projects.segments.items.children")
    items = EntityName("jpm.work-breakdown-structure.projects.segments.items")
    assert entity is not None
    assert entity.recursive
    assert entity.parents == (
        Parent("projectId", items, "_parent_ids[0]"),
        Parent("segmentId", items, "_parent_ids[1]"),
        Parent("segmentItemId", items),
    )


def test_reasons_of_cancelled_jobs_are_read_in_batches_of_fifty(catalog: Catalog) -> None:
    entity = catalog.get("jpm.jobs.cancel-reasons")
    assert entity is not None
    assert (entity.kind, entity.batch_ids, entity.key) == ("child", 50, ("jobId", "reasonId"))
    assert entity.parents == (Parent("ids", EntityName("jpm.jobs")),)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("dispatch.appointment-assignments", {"active": "Any"}),
        ("jpm.appointments", {"active": "Any"}),
        ("dispatch.teams", {"includeInactive": "true"}),
        ("dispatch.non-job-appointments", {"activeOnly": "false"}),
        ("inventory.return-types", {"activeOnly": "false"}),
        ("equipmentsystems.installed-equipment.custom-field-types", {"descending": "false"}),
        ("settings.user-roles", {"active": "Any"}),
        ("forms.forms", {"active": "Any", "status": "Any"}),
        ("accounting.journal-entries", {"empty": "Include"}),
        ("crm.contacts", {}),
    ],
)
def test_inactive_records_are_always_asked_for(catalog: Catalog, name: str, query: dict[str, str]) -> None:
    entity = catalog.get(name)
    assert entity is not None
    assert dict(entity.query) == query


def test_a_list_that_shows_one_kind_of_its_rows_is_asked_for_each(catalog: Catalog) -> None:
    kinds = {entity.name: (entity.variant_parameter, entity.variants) for entity in _own(catalog) if entity.variants}
    assert kinds == {"accounting.ap-bills": ("billType", ("NotSet", "Procurement", "ApBill"))}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jpm.project-types", Paging()),
        ("accounting.payment-types", Paging(created_from="createdOnOrAfter", created_before="createdBefore", created_field="createdOn")),
        ("jpm.work-breakdown-structure.segments", Paging(has_total=False, envelope="data")),
        ("marketing.costs", Paging(sort="+Id")),
        ("pricebook.materialsmarkup", Paging(has_total=False)),
    ],
)
def test_lists_without_a_modified_filter_are_read_whole(catalog: Catalog, name: str, expected: Paging) -> None:
    entity = catalog.get(name)
    assert entity is not None
    assert entity.whole
    assert entity.paging == expected


def test_a_list_that_filters_by_modification_says_how(catalog: Catalog) -> None:
    entity = catalog.get("telecom.calls-v3")
    assert entity is not None
    assert (entity.modified, entity.partition_by) == ("leadCall.modifiedOn", ("leadCall.modifiedOn", "leadCall.createdOn"))
    assert entity.paging == Paging(
        page_size=1000,
        sort="Id",
        modified_from="modifiedOnOrAfter",
        modified_before="modifiedBefore",
        created_from="createdOnOrAfter",
        created_before="createdBefore",
        created_field="leadCall.createdOn",
        one_at_a_time=True,
    )


def test_pages_are_paged_where_the_kind_says_so(catalog: Catalog) -> None:
    assert all((entity.paging is not None) for entity in _own(catalog) if entity.kind == "list")
    assert all((entity.paging is None) for entity in _own(catalog) if entity.kind not in ("list", "child"))
    small = {entity.name: entity.paging.max_page_size for entity in _own(catalog) if entity.paging and entity.paging.max_page_size < 5000}
    prefix = "accounting.journal-entries"
    assert small == {prefix: 500, f"{prefix}.details": 500, f"{prefix}.summary": 500}


def test_what_needs_a_range_is_asked_day_by_day(catalog: Catalog) -> None:
    ranged = {entity.name: (entity.range_from, entity.range_to) for entity in _own(catalog) if entity.per == "day"}
    sessions = ("sessionCreatedOnOrAfter", "sessionCreatedBefore")
    assert ranged == {
        "dispatch.capacity": ("startsOnOrAfter", "endsOnOrBefore"),
        "marketing.campaign-cost-summary": ("from", "to"),
        "marketing.email-channel-cost": ("from", "to"),
        "marketingads.attributed-leads": ("fromUtc", "toUtc"),
        "marketingads.performance": ("fromUtc", "toUtc"),
        "schedulingpro.routers.performance": sessions,
        "schedulingpro.schedulers.performance": sessions,
    }


def test_rows_without_a_schema_are_marked_unverified(catalog: Catalog) -> None:
    unverified = {entity.name: entity.columns for entity in _own(catalog) if not entity.verified}
    assert sorted(unverified) == ["forms.jobs.attachments", "sales.opportunities", "sales.opportunities.followups"]
    assert all([column.name for column in columns] == ["id", "createdOn", "modifiedOn", "active"] for columns in unverified.values())


@pytest.mark.parametrize(("name", "history"), [("jpm.jobs", True), ("payroll.payrolls", True), ("crm.customers", False)])
def test_what_happens_is_history_and_master_data_is_not(catalog: Catalog, name: str, *, history: bool) -> None:
    entity = catalog.get(name)
    assert entity is not None
    assert entity.history is history

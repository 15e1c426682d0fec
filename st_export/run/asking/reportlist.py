"""The reports that a tenant has, by category. Source: reporting-v2, `report-categories` and `report-category/{category}/reports`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from st_export.errors import EntityFailed, EntityRefused, TenantRefused
from st_export.fetch.lists import ListCall, PageSize, list_path, walk_forward
from st_export.flow import EntityName
from st_export.run.asking.inquiry import brief_source
from st_export.run.asking.refusals import entity_reason
from st_export.run.groups import task_group

if TYPE_CHECKING:
    from st_export.config.model import Tenant
    from st_export.fetch.source import Source
    from st_export.flow import Json, Page
    from st_export.run.parts import RunParts

CATEGORIES = EntityName("reporting.report-categories")
REPORTS = EntityName("reporting.report-category.reports")


async def tenant_reports(run: RunParts, tenant: Tenant) -> dict[str, Any]:
    """Return `{id, reports: [{category, id, name}]}` of a tenant, in the order of categories and ids.

    Raises:
        TenantRefused: no token, or the app may not read reports.
        EntityFailed, ServiceUnavailable: as the client says.

    """
    source = brief_source(run, tenant)
    try:
        categories = [str(row["id"]) for row in await _rows(run, source, CATEGORIES) if row.get("id") is not None]
    except EntityRefused as error:
        reason, remedy = entity_reason(run.catalog.entities[CATEGORIES], error, error.status)
        raise TenantRefused(reason, hint=remedy, tenant=tenant.id) from error
    found: dict[str, list[dict[str, Json]]] = {}

    async def read(category: str) -> None:
        rows = await _rows(run, source, REPORTS, {"report_category": category})
        found[category] = [{"category": category, "id": row.get("id"), "name": row.get("name")} for row in rows]

    async with task_group() as group:
        for category in categories:
            group.start_soon(read, category)
    return {"id": tenant.id, "reports": [report for category in sorted(found) for report in found[category]]}


async def _rows(run: RunParts, source: Source, name: EntityName, ids: dict[str, str] | None = None) -> list[dict[str, Json]]:
    entity = run.catalog.entities[name]
    rows: list[dict[str, Json]] = []

    async def take(page: Page) -> None:
        try:
            answer = orjson.loads(page.body)
        finally:
            source.release(page)
        data = answer.get("data", []) if isinstance(answer, dict) else answer
        if not isinstance(data, list):
            raise EntityFailed("the answer holds no list of records", tenant=source.tenant, entity=name)
        rows.extend(row for row in data if isinstance(row, dict))

    size = PageSize(entity.paging.page_size if entity.paging else 1)
    await walk_forward(source, ListCall(entity, list_path(entity, source.tenant, ids)), size, take)
    return rows

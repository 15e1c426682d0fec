"""How many records the service says an entity has, for holding the lake against it: one request an entity, or one a variant of it.

What was made since the last complete read is left out where the list can be asked so: it is not missing, only not read yet. Where a
list tells no total, the rows of its first page are counted if that is all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import anyio
import orjson

from st_export.errors import StExportError, TenantRefused
from st_export.events import Noted
from st_export.fetch.lists import ListCall, PageSize, has_more, list_path
from st_export.fetch.pages import PageNumber
from st_export.flow import Request, TenantId, Window, utc_text
from st_export.run.asking.inquiry import brief_source
from st_export.run.asking.preview import count_beside, least_bound, list_beside
from st_export.run.asking.questions import ONE_ROW
from st_export.run.asking.refusals import raise_if_all_refused
from st_export.run.groups import task_group
from st_export.run.scope import NIGHTLY
from st_export.run.variants import calls_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.commit.checkpoint import Checkpoints
    from st_export.config.model import Tenant
    from st_export.fetch.source import Source
    from st_export.flow import Page
    from st_export.run.parts import RunParts


@dataclass(frozen=True, slots=True)
class Total:
    """A total of the service: only records modified from `modified_from` on, and made before `created_before`, where these are given.

    `at_least`: the total is that of a list beside a feed, which does not show deleted records; the lake may have more.
    `variants`: the records of each value that the list was asked with; `records` is their sum.
    """

    records: int
    modified_from: datetime | None = None
    created_before: datetime | None = None
    at_least: bool = False
    variants: tuple[tuple[str, int], ...] = ()


async def tenant_totals(run: RunParts, tenant: Tenant, entities: Sequence[Entity], checkpoints: Checkpoints) -> dict[str, Total]:
    """Return the totals of the entities that have any; those that are refused, or tell none, are left out.

    Raises:
        TenantRefused, ServiceUnavailable: no token, or all that was asked is refused.

    """
    source = brief_source(run, tenant)
    await source.authorize()
    found: dict[str, Total] = {}
    answers: list[StExportError | None] = []
    places = anyio.CapacityLimiter(run.config.limits.max_in_flight)

    async def ask(entity: Entity) -> None:
        asked = _question(run, tenant, entity, checkpoints.position(entity.name, NIGHTLY).watermark)
        if asked is None:
            return
        requests, total = asked
        async with places:
            try:
                records = [await _records(source, request) for request in requests]
            except TenantRefused:
                raise
            except StExportError as error:
                answers.append(error)
                text = f"its total is not known: {error.message}"
                level: Literal["info", "warning"] = "info" if total.at_least else "warning"
                run.events.emit(Noted(at=run.clock.now(), level=level, text=text, tenant=tenant.id, entity=entity.name))
                return
        answers.append(None)
        told = [each for each in records if each is not None]
        if len(told) == len(records):
            variants = tuple(zip(entity.variants, told, strict=True)) if entity.variants else ()
            found[entity.name] = replace(total, records=sum(told), variants=variants)

    async with task_group() as group:
        for entity in entities:
            group.start_soon(ask, entity)
    raise_if_all_refused(answers, tenant.id, run.config.environment)
    return found


async def _records(source: Source, request: Request) -> int | None:
    """Return the total that an answer tells, or its rows where it is all there is; None where neither is known."""
    page = await source.page(Request(request.entity, request.path, request.query))
    try:
        return _records_of(page, request)
    finally:
        source.release(page)


def _records_of(page: Page, request: Request) -> int | None:
    if page.envelope.total_count is not None:
        return page.envelope.total_count
    size = next((int(value) for name, value in request.query if name == "pageSize"), 1)
    if page.envelope.shape != "array" or has_more(page, PageSize(size)):
        return None
    return len(orjson.loads(memoryview(page.body)[slice(*page.envelope.records)]))


def _question(run: RunParts, tenant: Tenant, entity: Entity, mark: datetime | None) -> tuple[list[Request], Total] | None:
    """Return the requests and what their totals stand for; None where none would tell."""
    if not entity.key or entity.parents or entity.per is not None or entity.kind not in ("feed", "list", "plain"):
        return None
    start = run.config.start if entity.history else None
    if entity.kind == "feed":
        path = list_beside(entity)
        if path is None:
            return None
        lower = least_bound(path, start)
        return [count_beside(entity, path, tenant.id, start, mark)], Total(0, lower, mark, at_least=True)
    call = ListCall(entity, list_path(entity, TenantId(tenant.id)))
    paging = entity.paging
    if paging is None or not paging.has_page:
        return [call.request(ONE_ROW)], Total(0)
    window = Window(start) if start is not None and paging.modified_from is not None else None
    bounded = mark if paging.created_before is not None and entity.created is not None and "." not in entity.created else None
    more = ((paging.created_before, utc_text(bounded)),) if bounded is not None and paging.created_before is not None else ()
    page = ONE_ROW if paging.has_total else PageNumber(1, paging.page_size)
    calls = calls_of(replace(call, window=window, query=more))
    return [each.request(page, include_total=True) for each in calls], Total(0, window.start if window else None, bounded)

"""How many records the service says an entity has, for holding the lake against it: one request an entity.

What was made since the last complete read is left out where the list can be asked so: it is not missing, only not read yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anyio

from st_export.errors import StExportError, TenantRefused
from st_export.events import Noted
from st_export.fetch.lists import ListCall, list_path
from st_export.flow import Request, TenantId, Window, utc_text
from st_export.run.asking.inquiry import brief_source
from st_export.run.asking.preview import count_beside, list_beside
from st_export.run.asking.questions import ONE_ROW
from st_export.run.asking.refusals import raise_if_all_refused
from st_export.run.groups import task_group
from st_export.run.scope import NIGHTLY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.commit.checkpoint import Checkpoints
    from st_export.config.model import Tenant
    from st_export.run.parts import RunParts


@dataclass(frozen=True, slots=True)
class Total:
    """A total of the service: only records modified from `modified_from` on, and made before `created_before`, where these are given.

    `at_least`: the total is that of a list beside a feed, which does not show deleted records; the lake may have more.
    """

    records: int
    modified_from: datetime | None = None
    created_before: datetime | None = None
    at_least: bool = False


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
        request, total = asked
        async with places:
            try:
                records = await source.count(Request(request.entity, request.path, request.query))
            except TenantRefused:
                raise
            except StExportError as error:
                answers.append(error)
                text = f"its total is not known: {error.message}"
                level: Literal["info", "warning"] = "info" if total.at_least else "warning"
                run.events.emit(Noted(at=run.clock.now(), level=level, text=text, tenant=tenant.id, entity=entity.name))
                return
        answers.append(None)
        if records is not None:
            found[entity.name] = Total(records, total.modified_from, total.created_before, total.at_least)

    async with task_group() as group:
        for entity in entities:
            group.start_soon(ask, entity)
    raise_if_all_refused(answers, tenant.id, run.config.environment)
    return found


def _question(run: RunParts, tenant: Tenant, entity: Entity, mark: datetime | None) -> tuple[Request, Total] | None:
    """Return the request and what its total stands for; None where none would tell."""
    if not entity.key or entity.parents or entity.per is not None or entity.kind not in ("feed", "list"):
        return None
    start = run.config.start if entity.history else None
    if entity.kind == "feed":
        path = list_beside(entity)
        if path is None:
            return None
        return count_beside(entity, path, tenant.id, start, mark), Total(0, start, mark, at_least=True)
    paging = entity.paging
    if paging is None or not paging.has_total or not paging.has_page:
        return None
    window = Window(start) if start is not None and paging.modified_from is not None else None
    bounded = mark if paging.created_before is not None and entity.created is not None and "." not in entity.created else None
    more = ((paging.created_before, utc_text(bounded)),) if bounded is not None and paging.created_before is not None else ()
    call = ListCall(entity, list_path(entity, TenantId(tenant.id)), window, query=more)
    return call.request(ONE_ROW, include_total=True), Total(0, window.start if window else None, bounded)

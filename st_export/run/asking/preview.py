"""A dry run of one tenant: per entity the window, and what it would cost. At most one small request an entity (or variant of it).

Nothing is written. Totals come from `pageSize=1&includeTotal=true`: a list's own, and for a feed those of the list with the same
rows, where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from st_export.errors import StExportError, TenantRefused
from st_export.fetch.lists import ListCall, list_path
from st_export.flow import Request, Window, utc_text
from st_export.plan.days import backfill_days, nightly_days
from st_export.plan.estimate import Estimate, feed_requests, list_requests, total_seconds, whole_requests
from st_export.plan.watermark import restart_date
from st_export.plan.windows import BEGINNING
from st_export.run.asking.inquiry import brief_source
from st_export.run.asking.questions import ONE_ROW
from st_export.run.asking.refusals import raise_if_all_refused
from st_export.run.groups import task_group
from st_export.run.variants import calls_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.commit.checkpoint import Checkpoints
    from st_export.config.model import Tenant
    from st_export.flow import EntityName
    from st_export.run.parts import RunParts
    from st_export.run.scope import Scope

EVERYTHING = (("active", "Any"), ("activeState", "All"))
"""What most lists need to show inactive rows too; a list ignores what it does not know. Source: fact sheet, sections 0 and 4."""

_NO_TOTAL = "the service does not tell before it is read"


@dataclass(frozen=True, slots=True)
class Due:
    """What an entity has to read: `window` with its start None for the beginning, and whether a token goes before it."""

    entity: Entity
    start: datetime | None
    end: datetime
    has_token: bool = False
    is_whole: bool = False

    def window_json(self) -> list[str | None] | None:
        """Return `[from, to]`; None where all is read each time."""
        return None if self.is_whole else [utc_text(self.start) if self.start else None, utc_text(self.end)]


async def preview_tenant(
    run: RunParts, tenant: Tenant, entities: Sequence[Entity], left_out: Sequence[Entity], scope: Scope, checkpoints: Checkpoints
) -> dict[str, Any]:
    """Return what `plan --json` says of a tenant.

    Args:
        run: from `inquiring`.
        tenant: the tenant.
        entities: what is selected.
        left_out: what `select` matches and `kinds` leaves out; nothing is asked for these.
        scope: nightly or a backfill's.
        checkpoints: the tenant's positions, loaded.

    Raises:
        TenantRefused, ServiceUnavailable: no token, or all that was asked is refused.

    """
    preview = _Preview(run, tenant, scope, checkpoints)
    await preview.source.authorize()
    estimates = await preview.estimate_all(entities)
    rate = run.config.limits.requests_per_second
    found = [preview.document(entity, estimates[entity.name]) for entity in entities]
    costs = {entity.name: preview.without_asking(entity, estimates) for entity in left_out}
    known = [estimates[entity.name] for entity in entities]
    return {
        "id": tenant.id,
        "entities": found,
        "rows": sum(one.rows or 0 for one in known),
        "requests": sum(1 if one.requests is None else one.requests for one in known),
        "seconds": round(total_seconds(known, rate), 3),
        "bytes": sum(one.bytes or 0 for one in known),
        "unknown": sum(one.rows is None or one.requests is None for one in known),
        "left_out": [preview.document(entity, costs[entity.name]) for entity in left_out],
    }


class _Preview:
    """The estimates of one tenant."""

    def __init__(self, run: RunParts, tenant: Tenant, scope: Scope, checkpoints: Checkpoints) -> None:
        self.run, self.tenant, self.scope, self.checkpoints = run, tenant, scope, checkpoints
        self.source = brief_source(run, tenant)
        self.now = run.clock.now().replace(microsecond=0)
        self._answers: list[StExportError | None] = []

    # -- what is due

    def due(self, entity: Entity) -> Due:
        """Return what an entity has to read, from its position."""
        end = self.scope.end or self.now
        is_whole = entity.whole and entity.kind in ("list", "plain") and entity.per is None
        if self.scope.is_backfill:
            return Due(entity, self.scope.start, end, is_whole=is_whole and not entity.key)
        position = self.checkpoints.position(entity.name, self.scope.name)
        start = self.run.config.start if entity.history else None
        if entity.kind == "feed":
            known = position.watermark if position.token else restart_date(position.watermark, start)
            return Due(entity, known, end, has_token=position.token is not None)
        return Due(entity, position.watermark or start, end, is_whole=is_whole)

    def document(self, entity: Entity, estimate: Estimate) -> dict[str, Any]:
        """Return an entity's part of the plan."""
        seconds = estimate.seconds(self.run.config.limits.requests_per_second)
        return {
            "name": entity.name,
            "kind": entity.kind,
            "window": self.due(entity).window_json(),
            "rows": estimate.rows,
            "requests": estimate.requests,
            "seconds": None if seconds is None else round(seconds, 3),
            "bytes": estimate.bytes,
            "note": estimate.note,
        }

    # -- estimates

    async def estimate_all(self, entities: Sequence[Entity]) -> dict[EntityName, Estimate]:
        """Return an estimate for each entity; children come last, as they cost what their parents are."""
        found: dict[EntityName, Estimate] = {}

        async def ask(entity: Entity) -> None:
            try:
                found[entity.name] = await self._estimate(entity)
            except TenantRefused:
                raise
            except StExportError as error:
                self._answers.append(error)
                found[entity.name] = Estimate(note=f"cannot be read: {error.message}")

        async with task_group() as group:
            for entity in entities:
                if not entity.parents:
                    group.start_soon(ask, entity)
        raise_if_all_refused(self._answers, self.tenant.id, self.run.config.environment)
        async with task_group() as group:
            for entity in entities:
                if entity.parents:
                    found[entity.name] = self.without_asking(entity, found)
                    driver = entity.parents[0].entity
                    if found[entity.name].requests is None and driver is not None and driver not in found:
                        group.start_soon(self._ask_parents, entity, driver, found)
        return found

    async def _ask_parents(self, entity: Entity, driver: EntityName, found: dict[EntityName, Estimate]) -> None:
        """Spend the child's own request on the total of its parents."""
        parent = self.run.catalog.entities[driver]
        if parent.parents:
            return
        due = replace(self.due(parent), start=self.due(entity).start)
        try:
            estimate = await self._estimate(parent, due)
        except StExportError as error:
            found[entity.name] = Estimate(note=f"its parents cannot be counted: {error.message}")
        else:
            found[entity.name] = self.without_asking(entity, {driver: estimate})

    async def _estimate(self, entity: Entity, due: Due | None = None) -> Estimate:
        due = due or self.due(entity)
        if entity.kind == "feed":
            return await self._feed(due)
        if entity.kind == "list" and entity.per is None and entity.paging is not None:
            return await self._list(due)
        return self.without_asking(entity, {})

    async def _feed(self, due: Due) -> Estimate:
        entity, note = due.entity, None
        if self.scope.end is not None and self.scope.end < self.now:
            note = "a feed has no upper bound: it is read on to its end, and what lies behind `--to` is dropped"
        if due.has_token and due.start is None:
            return Estimate(note="goes on from its token in the midst of a first pass; the service does not tell how much is left")
        path = list_beside(entity)
        if path is None:
            return Estimate(note="a feed without a list beside it; the service does not tell how many rows it has")
        try:
            rows, size = await self._count(count_beside(entity, path, self.tenant.id, due.start))
        except TenantRefused:
            raise
        except StExportError as error:
            self._answers.append(error)
            return Estimate(note=f"a feed, whose list cannot be asked for a total: {error.message}")
        if rows is None:
            return Estimate(note="a feed, whose list tells no total")
        return Estimate(rows, feed_requests(rows), _bytes(rows, size), note)

    async def _list(self, due: Due) -> Estimate:
        entity, paging = due.entity, due.entity.paging
        assert paging is not None  # noqa: S101 -- the caller has seen it
        window = self._window(due)
        if not paging.has_page:
            return Estimate(None, 1, None, "one unpaged answer")
        page_rows = min(self.run.config.options_for(entity.name).page_size or paging.page_size, paging.max_page_size)
        can_cut = paging.sort is not None and paging.modified_before is not None and paging.has_total
        found: list[Estimate] = []
        for call in calls_of(ListCall(entity, list_path(entity, self.source.tenant), window)):
            rows, size = await self._count(call.request(ONE_ROW, include_total=True))
            if rows is None:
                return Estimate(note=_NO_TOTAL)
            if entity.whole:
                requests = whole_requests(rows, page_rows, has_total=paging.has_total)
            else:
                requests = list_requests(rows, page_rows, can_cut=can_cut)
            found.append(Estimate(rows, requests, _bytes(rows, size)))
        return _sum(found)

    def _window(self, due: Due) -> Window | None:
        paging = due.entity.paging
        if paging is None or paging.modified_from is None:
            return None
        if due.start is not None:
            return Window(due.start, due.end if self.scope.end is not None else None)
        return Window(BEGINNING) if paging.needs_window else None

    async def _count(self, request: Request) -> tuple[int | None, int]:
        """Return the total, and the bytes of one record."""
        page = await self.source.page(Request(request.entity, request.path, request.query))
        self.source.release(page)
        self._answers.append(None)
        start, end = page.envelope.records
        return page.envelope.total_count, end - start

    def without_asking(self, entity: Entity, known: dict[EntityName, Estimate]) -> Estimate:
        """Return an estimate from what is known already: days to ask, parents of a child."""
        if entity.kind == "report":
            return self._report(entity)
        if entity.kind == "capacity":
            days = self.run.config.capacity
            return Estimate(None, days.days_back + days.days_ahead + 1, None, f"one request a day; {_NO_TOTAL}")
        if entity.per is not None and not entity.parents:
            asked = len(self._days(entity)) * max(len(entity.segments), 1)
            return Estimate(None, asked, None, f"at least one request a day and segment; {_NO_TOTAL}")
        if not entity.parents:
            note = "one unpaged answer" if entity.kind == "plain" else _NO_TOTAL
            return Estimate(None, 1 if entity.kind == "plain" else None, None, note)
        return self._children(entity, known)

    def _children(self, entity: Entity, known: dict[EntityName, Estimate]) -> Estimate:
        ids = self.run.config.options_for(entity.name).parent_ids
        driver = entity.parents[0].entity
        parents = len(ids) if ids else (known[driver].rows if driver in known else None)
        if driver is None and not ids:
            return Estimate(None, 0, None, f"no list shows its parents: set entities.{entity.name}.parent_ids")
        if parents is None:
            return Estimate(note=f"one request a row of {driver}, which the service does not tell")
        requests = -(-parents // entity.batch_ids) if entity.batch_ids else parents
        each = f"one request for {entity.batch_ids} rows" if entity.batch_ids else "one request a row"
        return Estimate(None, requests, None, f"{each} of {driver or 'parent_ids'}")

    def _days(self, entity: Entity, *, lookback_days: int = 0, first_days: int | None = None) -> list[object]:
        if self.scope.start is not None:
            return list(backfill_days(self.scope.start, self.scope.end or self.now))
        watermark = self.checkpoints.position(entity.name, self.scope.name).watermark
        more = {} if first_days is None else {"first_days": first_days}
        zone = self.tenant.zone if entity.kind == "report" else None
        start = self.run.config.start
        return list(nightly_days(watermark=watermark, start=start, now=self.now, lookback_days=lookback_days, zone=zone, **more))

    def _report(self, entity: Entity) -> Estimate:
        report = next(one for one in self.run.config.reports if one.entity == entity.name)
        interval = self.run.config.limits.report_interval
        if entity.per != "day":
            return Estimate(None, 2, None, f"a report: its description, then one request a page; {_NO_TOTAL}")
        back = report.lookback_days
        days = len(self._days(entity, lookback_days=back, first_days=max(back, 1)))
        seconds = max(days - 1, 0) * interval
        return Estimate(None, 2 * days, None, f"a report of {days:,} days, one every {timedelta(seconds=interval)}", least_seconds=seconds)


def list_beside(entity: Entity) -> str | None:
    """Return the path of the list that shows a feed's rows too, None where there is none."""
    paths = [path for path in entity.sources if "/export" not in path and path.count("{") == 1]
    return max(paths, key=lambda path: path.endswith("/paginated"), default=None)


def least_bound(path: str, start: datetime | None) -> datetime | None:
    """Return the modification time from which a list beside a feed is counted; None for all. Source: fact sheet, section 4."""
    return start or (BEGINNING if path.endswith("/contacts") else None)


def count_beside(entity: Entity, path: str, tenant: int, start: datetime | None, created_before: datetime | None = None) -> Request:
    """Return the request for the total of the list beside a feed; the lists of contacts demand a bound. Source: fact sheet, section 4."""
    query = [*EVERYTHING, ("page", "1"), ("pageSize", "1"), ("includeTotal", "true")]
    lower = least_bound(path, start)
    query += [("modifiedOnOrAfter", utc_text(lower))] if lower is not None else []
    query += [("createdBefore", utc_text(created_before))] if created_before is not None else []
    return Request(entity.name, path.replace("{tenant}", str(tenant)), tuple(query))


def _sum(estimates: Sequence[Estimate]) -> Estimate:
    """Return what the variants of a list cost together."""
    known = [one.bytes for one in estimates if one.bytes is not None]
    rows, requests = sum(one.rows or 0 for one in estimates), sum(one.requests or 0 for one in estimates)
    return Estimate(rows, requests, sum(known) if len(known) == len(estimates) else None)


def _bytes(rows: int, size: int) -> int | None:
    """Return the bytes of so many records like the one that was seen; None where none was."""
    return rows * size if size > len("[]") else (0 if rows == 0 else None)

"""Walking a paged list, in a window or whole. Which walk is sound for which list is argued in `plan.paging`.

Inside a walk a request starts only when the one before has been answered. A page on which the service or a gateway gives up is
asked again in smaller pages that begin at the same row.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from st_export.errors import EntityFailed, PageTimedOut, PageUnreadable, RequestRejected
from st_export.fetch.pages import PageNumber, at_offset, page_count, smaller_size
from st_export.flow import Page, Request, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from st_export.catalog.entity import Entity
    from st_export.fetch.source import Emit, Source
    from st_export.flow import Json, TenantId, Window

DEEPEST_ROW = 50_000_000
"""No list goes on behind this row: a list that never ends is a fault of the service, not data."""

ALWAYS_SERVED = 50
"""Rows of a page that no list refuses: the default. Source: specifications."""


@dataclass(slots=True)
class PageSize:
    """The page size of an entity in this run: starts as configured, shrinks when the service cannot serve it."""

    rows: int

    @contextmanager
    def of_walk(self) -> Iterator[PageSize]:
        """Hand out a size for one walk among several side by side.

        What a walk learns is shared when it has ended: a size that changed between a request and its answer would move its offsets.
        """
        own = PageSize(self.rows)
        try:
            yield own
        finally:
            self.rows = min(self.rows, own.rows)


@dataclass(frozen=True, slots=True)
class ListCall:
    """What is the same for all pages of a walk: the entity, its path with ids filled in, the window, fixed columns and parameters."""

    entity: Entity
    path: str
    window: Window | None = None
    by_creation: bool = False
    query: tuple[tuple[str, str], ...] = ()
    constants: Mapping[str, Json] = field(default_factory=dict)

    def request(self, page: PageNumber, *, include_total: bool = False) -> Request:
        """Return the request for one page."""
        paging = self.entity.paging
        query = [*self.entity.query, *self.query]
        if paging is not None and paging.has_page:
            query += [("page", str(page.number)), ("pageSize", str(page.size))]
            if paging.sort:
                query.append(("sort", paging.sort))
            if include_total and paging.has_total:
                query.append(("includeTotal", "true"))
        return Request(self.entity.name, self.path, (*query, *self._filters()), shrinkable=page.size > 1)

    def filter_name(self) -> str | None:
        """Return the name of the filter that bounds the window from below."""
        paging = self.entity.paging
        if paging is None or self.window is None:
            return None
        return paging.created_from if self.by_creation else paging.modified_from

    def _filters(self) -> list[tuple[str, str]]:
        paging = self.entity.paging
        if paging is None or self.window is None:
            return []
        names = (paging.created_from, paging.created_before) if self.by_creation else (paging.modified_from, paging.modified_before)
        bounds = (self.window.start, self.window.end)
        return [(name, utc_text(moment)) for name, moment in zip(names, bounds, strict=True) if name is not None and moment is not None]


def list_path(entity: Entity, tenant: TenantId, ids: Mapping[str, str] | None = None) -> str:
    """Return the entity's path with the tenant and the parents' ids filled in."""
    path = entity.path.replace("{tenant}", str(tenant))
    for name, value in (ids or {}).items():
        path = path.replace("{" + name + "}", value)
    return path


async def walk_forward(source: Source, call: ListCall, size: PageSize, emit: Emit, *, first: Page | None = None, offset: int = 0) -> None:
    """Hand on the pages from row `offset` to the last; `first` is the page there if it was already fetched at the present size."""
    page, previous = first, b""
    while True:
        if page is None:
            page = await page_at(source, call, size, offset)
        honour_clamp(page, size)
        goes_on, fingerprint = has_more(page, size), b""
        if page.envelope.has_more is None:
            # Full pages alone tell nothing where the service does not know `page` and repeats the first one.
            fingerprint = hashlib.sha256(memoryview(page.body)[slice(*page.envelope.records)]).digest()
            goes_on = goes_on and fingerprint != previous
        await emit(page)
        offset += size.rows
        if not goes_on:
            return
        if offset > DEEPEST_ROW:
            raise EntityFailed(f"the list goes on behind row {DEEPEST_ROW:,}", tenant=source.tenant, entity=call.entity.name)
        page, previous = None, fingerprint


async def walk_backward(source: Source, call: ListCall, size: PageSize, total: int, emit: Emit) -> None:
    """Hand on the pages of a closed window from the last to the first; `total` is its count of rows a moment ago."""
    end = await _walk_last(source, call, size, total, emit)
    while end > 0:
        try:
            page = await source.page(call.request(at_offset(end - size.rows, size.rows)), call.constants)
        except (PageTimedOut, PageUnreadable) as error:
            _shrink(size, error)
            continue
        await emit(page)
        end -= size.rows


async def _walk_last(source: Source, call: ListCall, size: PageSize, total: int, emit: Emit) -> int:
    """Read the last page, and on behind it should there be more; return the row before which all is still to be read."""
    while True:
        asked = size.rows
        start = max(page_count(total, asked) - 1, 0) * asked
        page = await page_at(source, call, size, start)
        if clamped(page, size.rows):  # `start` was reckoned in pages that the service does not give
            honour_clamp(page, size)
            source.release(page)
            continue
        await walk_forward(source, call, size, emit, first=page, offset=start)
        return start


async def page_at(source: Source, call: ListCall, size: PageSize, offset: int) -> Page:
    """Fetch the page that begins at row `offset`, in a smaller size where the service cannot serve it in the present one."""
    while True:
        try:
            return await source.page(call.request(at_offset(offset, size.rows), include_total=offset == 0), call.constants)
        except RequestRejected as error:
            if not _blames_page_size(error) or size.rows <= ALWAYS_SERVED:
                raise
            _shrink(size, error)
        except (PageTimedOut, PageUnreadable) as error:
            _shrink(size, error)


def _blames_page_size(error: RequestRejected) -> bool:
    """Whether a refusal is of the page's size. Source: fact sheet, open questions: above the maximum a size is clamped, or a 400."""
    said = error.message.partition(f" {error.status}: ")[2]  # what stands before is our own request
    return error.status == HTTPStatus.BAD_REQUEST and "pagesize" in "".join(letter for letter in said.lower() if letter.isalnum())


def _shrink(size: PageSize, error: PageTimedOut | PageUnreadable | RequestRejected) -> None:
    """Make the pages smaller; where a page is a single row already, the error stands."""
    smaller = smaller_size(size.rows)
    if smaller is None:
        raise error
    size.rows = smaller


def clamped(page: Page, asked: int) -> bool:
    """Whether the service answered with smaller pages than asked."""
    echoed = page.envelope.page_size
    return echoed is not None and 0 < echoed < asked


def honour_clamp(page: Page, size: PageSize) -> None:
    """Take over the page size that the service gives where it is smaller than asked; sound at row 0 only."""
    if clamped(page, size.rows):
        size.rows = page.envelope.page_size or size.rows


def has_more(page: Page, size: PageSize) -> bool:
    """Whether another page follows; where the answer does not say, until one is short."""
    if page.envelope.has_more is not None:
        return page.envelope.has_more
    if page.envelope.shape != "array" or not any(name == "page" for name, _ in page.request.query):
        return False
    start, end = page.envelope.records
    found = orjson.loads(memoryview(page.body)[start:end])
    rows = found.get("data", ()) if isinstance(found, dict) else found
    return len(rows) >= size.rows

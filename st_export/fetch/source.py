"""One tenant's API as a source of pages: a request in, a page with its envelope out, within the byte budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from st_export.events import PageFetched
from st_export.fetch.budget import FIRST_GUESS_BYTES, PageBudget, Room
from st_export.flow import EntityName, Envelope, Json, Page, Request, TenantId

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.clock import Clock, ServiceClock
    from st_export.events import Events
    from st_export.fetch.answer import Download, Sink
    from st_export.fetch.client import Client
    from st_export.fetch.limiter import ReportGate

Emit = Callable[[Page], Awaitable[None]]
"""Takes a page on; returns when there is room for the next one."""


class Source:
    """Reads pages of one tenant. Whoever takes a page gives its bytes back with `release` when it is decoded.

    Args:
        client: sends the requests.
        tenant: whose they are.
        budget: bytes of pages under way, shared by all tenants.
        read_envelope: finds a body's envelope.
        unreadable: what `read_envelope` raises for a body that is none.
        events: where `PageFetched` goes.
        clock: the machine's clock.
        service_clock: the service's.
        in_flight: the most calls of an entity at once, None for no limit of its own.

    """

    def __init__(
        self,
        client: Client,
        tenant: TenantId,
        budget: PageBudget,
        *,
        read_envelope: Callable[[bytes], Envelope],
        unreadable: tuple[type[Exception], ...],
        events: Events,
        clock: Clock,
        service_clock: ServiceClock,
        in_flight: Callable[[str], int | None],
    ) -> None:
        self.tenant = tenant
        self._client = client
        self._budget = budget
        self._read_envelope = read_envelope
        self._unreadable = unreadable
        self._events = events
        self._clock = clock
        self._service_clock = service_clock
        self._in_flight = in_flight
        self._page_bytes: dict[EntityName, int] = {}

    def has_answered(self, entity: EntityName) -> bool:
        """Whether the service has answered any request of an entity well."""
        return entity in self._page_bytes

    async def service_time(self) -> datetime:
        """Return the service's time; before the API's first answer, by what the token's answer told (errors as of the token)."""
        if not self._service_clock.is_known:
            await self._client.authorize()
        return self._service_clock.now()

    async def authorize(self) -> None:
        """Fetch the tenant's token where there is none that is good. Raises `TenantRefused`, `ServiceUnavailable`."""
        await self._client.authorize()

    async def page(self, request: Request, constants: Mapping[str, Json] | None = None, *, gate: ReportGate | None = None) -> Page:
        """Fetch one page.

        Raises:
            EntityRefused, RequestRejected, PageUnreadable, PageTimedOut, ServiceUnavailable, TenantRefused: as the client says.

        """
        room = Room(self._budget, self._page_bytes.get(request.entity, FIRST_GUESS_BYTES))
        kept = 0
        try:
            answer = await self._client.send(
                request,
                accept=self._read_envelope,
                unreadable=self._unreadable,
                max_in_flight=self._in_flight(request.entity),
                gate=gate,
                room=room,
            )
            kept = len(answer.body)
            # The largest: after a count of one row the next page is no row of its size.
            self._page_bytes[request.entity] = max(kept, self._page_bytes.get(request.entity, 0))
        finally:
            room.settle(kept)
        self._events.emit(PageFetched(at=self._clock.now(), tenant=self.tenant, entity=request.entity, bytes=kept))
        return Page(request, answer.body, answer.value, answer.received_at, dict(constants or {}))

    async def again(self, page: Page) -> None:
        """Fetch a page's answer once more, into the same page: whoever releases it gives the new bytes back.

        Raises:
            EntityRefused, RequestRejected, PageUnreadable, PageTimedOut, ServiceUnavailable, TenantRefused: as the client says.

        """
        self.release(page)
        fresh = await self.page(page.request, page.constants)
        page.body, page.envelope, page.received_at = fresh.body, fresh.envelope, fresh.received_at

    def replace(self, page: Page, body: bytes) -> None:
        """Give a page another body, made of its own."""
        envelope = self._read_envelope(body)
        self._budget.settle(len(page.body), len(body))
        page.body, page.envelope = body, envelope

    def release(self, page: Page) -> None:
        """Let go of a page's body and give its bytes back to the budget; a second time nothing happens."""
        self._budget.settle(len(page.body), 0)
        page.body = b""

    async def download(self, request: Request, sink: Sink) -> Download:
        """Stream a binary into a sink. Errors as of `page`."""
        return await self._client.download(request, sink, max_in_flight=self._in_flight(request.entity))

    async def count(self, request: Request) -> int | None:
        """Return the total that an answer tells, without keeping the page; None where it tells none."""
        page = await self.page(request)
        self.release(page)
        return page.envelope.total_count

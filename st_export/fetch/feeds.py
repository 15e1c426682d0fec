"""Walking an export feed: one strictly sequential chain of tokens, from a date or a token to `hasMore=false`.

Source: developer.servicetitan.io/docs, transactional and export APIs: `from` is a date or the last `continueFrom`, which also comes with
the last page and is the cursor for next time. A short or empty page is never the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export.errors import EntityFailed
from st_export.flow import Request, utc_text

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.fetch.source import Emit, Source
    from st_export.flow import TenantId

REPEATED_TOKENS = 4
"""How often in a row a feed may answer `hasMore=true` with the token it was asked with, before it counts as stuck."""


def feed_request(entity: Entity, tenant: TenantId, start: datetime | str | None, *, recent_changes: bool) -> Request:
    """Return the call for a feed page: `start` is a token, a date, or None for the very first record."""
    query = list(entity.query)
    if start is not None:
        query.append(("from", start if isinstance(start, str) else utc_text(start)))
    if recent_changes:
        query.append(("includeRecentChanges", "true"))
    return Request(entity.name, entity.path.replace("{tenant}", str(tenant)), tuple(query))


async def walk_feed(source: Source, entity: Entity, start: datetime | str | None, emit: Emit, *, recent_changes: bool) -> None:
    """Hand on every page from `start` to the feed's end.

    Raises:
        EntityFailed: the feed gives no token to go on with, or the same one again and again.

    """
    repeats = 0
    while True:
        page = await source.page(feed_request(entity, source.tenant, start, recent_changes=recent_changes))
        token = page.envelope.continue_from
        has_more = bool(page.envelope.has_more)
        await emit(page)
        if not has_more:
            return
        if not token:
            raise EntityFailed("the feed says that there is more but gives no `continueFrom`", tenant=source.tenant, entity=entity.name)
        repeats = repeats + 1 if token == start else 0
        if repeats >= REPEATED_TOKENS:
            raise EntityFailed(
                f"the feed answered the same `continueFrom` {repeats + 1} times in a row with `hasMore=true`",
                hint="the position before it is kept; the next run asks again, `st-export reset` starts the feed anew",
                tenant=source.tenant,
                entity=entity.name,
            )
        start = token

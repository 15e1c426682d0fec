"""The smallest request that shows whether an entity can be read: one row of a list, a feed from now on, a report's description.

What is below a parent is asked for a parent that does not exist: a 404 about that parent comes from behind the permission, a 403
from before it. Sources: fact sheet, sections 2, 4, 5 and 7.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import orjson

from st_export.fetch.feeds import feed_request
from st_export.fetch.lists import ListCall, list_path
from st_export.fetch.pages import PageNumber
from st_export.flow import Request, Window, utc_text

if TYPE_CHECKING:
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.flow import TenantId

NO_ID = {"int64": "1", "string": "00000000-0000-0000-0000-000000000000"}
"""An id, by its type, that belongs to nothing, or to a record whose children may be shown as well as any."""

ONE_ROW = PageNumber(1, 1)


def smallest_request(entity: Entity, tenant: TenantId, now: datetime) -> Request:
    """Return the request that costs the service least and tells whether the entity can be read."""
    if entity.kind == "feed":
        return feed_request(entity, tenant, now, recent_changes=False)
    if entity.kind == "report":
        return Request(entity.name, list_path(entity, tenant).removesuffix("/data"))
    if entity.kind == "capacity":
        body = {"startsOnOrAfter": utc_text(now), "endsOnOrBefore": utc_text(now + timedelta(days=1)), "skillBasedAvailability": False}
        return Request(entity.name, list_path(entity, tenant), method="POST", body=orjson.dumps(body))
    if entity.kind == "binary":
        path, query = entity.path.replace("{tenant}", str(tenant)), []
        for parent in entity.parents[:1]:
            inside = "{" + parent.parameter + "}" in path
            path = path.replace("{" + parent.parameter + "}", NO_ID[parent.type])
            query += [] if inside else [(parent.parameter, NO_ID[parent.type])]
        return Request(entity.name, path, tuple(query))
    return _list_request(entity, tenant, now)


def _list_request(entity: Entity, tenant: TenantId, now: datetime) -> Request:
    ids = {parent.parameter: NO_ID[parent.type] for parent in entity.parents}
    query = [(parent.parameter, NO_ID[parent.type]) for parent in entity.parents if entity.batch_ids]
    query += [(name, utc_text(moment)) for name, moment in ((entity.range_from, now - timedelta(days=1)), (entity.range_to, now)) if name]
    if entity.segment_parameter and entity.segments:
        query.append((entity.segment_parameter, entity.segments[0]))
    window = Window(now - timedelta(days=1)) if entity.paging is not None and entity.paging.needs_window else None
    request = ListCall(entity, list_path(entity, tenant, ids), window, query=tuple(query)).request(ONE_ROW, include_total=True)
    return Request(request.entity, request.path, request.query)  # not shrinkable: a single row cannot be asked smaller


def asks_below_a_parent(entity: Entity) -> bool:
    """Whether the request names a parent that need not exist."""
    return entity.kind == "binary" or bool(entity.parents)

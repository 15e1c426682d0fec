"""Reading dispatch capacity: one POST a day of the tenant's, from some days back to some ahead, each a snapshot of now.

Source: dispatch-v2, POST /capacity: `startsOnOrAfter`, `endsOnOrBefore`, `skillBasedAvailability`; answers `availabilities`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from st_export.fetch.lists import list_path
from st_export.flow import Page, Request, utc_text
from st_export.run.readers.days import read_slots

if TYPE_CHECKING:
    from st_export.catalog.entity import Entity
    from st_export.run.parts import Parts
    from st_export.run.readers.days import DaySlot
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit


async def read_capacity(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Ask the capacity of every day configured.

    Raises:
        EntityFailed, EntityRefused, ServiceUnavailable, TenantRefused: as the client says.

    """
    path = list_path(entity, parts.tenant)
    days = parts.config.capacity

    async def fill(slot: DaySlot) -> OpenUnit:
        end = utc_text(slot.window.end) if slot.window.end else None
        body = orjson.dumps({"startsOnOrAfter": utc_text(slot.window.start), "endsOnOrBefore": end, "skillBasedAvailability": False})
        page = await parts.source.page(Request(entity.name, path, method="POST", body=body), slot.constants)
        unit = slot.open_unit()
        try:
            parts.source.replace(page, _rows_of(page, entity.records or "availabilities"))
            await unit.take(page)
        except BaseException:
            unit.discard()
            raise
        finally:
            parts.source.release(page)
        return unit

    await read_slots(parts, entity, scope, fill, zone=parts.zone, around=(days.days_back, days.days_ahead))


def _rows_of(page: Page, records: str) -> bytes:
    """Return the rows of a page as an array of records."""
    answer = orjson.loads(page.body)
    rows = answer.get(records) if isinstance(answer, dict) else answer
    return orjson.dumps(rows if isinstance(rows, list) else [])

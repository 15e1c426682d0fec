"""Reading what is read whole each time: lists without a filter by modification, and plain answers.

With a key, only new and changed rows are written, and a tombstone for each key that is gone. Without one, the reading is a
snapshot: written whole when anything differs from the last one of the same window.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from st_export.commit.whole import NOTHING
from st_export.fetch.lists import ListCall, PageSize, list_path
from st_export.flow import Pass, Position
from st_export.plan.watermark import mark_after
from st_export.run.readers.counted import read_all
from st_export.run.readers.rows import within
from st_export.run.unit import new_unit

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from st_export.catalog.entity import Entity
    from st_export.flow import Window
    from st_export.run.parts import Parts
    from st_export.run.readers.rows import RowCheck
    from st_export.run.scope import Scope
    from st_export.run.unit import OpenUnit


async def read_whole(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Read all of an entity and commit what the lake lacks.

    A backfill keeps the rows of its window and writes no tombstones: it has not looked at the rest. Of what happens (`history`) a
    nightly run keeps the rows from the configuration's `start` on.

    Raises:
        EntityFailed: the set changed during each reading, or a page stays unreadable.
        EntityRefused, ServiceUnavailable, TenantRefused: as the client says.

    """
    position = parts.position(entity, scope)
    started = await parts.source.service_time()
    position = replace(position, epoch=position.epoch + 1, current=Pass(started), done=False)
    if scope.is_backfill and entity.key:
        parts.asks(entity, scope, position)
    call = ListCall(entity, list_path(entity, parts.tenant))
    check = _kept(entity, scope.window(started) or parts.history_window(entity), started)

    def open_unit() -> OpenUnit:
        unit = new_unit(parts, entity, scope, position.epoch, "all", check=check, reading="whole" if entity.key else "snapshot")
        if scope.is_backfill and entity.key:
            unit.covers(NOTHING, ())
        return unit

    unit = await read_all(parts, call, PageSize(parts.page_size(entity)), None, open_unit)
    end = Position(epoch=position.epoch, watermark=mark_after(started), done=scope.is_backfill)
    await unit.commit(lambda _: end)


def _kept(entity: Entity, window: Window | None, started: datetime) -> RowCheck | None:
    if window is None or not entity.key:
        return None

    def check(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(within(entity, batch, window, started))

    return check

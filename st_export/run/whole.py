"""Reading what is read whole each time: lists without a filter by modification, and plain answers.

With a key, only new and changed rows are written, and a tombstone for each key that is gone. Without one, the reading is a
snapshot: written whole when anything differs from the last one of the same window.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from st_export.fetch.lists import ListCall, PageSize, list_path
from st_export.flow import Pass, Position
from st_export.plan.watermark import mark_after
from st_export.run.counted import read_all
from st_export.run.rows import within

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from st_export.catalog.entity import Entity
    from st_export.run.parts import Parts
    from st_export.run.rows import RowCheck
    from st_export.run.scope import Scope


async def read_whole(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Read all of an entity and commit what the lake lacks.

    A backfill keeps the rows of its window and writes no tombstones: it has not asked for the rest.

    Raises:
        EntityFailed: the set changed during each reading, or a page stays unreadable.
        EntityRefused, ServiceUnavailable, TenantRefused: as the client says.

    """
    position = parts.position(entity, scope)
    started = await parts.source.service_time()
    position = replace(position, epoch=position.epoch + 1, current=Pass(started), done=False)
    call = ListCall(entity, list_path(entity, parts.tenant))
    unit = await read_all(
        parts,
        call,
        PageSize(parts.page_size(entity)),
        None,
        lambda: parts.open_unit(
            entity,
            scope,
            position.epoch,
            "all",
            check=_backfill_check(entity, scope, started),
            reading="snapshot" if not entity.key else ("versions" if scope.is_backfill else "whole"),
        ),
    )
    end = Position(epoch=position.epoch, watermark=mark_after(started), done=scope.is_backfill)
    await unit.commit(lambda _: end)


def _backfill_check(entity: Entity, scope: Scope, started: datetime) -> RowCheck | None:
    window = scope.window(started)
    if window is None or not entity.key:
        return None

    def check(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(within(entity, batch, window, started))

    return check

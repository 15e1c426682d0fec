"""Bringing `current/` of a tenant up to date, under its lock: at the end of a run, and as a command."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from st_export.errors import StExportError
from st_export.events import Noted
from st_export.lake.compact import compact
from st_export.run.reset import locked_positions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from st_export.clock import Clock
    from st_export.commit.store import Store
    from st_export.events import Events
    from st_export.lake.shape import Shape


def task_name(clock: Clock, command: str) -> str:
    """Return a name for the lock, as a run's id begins: `20261125T020000Z-reset-1a2b3c`."""
    return f"{clock.now():%Y%m%dT%H%M%SZ}-{command}-{secrets.token_hex(3)}"


async def compact_tenant(store: Store, shapes: Iterable[Shape], tenant: int, *, clock: Clock, events: Events) -> list[dict[str, Any]]:
    """Compact the entities of a tenant; return `{tenant, entity, rows, parts_written, parts, error}` of each that has files.

    Raises:
        LockHeld: a run is working on the tenant.
        CheckpointUnreadable, StoreError: the state cannot be read or written.

    """
    async with locked_positions(store, tenant, task_name(clock, "compact"), clock=clock, events=events):
        done = await compact(store, shapes, tenants=(tenant,))
    return [
        {
            "tenant": one.tenant,
            "entity": one.entity,
            "rows": one.rows,
            "parts_written": one.parts_written,
            "parts": one.parts,
            "error": one.error,
        }
        for one in done
    ]


async def compact_after_run(store: Store, shapes: Iterable[Shape], tenants: Iterable[int], *, clock: Clock, events: Events) -> bool:
    """Compact at the end of a run; return whether all went well. What did not is told, and does not undo the run."""
    known, well = list(shapes), True
    for tenant in tenants:
        problems: list[tuple[str | None, str]] = []
        try:
            found = await compact_tenant(store, known, tenant, clock=clock, events=events)
        except StExportError as error:
            problems.append((None, error.message))
        else:
            problems += [(one["entity"], one["error"]) for one in found if one["error"]]
        for entity, text in problems:
            well = False
            events.emit(Noted(at=clock.now(), level="error", text=f"compact: {text}", tenant=tenant, entity=entity))
    return well

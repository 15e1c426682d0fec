"""Setting positions back. Nothing in the lake is touched; the next run reads again and drops the versions that the lake has.

A position only ever moves back: a date behind the watermark leaves it where it is, and an entity that has never been read to its end
starts from the beginning again, since a date would leave out what it has not read. The epoch goes on, so that names of units never collide.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from st_export.commit.checkpoint import Checkpoints
from st_export.commit.lock import Lock
from st_export.commit.manifest import Manifests
from st_export.commit.recovery import recover
from st_export.events import Noted
from st_export.flow import Position, utc_moment, utc_text
from st_export.run.groups import task_group
from st_export.run.scope import NIGHTLY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.catalog.select import Selected
    from st_export.clock import Clock
    from st_export.commit.store import Store
    from st_export.events import Events


@asynccontextmanager
async def locked_positions(store: Store, tenant: int, run: str, *, clock: Clock, events: Events) -> AsyncIterator[Checkpoints]:
    """Hand out a tenant's positions, under its lock and after what a dead run left has been finished or removed; save them at the end.

    Raises:
        LockHeld: a run is working on the tenant.
        CheckpointUnreadable, StoreError: the state cannot be read.

    """
    checkpoints, manifests = Checkpoints(store, tenant, clock), Manifests(store, tenant)
    async with task_group() as tasks, Lock(store, tenant, run, clock, events).held(tasks):
        await recover(store, tenant, checkpoints=checkpoints, manifests=manifests, events=events, clock=clock)
        yield checkpoints
        await checkpoints.save()


async def reset_tenant(
    store: Store, tenant: int, selected: Iterable[Selected], to: datetime | None, *, run: str, clock: Clock, events: Events
) -> dict[str, Any]:
    """Set the entities of a tenant back in the nightly scope; those that a glob selected only where they have a position.

    Raises:
        LockHeld, CheckpointUnreadable, StoreError: as `locked_positions`.

    """
    done: list[dict[str, Any]] = []
    async with locked_positions(store, tenant, run, clock=clock, events=events) as checkpoints:
        for one in selected:
            name = one.entity.name
            standing = checkpoints.standings(name).get(NIGHTLY)
            if standing is None and not one.named:
                continue
            position = put_back(one.entity, standing.position, to) if standing else Position()
            if standing is not None:
                checkpoints.move(name, NIGHTLY, position)
            _tell(events, clock, tenant, name, to=to, position=position)
            done.append({"name": name, "from": utc_text(position.watermark) if position.watermark else None})
    return {"id": tenant, "entities": done}


def put_back(entity: Entity, position: Position, to: datetime | None) -> Position:
    """Return the position from which the entity is read again: from the beginning, or from `to`."""
    epoch = position.epoch + 1
    if to is None or position.watermark is None:
        return Position(epoch=epoch)
    token = None
    if entity.kind == "child" and position.token is not None:
        token = utc_text(min(to, utc_moment(position.token)))
    return Position(epoch=epoch, token=token, watermark=min(to, position.watermark))


def _tell(events: Events, clock: Clock, tenant: int, name: str, *, to: datetime | None, position: Position) -> None:
    if to is None or position.watermark == to:
        return
    if position.watermark is None:
        text = f"it has not been read to its end yet, so that it starts from the beginning instead of {utc_text(to)}"
    else:
        text = f"its position is before {utc_text(to)} already and stays there"
    events.emit(Noted(at=clock.now(), level="warning", text=text, tenant=tenant, entity=name))

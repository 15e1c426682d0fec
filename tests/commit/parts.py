"""The parts that a run hands to a commit, over any store, and units of tiny text files."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from st_export.clock import Clock
from st_export.commit.checkpoint import Checkpoints
from st_export.commit.manifest import Manifests
from st_export.commit.protocol import Committer, Work
from st_export.commit.recovery import Recovered, recover
from st_export.events import CommitStepped, Event, Events
from st_export.flow import DataFile, EntityName, Position, TenantId, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.commit.lock import Guard
    from st_export.commit.store import Store

TENANT = TenantId(1001)
JOBS = EntityName("jpm.jobs")
COLUMNS = (("id", "int64"), ("name", "string"))


class Ours:
    """A lock that nobody else wants."""

    def check(self) -> None:
        return


@dataclass
class Parts:
    store: Store
    checkpoints: Checkpoints
    manifests: Manifests
    committer: Committer
    events: Events
    seen: list[Event]
    recovered: Recovered

    def steps(self) -> list[str]:
        return [event.step for event in self.seen if isinstance(event, CommitStepped)]


async def start(store: Store, *, lock: Guard | None = None, run: str = "run-1") -> Parts:
    """Do what a run does before work: recover, then make the committer."""
    seen: list[Event] = []
    clock, events = Clock(), Events(seen.append)
    checkpoints, manifests = Checkpoints(store, TENANT, clock), Manifests(store, TENANT)
    recovered = await recover(store, TENANT, checkpoints=checkpoints, manifests=manifests, events=events, clock=clock)
    committer = Committer(store, TENANT, run, checkpoints=checkpoints, manifests=manifests, events=events, clock=clock, lock=lock or Ours())
    return Parts(store, checkpoints, manifests, committer, events, seen, recovered)


def unit(label: str, scope: str = "run", entity: EntityName = JOBS) -> Unit:
    return Unit(TENANT, entity, scope, 1, label)


def data_file(store: Store, of: Unit, part: int = 0, text: str = "a few rows") -> DataFile:
    """Return a file of a unit as the writer leaves it in the spool: not yet in the lake."""
    data = f"{of.name} {part} {text}".encode()
    local = store.spool / secrets.token_hex(8)
    local.write_bytes(data)
    return DataFile(
        path=f"{of.entity}/tenant_id={of.tenant}/day=2026-11-2{part}/{of.name}-{part:02d}.parquet",
        partition=f"2026-11-2{part}",
        rows=3,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        local=str(local),
    )


def work(store: Store, of: Unit, parts: int = 2) -> Work:
    return Work(of, tuple(data_file(store, of, part) for part in range(parts)), COLUMNS)


def to_token(token: str) -> Callable[[Position], Position]:
    return lambda position: replace(position, epoch=1, token=token)


async def lake(store: Store) -> dict[str, bytes]:
    """Return every data file that lies in the lake, with its content."""
    return {entry.path: await store.read(entry.path) async for entry in store.list(f"{JOBS}/tenant_id={TENANT}")}


async def left_over(store: Store) -> list[str]:
    """Return the intents that lie in the lake."""
    return [entry.path async for entry in store.list("_st_export/intents")]

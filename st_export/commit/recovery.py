"""What a start does before any work: finish or remove what a dead run left, by names first, and rebuild a lost checkpoint.

A unit with a manifest is committed: where the checkpoint is behind it, its position counts. A unit without one never happened: its files
are removed, those that its intent names and any other that lies in the tenant's folders. Done under the lock, and safe to repeat after a
kill at any point: the intent goes last. This module leaves out damaged checkpoints: they end the command (see `checkpoint`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from st_export.commit import paths
from st_export.commit.concurrency import each
from st_export.commit.intent import intent_from
from st_export.events import Events, Noted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from st_export.clock import Clock
    from st_export.commit.checkpoint import Checkpoints
    from st_export.commit.manifest import Manifests
    from st_export.commit.store import Store

CALLS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start found: positions taken from manifests, files removed, and whether the checkpoint was lost."""

    positions: int
    removed: tuple[str, ...]
    rebuilt: bool


async def recover(store: Store, tenant: int, *, checkpoints: Checkpoints, manifests: Manifests, events: Events, clock: Clock) -> Recovered:
    """Load checkpoint and manifests of a tenant, and bring the lake into the state of its last commit. Call it under the lock.

    Raises `CheckpointUnreadable` where the checkpoint, or a manifest that is needed, is damaged or newer; `StoreError`.
    """
    restored = await restore(tenant, checkpoints=checkpoints, manifests=manifests, events=events, clock=clock)
    return replace(restored, removed=await clear(store, tenant, manifests=manifests, events=events, clock=clock))


async def restore(tenant: int, *, checkpoints: Checkpoints, manifests: Manifests, events: Events, clock: Clock) -> Recovered:
    """Do the first half of `recover`: the positions. Until the second half, `clear`, has ended, no unit's file may be written."""
    there = await checkpoints.load()
    await manifests.load()
    positions = await _catch_up(checkpoints, manifests)
    rebuilt = not there and positions > 0
    if checkpoints.changed:
        await checkpoints.save()
    if rebuilt:
        text = f"the checkpoint {checkpoints.path} was not there: {positions} positions were rebuilt from the manifests"
        events.emit(Noted(at=clock.now(), level="warning", text=text, tenant=tenant))
    return Recovered(positions, (), rebuilt)


async def clear(store: Store, tenant: int, *, manifests: Manifests, events: Events, clock: Clock) -> tuple[str, ...]:
    """Do the second half of `recover`: remove what no manifest names, and return it. Raises `StoreError`.

    Looking through a lake takes a while, and requests need not wait for it.
    """
    removed = await _settle_intents(store, tenant, manifests)
    removed += await _sweep(store, tenant, manifests)
    if removed:
        text = f"{len(removed)} files of commits that had not been finished were removed"
        events.emit(Noted(at=clock.now(), level="warning", text=text, tenant=tenant))
    return tuple(sorted(removed))


async def _catch_up(checkpoints: Checkpoints, manifests: Manifests) -> int:
    """Take the position of the last manifest of each scope where it is ahead of the checkpoint; return how many were."""
    ahead: list[str] = []
    for entity in manifests.entities():
        last = {paths.scope_of(unit): (ordinal, path) for path, ordinal, unit in manifests.ordered(entity)}
        standings = checkpoints.standings(entity)
        ahead += [path for scope, (ordinal, path) in last.items() if scope not in standings or standings[scope].ordinal < ordinal]

    async def take(path: str) -> None:
        manifest = await manifests.read(path)
        checkpoints.move(manifest.entity, manifest.scope, manifest.position, manifest.ordinal)

    await each(ahead, take, at_once=CALLS_AT_ONCE)
    return len(ahead)


async def _settle_intents(store: Store, tenant: int, manifests: Manifests) -> list[str]:
    removed: list[str] = []

    async def settle(path: str) -> None:
        intent = intent_from(await store.read(path), tenant)
        if intent is not None and manifests.path_of(intent.entity, intent.unit) is None:
            for file in intent.files:
                if await store.exists(file):
                    await store.delete(file)
                    removed.append(file)
        await store.delete(path)

    left = [entry.path async for entry in store.list(paths.intents(tenant))]
    await each(left, settle, at_once=CALLS_AT_ONCE)
    return removed


async def _sweep(store: Store, tenant: int, manifests: Manifests) -> list[str]:
    """Remove every file in the tenant's folders whose name belongs to no committed unit."""
    removed: list[str] = []

    async def sweep(entities: Sequence[str]) -> None:
        folders = [paths.data_folder(entity, tenant) for entity in entities]
        orphans = [
            entry.path async for entry in store.list(*folders) if not manifests.is_committed(entry.path.partition("/")[0], entry.path)
        ]
        for path in orphans:
            await store.delete(path)
            removed.append(path)

    entities = [name for name in await store.folders("") if name not in (paths.STATE, paths.CURRENT) and paths.is_name(name)]
    await each([entities[at::CALLS_AT_ONCE] for at in range(CALLS_AT_ONCE)], sweep, at_once=CALLS_AT_ONCE)
    return removed

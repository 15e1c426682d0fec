"""The lake held against its manifests and against the service, and damage read again from the service.

Repair, in an order in which a crash at any point loses nothing: positions are set back and saved; the damaged files go to
quarantine, while their manifests still name them, so that `verify` goes on to miss them; the entities are read again by an ordinary
run (and by backfills of the windows that backfills had brought); only then are the manifests replaced.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from st_export.catalog.load import load_catalog
from st_export.clock import Clock
from st_export.commit import paths
from st_export.commit.checkpoint import Checkpoints
from st_export.compaction import task_name
from st_export.errors import ConfigError
from st_export.events import Events, Noted
from st_export.exporter import ExportRequest, export, selection_of
from st_export.flow import Position, Window, utc_text
from st_export.lake.query import current_keys
from st_export.lake.repair import damages, put_away, quarantine
from st_export.lake.shapes import shapes
from st_export.lake.verify import Verified, compare_with_service
from st_export.lake.verify import verify as verify_files
from st_export.maintenance import existing_lake
from st_export.run.asking.inquiry import inquiring
from st_export.run.asking.totals import tenant_totals
from st_export.run.reset import locked_positions
from st_export.run.scope import NIGHTLY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from st_export.catalog.entity import Entity
    from st_export.commit.store import Store
    from st_export.config.model import Config, Tenant
    from st_export.lake.query import Bound
    from st_export.lake.repair import Damage
    from st_export.lake.shape import Shape
    from st_export.lake.verify import Problem
    from st_export.run.asking.totals import Total


async def verify(
    config: Config, tenants: Sequence[int] = (), events: Events | None = None, *, api: bool = False, repair: bool = False
) -> dict[str, Any]:
    """Check every committed file; with `repair` read damaged ones again; with `api` compare keys with the service's totals.

    Returns:
        The contract's `verify --json`, with `repaired` beside it: what was wrong and has been read again.

    Raises:
        ConfigError: nothing has been exported.
        LockHeld: a run is working on a tenant that needs repair.
        CheckpointUnreadable, StoreError: the lake cannot be read.
        TenantRefused, ServiceUnavailable: no token.

    """
    events = events or Events()
    store = await existing_lake(config)
    wanted = tuple(tenants) or None
    found = await verify_files(store, tenants=wanted)
    mended: list[Problem] = []
    if repair and found.problems:
        before = found.problems
        await _Repair(config, store, events).run(before)
        found = await verify_files(store, tenants=wanted)
        left = {(one.file, one.manifest) for one in found.problems}
        mended = [one for one in before if (one.file, one.manifest) not in left]
    if api:
        found.problems += await _differences(config, store, events, [one for one in config.tenants if not tenants or one.id in tenants])
    return found.document() | {"repaired": Verified(problems=mended).document()["problems"]}


class _Repair:
    """Reads again what damaged files held."""

    def __init__(self, config: Config, store: Store, events: Events) -> None:
        self._config, self._store, self._events = config, store, events
        self._clock = Clock()
        self._task = task_name(self._clock, "repair")

    async def run(self, problems: Iterable[Problem]) -> None:
        """Put all damage away and read it again, tenant by tenant; what cannot be read again stays a problem."""
        known = set(load_catalog(self._config.catalog).entities) | {report.entity for report in self._config.reports}
        by_tenant: dict[int, list[Damage]] = {}
        for damage in await damages(self._store, problems):
            if damage.entity in known and self._config.tenant(damage.tenant) is not None:
                by_tenant.setdefault(damage.tenant, []).append(damage)
            else:
                self._note(damage, f"{damage.unit} cannot be read again: the configuration does not have its tenant or entity")
        for tenant, found in sorted(by_tenant.items()):
            await self._repair_tenant(tenant, found)

    async def _repair_tenant(self, tenant: int, found: list[Damage]) -> None:
        windows = await self._put_away(tenant, found)
        nightly = tuple(dict.fromkeys(one.entity for one in found if (one.entity, one.window) not in windows))
        well: set[tuple[str, Window | None]] = set()
        if nightly:
            summary = await export(self._config, ExportRequest(tenants=(tenant,), select=nightly), self._events)
            well |= {(name, None) for name in _ended_well(summary)}
        for entity, window in windows:
            request = ExportRequest(
                command="backfill", tenants=(tenant,), select=(entity,), backfill_from=window.start, backfill_to=window.end
            )
            well |= {(name, window) for name in _ended_well(await export(self._config, request, self._events))}
        async with locked_positions(self._store, tenant, self._task, clock=self._clock, events=self._events):
            for damage in found:
                again = damage.window if (damage.entity, damage.window) in windows else None
                if (damage.entity, again) in well:
                    await quarantine(self._store, damage, repaired_at=utc_text(self._clock.now()))

    async def _put_away(self, tenant: int, found: list[Damage]) -> list[tuple[str, Window]]:
        """Set positions back, save them, move the files away; return the windows that only a backfill brings again."""
        windows: dict[tuple[str, Window], None] = {}
        done: set[str] = set()
        async with locked_positions(self._store, tenant, self._task, clock=self._clock, events=self._events) as checkpoints:
            for damage in found:  # oldest first: the first one's position is before all others'
                if damage.scope != NIGHTLY and damage.window is not None and damage.window.end is not None:
                    windows[damage.entity, damage.window] = None
                elif damage.entity not in done:
                    done.add(damage.entity)
                    before = damage.before if damage.scope == NIGHTLY else None
                    self._set_back(checkpoints, damage, before or Position())
            await checkpoints.save()
            for damage in found:
                await put_away(self._store, damage)
        return list(windows)

    def _set_back(self, checkpoints: Checkpoints, damage: Damage, before: Position) -> None:
        now = checkpoints.position(damage.entity, NIGHTLY)
        is_behind = now.token is None and now.current is None and (now.watermark is None or _earlier(now, before))
        if not is_behind:  # a reset may have moved it further back already
            checkpoints.move(damage.entity, NIGHTLY, replace(before, epoch=max(now.epoch, before.epoch) + 1, done=False))
        if damage.scope != NIGHTLY and damage.manifest_lost:
            text = f"the manifest of {damage.unit} is lost, and with it the window of its backfill: repeat that backfill"
            self._note(damage, text)

    def _note(self, damage: Damage, text: str) -> None:
        event = Noted(at=self._clock.now(), level="warning", text=text, tenant=damage.tenant, entity=damage.entity)
        self._events.emit(event)


def _earlier(now: Position, before: Position) -> bool:
    return now.watermark is not None and before.watermark is not None and now.watermark < before.watermark


def _ended_well(summary: dict[str, Any]) -> set[str]:
    return {entity["name"] for tenant in summary["tenants"] for entity in tenant["entities"] if entity["status"] == "ok"}


class _Counting:
    """The current keys of an entity of a tenant, to be held against a total of the service."""

    def __init__(self, store: Store, shape: Shape, tenant: int, entity: Entity, total: Total) -> None:
        self._store, self._shape, self._tenant, self._total = store, shape, tenant, total
        self._variant, self._columns = entity.variant_parameter, set(shape.schema.names)
        self._bounds: list[Bound] = []
        if total.modified_from is not None and self._has(entity.modified):
            self._bounds.append((str(entity.modified), ">=", total.modified_from))
        if total.created_before is not None and self._has(entity.created):
            self._bounds.append((str(entity.created), "<", total.created_before))
        self._can_be_bounded = len(self._bounds) == (total.modified_from is not None) + (total.created_before is not None)

    def _has(self, column: str | None) -> bool:
        return column is not None and column.partition(".")[0] in self._columns

    async def comparable(self) -> int:
        """Return how many keys the total should be equal to; the total itself where the lake agrees with it in another way."""
        total = self._total
        if total.at_least:
            return await self._beside_feed()
        count = await self._count(*self._bounds)
        if count == total.records or self._variant not in self._columns:
            return count
        # The value that stands for "not set" may show the rows of all others too: then its total is that of all keys.
        for value, records in total.variants:
            if records not in (count, await self._count(*self._bounds, (str(self._variant), "=", value))):
                return count
        return total.records

    async def _beside_feed(self) -> int:
        """Hold a feed's keys against a list: deleted ones, inactive here, are not there, but all others have to be."""
        records = self._total.records
        count = await self._count()
        if count < records:
            return count
        if "active" not in self._columns:
            return records or count
        if not self._can_be_bounded:
            return records
        return max(await self._count(*self._bounds, ("active", "IS DISTINCT FROM", False)), records)

    async def _count(self, *bounds: Bound) -> int:
        return await current_keys(self._store, self._shape, self._tenant, bounds=bounds)


async def _differences(config: Config, store: Store, events: Events, tenants: Sequence[Tenant]) -> list[Problem]:
    """Return the entities whose current keys are not as many as the service says: of what is selected, and of what the lake has."""
    clock, catalog = Clock(), load_catalog(config.catalog)
    written = await store.folders(paths.MANIFESTS)
    chosen = [one.entity for one in selection_of(config, catalog, ExportRequest()).entities]
    names = {entity.name for entity in chosen}
    entities = [*chosen, *(entity for name in written if (entity := catalog.get(name)) is not None and name not in names)]
    totals: dict[tuple[int, str], Total] = {}
    async with inquiring(config, catalog, store, events, clock) as run:
        for tenant in tenants:
            checkpoints = Checkpoints(store, tenant.id, clock)
            if not await checkpoints.load():
                raise ConfigError(f"nothing has been exported of tenant {tenant.id}", hint="`st-export run` exports it")
            found = await tenant_totals(run, tenant, entities, checkpoints)
            totals |= {(tenant.id, name): total for name, total in found.items()}
    known_entities = {entity.name: entity for entity in entities}

    async def keys(tenant: int, shape: Shape) -> int:
        counting = _Counting(store, shape, tenant, known_entities[shape.name], totals[tenant, shape.name])
        return await counting.comparable()

    async def total_of(tenant: int, name: str) -> int | None:
        total = totals.get((tenant, name))
        return None if total is None else total.records

    asked = {name for _, name in totals}
    known = shapes(config, written, only=asked)
    return await compare_with_service(known, [tenant.id for tenant in tenants], keys=keys, totals=total_of)

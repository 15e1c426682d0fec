"""What is done to a lake, or asked of the service, beside a run: check, preview, status, reset, compact.

Each function takes a configuration and returns the document of the contract. Those that change a tenant's state hold its lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from st_export.catalog.entity import Kind
from st_export.catalog.load import load_catalog
from st_export.catalog.select import select
from st_export.clock import Clock
from st_export.commit import paths
from st_export.commit.checkpoint import Checkpoints
from st_export.compaction import compact_tenant, task_name
from st_export.errors import ConfigError, StExportError
from st_export.events import Events
from st_export.exporter import scope_of, selection_of, tenants_of
from st_export.lake.shapes import shapes
from st_export.run.asking.inquiry import inquiring
from st_export.run.asking.preview import preview_tenant
from st_export.run.asking.probe import probe_tenant
from st_export.run.asking.reportlist import tenant_reports
from st_export.run.groups import task_group
from st_export.run.readers.reports import report_entity
from st_export.run.reset import reset_tenant
from st_export.run.status import tenant_status, tenants_in
from st_export.storage.open import check_lake, open_lake, open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from st_export.catalog.entity import Entity
    from st_export.catalog.load import Catalog
    from st_export.catalog.select import Selection
    from st_export.commit.store import Store
    from st_export.config.model import Config, Tenant
    from st_export.exporter import ExportRequest

    Ask = Callable[[Tenant], Awaitable[dict[str, Any]]]

ALL_KINDS: tuple[Kind, ...] = get_args(Kind)


async def check(config: Config, request: ExportRequest, events: Events | None = None) -> dict[str, Any]:
    """Test token, app key, tenant, each selected entity and the output; return the contract's `check --json`.

    Raises:
        ConfigError: the request does not fit the configuration.

    """
    clock, events = Clock(), events or Events()
    catalog = load_catalog(config.catalog)
    chosen = selection_of(config, catalog, request)
    store = open_store(config.output.url, config.output.options, config.folder)
    output: dict[str, Any] = {}

    async def try_output() -> None:
        output.update(await _output(store))

    async with inquiring(config, catalog, store, events, clock) as run, task_group() as group:
        group.start_soon(try_output)
        tenants = await of_each(tenants_of(config, request), lambda tenant: probe_tenant(run, tenant, chosen.entities))
    return {"ok": _all_well(tenants, output), "tenants": tenants, "output": output}


def _all_well(tenants: Sequence[dict[str, Any]], output: dict[str, Any]) -> bool:
    """Whether everything that must work does; what only a wildcard selected may be refused, as long as something can be read."""
    entities = [entity for tenant in tenants for entity in tenant["entities"]]
    bad = [entity for entity in entities if entity["status"] == "failed" or (entity["status"] == "refused" and entity["named"])]
    readable = any(entity["status"] == "ok" for entity in entities)
    return bool(output["ok"]) and all(tenant["token"]["ok"] for tenant in tenants) and readable and not bad


async def _output(store: Store) -> dict[str, Any]:
    try:
        await check_lake(store, writing=False)
        await store.probe()
    except StExportError as error:
        return {"ok": False, "error": error.message, "remedy": error.hint, "url": store.url}
    return {"ok": True, "error": None, "remedy": None, "url": store.url}


async def preview(config: Config, request: ExportRequest, events: Events | None = None) -> dict[str, Any]:
    """Return what a run or backfill would do and cost, the contract's `plan --json`; writes nothing.

    Raises:
        ConfigError: the request does not fit the configuration.
        CheckpointUnreadable, StoreError: the positions cannot be read.
        TenantRefused, ServiceUnavailable: no token.

    """
    clock, events = Clock(), events or Events()
    catalog = load_catalog(config.catalog)
    scope = scope_of(request, clock)
    chosen = selection_of(config, catalog, request)
    entities = [one.entity for one in chosen.entities]
    left_out = _left_out(config, catalog, request, chosen)
    store = await open_lake(config.output.url, config.output.options, config.folder, writing=False)

    async with inquiring(config, catalog, store, events, clock) as run:

        async def plan(tenant: Tenant) -> dict[str, Any]:
            checkpoints = Checkpoints(store, tenant.id, clock)
            await checkpoints.load()
            return await preview_tenant(run, tenant, entities, left_out, scope, checkpoints)

        return {"tenants": await of_each(tenants_of(config, request), plan)}


def _left_out(config: Config, catalog: Catalog, request: ExportRequest, chosen: Selection) -> list[Entity]:
    """Return what the patterns match and `kinds` leaves out."""
    every = select(
        catalog,
        select=request.select or config.select,
        exclude=(*config.exclude, *request.exclude),
        kinds=ALL_KINDS,
        extra=[report_entity(report) for report in config.reports],
    )
    return [one.entity for one in every.entities if one.entity.name not in chosen.names]


async def list_reports(config: Config, tenants: Sequence[int] = (), events: Events | None = None) -> dict[str, Any]:
    """Return `{tenants: [{id, reports: [{category, id, name}]}]}`.

    Raises:
        EntityRefused, EntityFailed, ServiceUnavailable, TenantRefused: as the service says.

    """
    clock, events = Clock(), events or Events()
    catalog = load_catalog(config.catalog)
    store = open_store(config.output.url, config.output.options, config.folder)
    wanted = [tenant for tenant in config.tenants if not tenants or tenant.id in tenants]
    async with inquiring(config, catalog, store, events, clock) as run:
        return {"tenants": await of_each(wanted, lambda tenant: tenant_reports(run, tenant))}


async def status(config: Config, tenants: Sequence[int] = ()) -> dict[str, Any]:
    """Return the contract's `status --json`, of these tenants, else of the configuration's, else of all that the lake has.

    Raises:
        CheckpointUnreadable, StoreError: the state cannot be read.

    """
    clock, catalog = Clock(), load_catalog(config.catalog)
    store = await open_lake(config.output.url, config.output.options, config.folder, writing=False)
    wanted = tuple(tenants) or tuple(tenant.id for tenant in config.tenants) or await tenants_in(store)
    return {"tenants": [await tenant_status(store, tenant, catalog, clock) for tenant in wanted]}


async def reset(
    config: Config, names: Sequence[str], to: datetime | None, tenants: Sequence[int] = (), events: Events | None = None
) -> dict[str, Any]:
    """Set entities back in the nightly scope, to the beginning or to a time; return `{tenants: [{id, entities: [{name, from}]}]}`.

    Raises:
        ConfigError: no such entity, or nothing has been exported.
        LockHeld: a run is working on the tenant.
        CheckpointUnreadable, StoreError: the state cannot be read or written.

    """
    clock, events = Clock(), events or Events()
    if to is not None and to > clock.now():
        raise ConfigError("`--to` lies in the future", hint="give a date in the past, or none for the beginning")
    extra = [report_entity(report) for report in config.reports]
    chosen = select(load_catalog(config.catalog), select=names, kinds=ALL_KINDS, extra=extra)
    store = await existing_lake(config)
    wanted = tuple(tenants) or tuple(tenant.id for tenant in config.tenants) or await tenants_in(store)
    run = task_name(clock, "reset")
    found = [await reset_tenant(store, tenant, chosen.entities, to, run=run, clock=clock, events=events) for tenant in wanted]
    return {"tenants": found}


async def compact(config: Config, request: ExportRequest, events: Events | None = None) -> dict[str, Any]:
    """Bring `current/` up to date; return `{entities: [{tenant, entity, rows, parts_written, parts, error}]}`.

    Without a selection in the request: every entity that the lake has.

    Raises:
        ConfigError: no such entity, or nothing has been exported.
        LockHeld: a run is working on a tenant.
        CheckpointUnreadable, StoreError: the state cannot be read or written.

    """
    clock, events = Clock(), events or Events()
    store = await existing_lake(config)
    written = await store.folders(paths.MANIFESTS)
    wanted = _wanted_names(config, request, written)
    known = shapes(config, written, only=wanted)
    tenants = request.tenants or tuple(tenant.id for tenant in config.tenants) or await tenants_in(store)
    found = [one for tenant in tenants for one in await compact_tenant(store, known, tenant, clock=clock, events=events)]
    return {"entities": found}


def _wanted_names(config: Config, request: ExportRequest, written: Iterable[str]) -> Collection[str]:
    """Return the entities of the lake that the request wants; names and globs are held against the catalog."""
    if not request.select and not request.exclude:
        return set(written)
    catalog = load_catalog(config.catalog)
    extra = [report_entity(report) for report in config.reports]
    chosen = select(catalog, select=request.select or ("*",), exclude=request.exclude, kinds=ALL_KINDS, extra=extra)
    return set(written) & set(chosen.names)


async def existing_lake(config: Config) -> Store:
    """Return the lake for changing its state; a place where none was begun is an error, nothing is begun by it."""
    store = await open_lake(config.output.url, config.output.options, config.folder, writing=False)
    if not await store.exists(paths.LAKE):
        raise ConfigError(f"nothing has been exported to {store.url}", hint="`st-export run` begins a lake; check output.url")
    return store


async def of_each(tenants: Sequence[Tenant], ask: Ask) -> list[dict[str, Any]]:
    """Ask for all tenants side by side; the answers in the order of the tenants."""
    found: dict[int, dict[str, Any]] = {}

    async def one(tenant: Tenant) -> None:
        found[tenant.id] = await ask(tenant)

    async with task_group() as group:
        for tenant in tenants:
            group.start_soon(one, tenant)
    return [found[tenant.id] for tenant in tenants]

"""The public exporter: a configuration and a request in, the run summary out. Knows neither command line nor terminal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio
import orjson

from st_export.catalog.load import load_catalog
from st_export.catalog.select import select
from st_export.clock import Clock
from st_export.commit import paths
from st_export.errors import ConfigError, StExportError
from st_export.events import Events, Noted, RunFinished, RunStarted
from st_export.fetch.session import Session
from st_export.flow import RunId
from st_export.lake.shapes import shapes
from st_export.observe.record import Recorder
from st_export.run.asking.refusals import blame
from st_export.run.groups import task_group
from st_export.run.memory import settle_allocators
from st_export.run.outcome import EXIT_PARTIAL, TenantOutcome, exit_code_of, outcome_of
from st_export.run.overrides import check_overrides, settle_layouts
from st_export.run.pace import Pace
from st_export.run.parts import RunParts
from st_export.run.readers.reports import report_entity
from st_export.run.scope import NIGHTLY, Scope, backfill_scope
from st_export.run.shared import Shared
from st_export.run.stop import Stop
from st_export.run.summary import UNFINISHED
from st_export.run.tenant import run_tenant
from st_export.storage.open import open_lake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from st_export.catalog.load import Catalog
    from st_export.catalog.select import Selection
    from st_export.commit.store import Store
    from st_export.config.model import Config, Tenant

STOP_GRACE_SECONDS = 60.0
"""How long what is under way may take to be committed after `--stop-after`; what is not by then is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What a run is to do; empty `select` takes the configuration's."""

    command: str = "run"
    tenants: tuple[int, ...] = ()
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    wait_seconds: float = 0.0
    stop_after_seconds: float | None = None
    backfill_from: datetime | None = None
    backfill_to: datetime | None = None
    full_children: bool = False
    split: int | None = None
    compact: bool = False


@dataclass(frozen=True, slots=True)
class _Ended:
    """What the end of a run needs."""

    run: RunId
    store: Store
    events: Events
    clock: Clock
    stop: Stop
    recorder: Recorder


def selection_of(config: Config, catalog: Catalog, request: ExportRequest) -> Selection:
    """Return the entities that the configuration and the request select.

    Raises:
        ConfigError: a name is unknown, a glob matches nothing, or nothing is left.

    """
    chosen = select(
        catalog,
        select=request.select or config.select,
        exclude=(*config.exclude, *request.exclude),
        kinds=config.kinds,
        extra=[report_entity(report) for report in config.reports],
    )
    if not chosen.entities:
        raise ConfigError("nothing is selected: all that `select` matches is excluded", hint="look at `select`, `exclude` and `kinds`")
    return chosen


def tenants_of(config: Config, request: ExportRequest) -> list[Tenant]:
    """Return the tenants that the request wants, all of the configuration without a wish."""
    return [tenant for tenant in config.tenants if not request.tenants or tenant.id in request.tenants]


def scope_of(request: ExportRequest, clock: Clock, feed_split: int | None = None) -> Scope:
    """Return the checkpoint scope of a command; `feed_split` is the configuration's.

    Raises:
        ConfigError: a backfill's window is empty or begins in the future.

    """
    full_children, split = request.full_children, request.split or feed_split
    if request.command != "backfill":
        return Scope(NIGHTLY, full_children=full_children, split=split)
    if request.backfill_from is None:
        raise ConfigError("a backfill needs `--from`", hint="for example `st-export backfill --from 2024-01-01`")
    if request.backfill_to is not None and request.backfill_to <= request.backfill_from:
        raise ConfigError("`--to` must be after `--from`", hint="`--to` is not part of the window: [from, to)")
    if request.backfill_from >= clock.now():
        raise ConfigError("`--from` lies in the future", hint="give a date in the past")
    return replace(backfill_scope(request.backfill_from, request.backfill_to), full_children=full_children, split=split)


async def export(config: Config, request: ExportRequest, events: Events | None = None, *, clock: Clock | None = None) -> dict[str, Any]:
    """Run an export to its end and return the run summary, which also lies in the lake when this returns.

    Raises:
        ConfigError: the request does not fit the configuration; nothing has been started.
        StoreError, CheckpointUnreadable: the output cannot be used.

    """
    settle_allocators()
    clock, events = clock or Clock(), events or Events()
    catalog = load_catalog(config.catalog)
    scope = scope_of(request, clock, config.feed_split)
    chosen, tenants = selection_of(config, catalog, request), tenants_of(config, request)
    entities = [one.entity for one in chosen.entities]
    warnings = check_overrides(config, catalog, entities)
    run = RunId(f"{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}")
    recorder = Recorder()
    events.listen(recorder)
    store = await open_lake(config.output.url, config.output.options, config.folder, writing=True)
    await settle_layouts(store, config, entities)
    stop = Stop()
    rate = config.limits.requests_per_second
    ids = tuple(tenant.id for tenant in tenants)
    events.emit(
        RunStarted(at=clock.now(), run=run, command=request.command, tenants=ids, entities=len(chosen.entities), requests_per_second=rate)
    )
    for warning in warnings:
        events.emit(Noted(at=clock.now(), level="warning", text=warning))
    outcomes: list[TenantOutcome] = []
    connections = config.limits.max_in_flight * max(len(tenants), 1) + 4

    async def run_one(parts: RunParts, tenant: Tenant) -> None:
        async with task_group() as tasks:
            outcomes.append(await run_tenant(parts, tenant, chosen.entities, scope, wait_seconds=request.wait_seconds, tasks=tasks))

    async def run_all(parts: RunParts) -> None:
        async with task_group() as group:
            for tenant in tenants:
                group.start_soon(run_one, parts, tenant)

    async with Session(connections=connections, timeout_seconds=config.limits.timeout, is_encrypted=config.is_encrypted) as session:
        shared = Shared(config.decode_workers)
        parts = RunParts(config, catalog, run, session, shared, store, events, clock, stop, Pace(clock))
        await _under_watch(stop, request.stop_after_seconds, lambda: run_all(parts))
    return await _finish(config, _Ended(run, store, events, clock, stop, recorder), request, outcomes)


async def _under_watch(stop: Stop, stop_after_seconds: float | None, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work; end it at a signal, or so long after `--stop-after` that what was under way had time to be committed."""
    async with task_group() as watchers:
        scope = anyio.CancelScope()
        await watchers.start(stop.watch_signals, scope)
        if stop_after_seconds is not None:
            watchers.start_soon(_stop_after, stop, stop_after_seconds, scope)
        with scope:
            await work()
        watchers.cancel_scope.cancel()


async def _stop_after(stop: Stop, seconds: float, scope: anyio.CancelScope) -> None:
    await stop.watch_time(seconds)
    await anyio.sleep(STOP_GRACE_SECONDS)
    scope.cancel()


async def _finish(config: Config, ended: _Ended, request: ExportRequest, outcomes: list[TenantOutcome]) -> dict[str, Any]:
    """Tell the run's end and leave its summary in the lake; where that cannot be written, the run was still what it was."""
    events, clock, stop = ended.events, ended.clock, ended.stop
    exit_code = stop.exit_code if stop.exit_code is not None else exit_code_of(outcomes)
    if request.compact and not stop.requested:
        from st_export.compaction import compact_after_run  # noqa: PLC0415 -- brings DuckDB

        read = {entity.name for tenant in outcomes for entity in tenant.entities}
        known = shapes(config, read, only=read)
        ready = [tenant.tenant for tenant in outcomes if tenant.error is None]
        well = await compact_after_run(ended.store, known, ready, clock=clock, events=events)
        exit_code = exit_code if well or exit_code else EXIT_PARTIAL
    for tenant in outcomes:
        tenant_error = tenant.error or blame(tenant, config.environment)
        if tenant_error is not None:
            hint = f" hint: {tenant_error.hint}" if tenant_error.hint else ""
            events.emit(Noted(at=clock.now(), level="error", text=f"{tenant_error.message}{hint}", tenant=tenant.tenant))
    outcome = outcome_of(exit_code, stopped=stop.requested and exit_code in (0, stop.exit_code))
    events.emit(RunFinished(at=clock.now(), run=ended.run, outcome=outcome, exit_code=exit_code))
    summary = ended.recorder.summary(run_id=ended.run, command=request.command, outcome=outcome, exit_code=exit_code)
    for tenant in outcomes:
        _add_tenant_error(summary, tenant)
    body = orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    changed = {entity["name"] for tenant in summary["tenants"] for entity in tenant["entities"] if entity["files"]}
    try:
        if changed and stop.signal is None:
            from st_export.lake.describe import describe  # noqa: PLC0415 -- an idle night need not load it

            await describe(ended.store, shapes(config, changed, only=changed), now=clock.now(), entities=changed)
        await ended.store.write(paths.run_summary(ended.run), body)
    except StExportError as error:
        events.emit(Noted(at=clock.now(), level="error", text=f"the run summary could not be written: {error.message}"))
    return summary


def _add_tenant_error(summary: dict[str, Any], tenant: TenantOutcome) -> None:
    """Add what ended a tenant as a whole to its part of the summary."""
    if tenant.error is None:
        return
    for document in summary["tenants"]:
        if document["id"] == tenant.tenant:
            document["error"] = tenant.error.message
            document["hint"] = tenant.error.hint
            for entity in document["entities"]:
                if entity["error"] == UNFINISHED:
                    entity["error"] = f"{tenant.error.message}; {UNFINISHED}"

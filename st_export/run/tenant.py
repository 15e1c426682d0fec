"""One tenant of a run: its parts put together, its lake brought into order, its entities read side by side.

An entity's failure stops at that entity's border; what is wrong with the tenant itself (the lock, the checkpoint, the credentials)
ends the tenant, and the others go on.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from st_export.clock import ServiceClock
from st_export.commit.checkpoint import Checkpoints, Note
from st_export.commit.lock import Lock
from st_export.commit.manifest import Manifests
from st_export.commit.protocol import Committer
from st_export.commit.recovery import clear, restore
from st_export.commit.rejects import RejectsOf, Scrub, write_rejects
from st_export.decode.parse import read_envelope
from st_export.decode.text import Unreadable
from st_export.errors import (
    CheckpointUnreadable,
    CommitUnknown,
    LockHeld,
    LockLost,
    PageUnreadable,
    StExportError,
    StoreError,
    TenantRefused,
)
from st_export.events import EntityFinished, EntityStarted
from st_export.fetch.attempt import ClientOptions
from st_export.fetch.breaker import Breaker
from st_export.fetch.client import Access, Client
from st_export.fetch.limiter import Limiter, ReportGate
from st_export.fetch.refusal import scrubbed_bytes
from st_export.fetch.retry import RetryPolicy
from st_export.fetch.source import Source
from st_export.fetch.token import TokenOwner, TokenPolicy
from st_export.flow import EntityName, Reject, TenantId
from st_export.run.groups import task_group
from st_export.run.outcome import EntityOutcome, TenantOutcome, status_of
from st_export.run.parts import Parts, RunParts
from st_export.run.readers.by_kind import read_entity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.abc import TaskGroup

    from st_export.catalog.select import Selected
    from st_export.config.model import Tenant
    from st_export.run.scope import Scope

ENTITIES_AT_ONCE = 64
"""Entities of a tenant that are read side by side: enough to fill any rate limit, few enough to bound open units."""

TENANT_ERRORS = (StoreError, CheckpointUnreadable, CommitUnknown, LockLost, TenantRefused)
"""What is not about one entity: the tenant ends with it."""


def make_source(
    run: RunParts, tenant: Tenant, *, policy: RetryPolicy | None = None, token_policy: TokenPolicy | None = None
) -> tuple[Source, ReportGate, Scrub]:
    """Return the tenant's API as a source of pages, its gate for reports, and what takes its secrets out of a text.

    There is one token owner, one limiter and one breaker for all its calls.
    """
    config, clock, events = run.config, run.clock, run.events
    limits = config.limits
    service_clock = ServiceClock(clock)
    token = TokenOwner(
        run.session,
        tenant=tenant.id,
        auth_url=config.auth_url,
        client_id=tenant.client_id,
        client_secret=tenant.client_secret,
        events=events,
        clock=clock,
        service_clock=service_clock,
        policy=token_policy,
    )
    limiter = Limiter(limits.requests_per_second, limits.max_in_flight, tenant=tenant.id, events=events, clock=clock)
    access = Access(
        tenant=tenant.id,
        api_url=config.api_url,
        app_key=config.app_key_of(tenant),
        token=token,
        limiter=limiter,
        breaker=Breaker(tenant.id, events=events, clock=clock),
    )
    options = ClientOptions(timeout_seconds=limits.timeout, policy=policy or RetryPolicy())
    client = Client(run.session, access, events=events, clock=clock, service_clock=service_clock, options=options)
    source = Source(
        client,
        TenantId(tenant.id),
        run.shared.page_budget,
        read_envelope=read_envelope,
        unreadable=(Unreadable,),
        events=events,
        clock=clock,
        service_clock=service_clock,
        in_flight=lambda name: _most_in_flight(run, name),
    )

    def scrub(text: bytes) -> bytes:
        return scrubbed_bytes(text, (*token.secrets(), *config.secrets()))

    return source, ReportGate(limits.report_interval, tenant=tenant.id, events=events, clock=clock), scrub


def _most_in_flight(run: RunParts, name: str) -> int | None:
    """Return how many calls of an entity may be under way at once: one where more are known to be throttled, else as configured."""
    entity = run.catalog.entities.get(EntityName(name))
    if entity is not None and entity.paging is not None and entity.paging.one_at_a_time:
        return 1
    return run.config.options_for(name).max_in_flight


@asynccontextmanager
async def tenant_parts(run: RunParts, tenant: Tenant, lock: Lock) -> AsyncIterator[Parts]:
    """Put a tenant's parts together, under its lock, and bring its part of the lake into the state of its last commit.

    What a dead run left is cleared away while the first requests are under way; commits wait for it.

    Raises:
        CheckpointUnreadable, StoreError: the state cannot be read.

    """
    source, gate, scrub = make_source(run, tenant)
    checkpoints = Checkpoints(run.store, tenant.id, run.clock)
    manifests = Manifests(run.store, tenant.id)
    await restore(tenant.id, checkpoints=checkpoints, manifests=manifests, events=run.events, clock=run.clock)
    cleared = anyio.Event()

    async def clear_lake() -> None:
        await clear(run.store, tenant.id, manifests=manifests, events=run.events, clock=run.clock)
        cleared.set()

    committer = Committer(
        run.store,
        tenant.id,
        run.run,
        checkpoints=checkpoints,
        manifests=manifests,
        events=run.events,
        clock=run.clock,
        lock=lock,
        scrub=scrub,
        cleared=cleared,
    )
    parts = Parts(
        run,
        tenant,
        source=source,
        checkpoints=checkpoints,
        manifests=manifests,
        committer=committer,
        cleared=cleared,
        report_gate=gate,
        read_envelope=read_envelope,
    )
    try:
        async with task_group() as tasks:
            tasks.start_soon(clear_lake)
            yield parts
    finally:
        parts.close()


async def run_tenant(
    run: RunParts, tenant: Tenant, selected: Sequence[Selected], scope: Scope, *, wait_seconds: float, tasks: TaskGroup
) -> TenantOutcome:
    """Bring a tenant's entities up to date; return how that ended, the tenant's own error included."""
    outcome = TenantOutcome(tenant.id)
    lock = Lock(run.store, tenant.id, run.run, run.clock, run.events)
    try:
        async with lock.held(tasks, wait_seconds=wait_seconds), tenant_parts(run, tenant, lock) as parts:
            await _run_entities(parts, selected, scope, outcome)
    except StExportError as error:
        error.tenant = error.tenant or tenant.id
        outcome.error = error
        if not isinstance(error, LockHeld):
            _tell_unended(run, tenant.id, selected, outcome)
    return outcome


def _tell_unended(run: RunParts, tenant: int, selected: Sequence[Selected], outcome: TenantOutcome) -> None:
    """Tell of every entity that has not ended by itself what ended the tenant."""
    error = outcome.error
    ended = {entity.name for entity in outcome.entities}
    for name in (one.entity.name for one in selected if one.entity.name not in ended):
        event = EntityFinished(
            at=run.clock.now(),
            tenant=tenant,
            entity=name,
            status="failed",
            error=error.message if error is not None else None,
            hint=error.hint if error is not None else None,
        )
        run.events.emit(event)


async def _run_entities(parts: Parts, selected: Sequence[Selected], scope: Scope, outcome: TenantOutcome) -> None:
    parts.expect_end([one.entity.name for one in selected])
    places = anyio.CapacityLimiter(ENTITIES_AT_ONCE)
    try:
        async with task_group() as group:
            for one in sorted(selected, key=lambda one: one.entity.kind in ("child", "binary")):
                group.start_soon(_run_entity, parts, one, scope, outcome, places)
    finally:
        with anyio.CancelScope(shield=parts.stop.signal is None):
            await parts.checkpoints.save()


async def _run_entity(parts: Parts, one: Selected, scope: Scope, outcome: TenantOutcome, places: anyio.CapacityLimiter) -> None:
    entity = one.entity
    if entity.kind in ("child", "binary"):  # they wait for their parents, and must not hold a place meanwhile
        places = anyio.CapacityLimiter(1)
    async with places:
        if parts.stop.requested:
            parts.ended(entity.name, None)
            return
        parts.events.emit(EntityStarted(at=parts.clock.now(), tenant=parts.tenant, entity=entity.name, kind=entity.kind))
        error: StExportError | None = None
        try:
            await read_entity(parts, entity, scope)
        except TENANT_ERRORS:
            raise
        except StExportError as caught:
            error = caught
            error.tenant, error.entity = error.tenant or parts.tenant, error.entity or entity.name
        await _tell_end(parts, one, error, outcome)


async def _tell_end(parts: Parts, one: Selected, error: StExportError | None, outcome: TenantOutcome) -> None:
    name = one.entity.name
    if isinstance(error, PageUnreadable):
        reject = Reject(name, error.request, error.message, error.body)
        source = RejectsOf(parts.tenant, name, f"page-{parts.run}", parts.run)
        await write_rejects(parts.store, source, [reject], parts.clock.now(), parts.committer.scrub)
    was_readable = bool(parts.checkpoints.standings(name))
    status = "ok" if error is None else status_of(error, named_in_full=one.named, was_readable=was_readable)
    message, hint = (error.message, error.hint) if error is not None else (None, None)
    note = Note(last_run=parts.run, last_outcome=status, last_error=message)
    parts.checkpoints.remember(name, note)
    readable = error is None or parts.source.has_answered(name)
    outcome.entities.append(EntityOutcome(name, status, error, readable=readable, rejected=parts.rejected[name]))
    parts.events.emit(
        EntityFinished(at=parts.clock.now(), tenant=parts.tenant, entity=name, status=status, error=message, hint=hint)  # type: ignore[arg-type]
    )
    parts.ended(name, error)

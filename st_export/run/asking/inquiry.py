"""Asking a tenant's API a few small questions before, or instead of, a run: patient enough for a hiccup, not for an outage."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from st_export.fetch.retry import RetryPolicy
from st_export.fetch.session import Session
from st_export.fetch.token import TokenPolicy
from st_export.flow import RunId
from st_export.run.pace import Pace
from st_export.run.parts import RunParts
from st_export.run.shared import Shared
from st_export.run.stop import Stop
from st_export.run.tenant import make_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from st_export.catalog.load import Catalog
    from st_export.clock import Clock
    from st_export.commit.store import Store
    from st_export.config.model import Config, Tenant
    from st_export.events import Events
    from st_export.fetch.source import Source

BRIEF = RetryPolicy(
    attempts=3,
    throttled_attempts=20,
    initial_seconds=0.3,
    longest_seconds=2.0,
    jitter_seconds=0.3,
    longest_asked_seconds=30.0,
    patience_seconds=20.0,
)
"""A person waits for the answer: three tries, half a minute."""

QUESTIONS = RunId("inquiry")


@asynccontextmanager
async def inquiring(config: Config, catalog: Catalog, store: Store, events: Events, clock: Clock) -> AsyncIterator[RunParts]:
    """Hand out what asking needs; nothing of it writes to the store."""
    connections = config.limits.max_in_flight * max(len(config.tenants), 1) + 4
    async with Session(connections=connections, timeout_seconds=config.limits.timeout, is_encrypted=config.is_encrypted) as session:
        yield RunParts(config, catalog, QUESTIONS, session, Shared(config.decode_workers), store, events, clock, Stop(), Pace(clock))


def brief_source(run: RunParts, tenant: Tenant) -> Source:
    """Return the tenant's API as a source that gives up soon."""
    token_policy = TokenPolicy(retry=BRIEF, unreachable_seconds=5.0)
    return make_source(run, tenant, policy=BRIEF, token_policy=token_policy)[0]

"""The lock of a tenant: a lease in one file, so that one run at a time writes, and a dead one's lock does not block.

The file says who holds it, under which generation, and how long a lease is. The holder replaces it by compare-and-swap every third of a
lease; each replacement differs. Nobody compares clocks between hosts: whoever waits takes the lock over when it has *seen* no
replacement for a whole lease on its own monotonic clock, or at once when the holder is a process of this host that is gone. The
holder counts its lease from before it sent the last renewal, so it stops (`check`) before anybody else may start. Released means
replaced by a record without a holder: a file is never deleted, so that generations only grow.

This module leaves out the work that is done under the lock.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import anyio
import orjson

from st_export.commit import paths
from st_export.commit.owner import Owner, is_gone, this_process
from st_export.commit.positions import integer_of, moment_of, object_of, text_of
from st_export.commit.store import AlreadyExists, Changed, Missing
from st_export.errors import LockHeld, LockLost, StoreError
from st_export.events import Events, Noted, Waiting
from st_export.flow import utc_moment, utc_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from st_export.clock import Clock
    from st_export.commit.store import Store

LEASE_SECONDS = 30.0
RENEWALS_A_LEASE = 3
LOOKS_A_LEASE = 15
"""How often a waiting run looks at the lock: every 2 s, one small read."""

MARGIN = 0.8
"""The part of the lease that the holder trusts; the rest is for a commit that has begun."""

RELEASE_SECONDS = 5.0
VERSION = 1


class Guard(Protocol):
    """What a commit needs of the lock."""

    def check(self) -> None:
        """Raise `LockLost` where the lock is not surely ours any more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The content of the lock's file; `owner` None: released."""

    run: str
    owner: Owner | None
    generation: int
    renewals: int
    lease_seconds: float
    expires_at: datetime

    def encoded(self) -> bytes:
        """Return the record as JSON bytes."""
        document = {
            "version": VERSION,
            "run_id": self.run,
            "owner": None if self.owner is None else asdict(self.owner),
            "generation": self.generation,
            "renewals": self.renewals,
            "lease_seconds": self.lease_seconds,
            "expires_at": utc_text(self.expires_at),
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class Lock:
    """The lock of one tenant for one run. `async with lock.held(tasks)` takes, renews and releases it; `check` before each commit."""

    def __init__(self, store: Store, tenant: int, run: str, clock: Clock, events: Events, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._tenant = tenant
        self._run = run
        self._clock = clock
        self._events = events
        self._lease_seconds = lease_seconds
        self._path = paths.lock(tenant)
        self._lease: Lease | None = None
        self._tag = ""
        self._renewed_seconds = 0.0
        self._lost: str | None = None
        self._swapping = anyio.Lock()

    @asynccontextmanager
    async def held(self, tasks: TaskGroup, *, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        """Hold the lock for the block; its renewal runs in `tasks`. Raises `LockHeld` after `wait_seconds`, `StoreError`."""
        await self._take(wait_seconds)
        renewing = anyio.CancelScope()
        tasks.start_soon(self._renew, renewing)
        try:
            yield
        finally:
            renewing.cancel()
            await self._release()

    def check(self) -> None:
        """Return if the lock is surely ours. Raises `LockLost` where it was taken over, or the last renewal is too long ago."""
        if self._lease is None or self._lost is not None:
            raise self._lost_error(self._lost or "the lock is not held")
        silent = self._clock.monotonic_seconds() - self._renewed_seconds
        if silent > self._lease_seconds * MARGIN:
            raise self._lost_error(f"the lock could not be renewed for {silent:.0f} s")

    async def _take(self, wait_seconds: float) -> None:
        watch = _Watch(self._clock)
        began = self._clock.monotonic_seconds()
        announced = False
        while True:
            found = await self._read()
            if await self._try(found, watch):
                return
            waited = self._clock.monotonic_seconds() - began
            if found is not None and waited >= wait_seconds and not self._worth_watching(found[0], watch):
                raise self._held_error(found[0])
            if not announced and found is not None:
                announced = True
                self._announce(found[0], wait_seconds)
            await anyio.sleep(self._lease_seconds / LOOKS_A_LEASE)

    async def _try(self, found: tuple[Lease | None, str] | None, watch: _Watch) -> bool:
        """Take a lock that is free, released, or a dead run's; False where it is another's or somebody was first."""
        began = self._clock.monotonic_seconds()
        owner = await anyio.to_thread.run_sync(this_process)
        try:
            if found is None:
                lease = self._new_lease(owner, generation=1)
                tag = await self._store.create(self._path, lease.encoded())
            else:
                other, other_tag = found
                unseen = watch.seconds_unchanged(other_tag) >= (other.lease_seconds if other else self._lease_seconds)
                if not (unseen or await _is_free(other)):
                    return False
                lease = self._new_lease(owner, generation=other.generation + 1 if other else 1)
                tag = await self._store.replace_if(self._path, lease.encoded(), other_tag)
        except (AlreadyExists, Changed):
            return False
        self._lease, self._tag, self._renewed_seconds, self._lost = lease, tag, began, None
        return True

    def _worth_watching(self, other: Lease | None, watch: _Watch) -> bool:
        """Whether a run that may not wait still watches for one lease: the other's has run out by its own word, so it is likely dead."""
        return watch.changes == 0 and (other is None or other.expires_at < self._clock.now())

    async def _read(self) -> tuple[Lease | None, str] | None:
        try:
            data, tag = await self._store.read_tagged(self._path)
        except Missing:
            return None
        return _lease_from(data), tag

    async def _renew(self, scope: anyio.CancelScope) -> None:
        with scope:
            while self._lost is None:
                await anyio.sleep(self._lease_seconds / RENEWALS_A_LEASE)
                await self._renew_once()

    async def _renew_once(self) -> None:
        began = self._clock.monotonic_seconds()
        try:
            with anyio.move_on_after(self._lease_seconds / RENEWALS_A_LEASE):
                async with self._swapping:
                    await self._swap(self._next(self._owner()), began)
        except Changed:
            self._lost = "the lock was taken over by another run"
            self._note("error", self._lost)
        except StoreError as error:
            self._note("warning", f"the lock could not be renewed, trying again: {error.message}")

    async def _release(self) -> None:
        if self._lost is not None:
            return
        with anyio.move_on_after(RELEASE_SECONDS, shield=True):
            async with self._swapping:
                try:
                    await self._swap(self._next(None), self._clock.monotonic_seconds())
                except StoreError as error:
                    self._note("warning", f"the lock could not be released, it runs out by itself: {error.message}")
                finally:
                    self._lease = None

    async def _swap(self, lease: Lease, began_seconds: float) -> None:
        try:
            self._tag = await self._store.replace_if(self._path, lease.encoded(), self._tag)
        except Changed:
            # a renewal that was given up, or whose answer was lost, may have arrived: then the file bears our generation
            found = await self._read()
            if found is None or found[0] is None or (found[0].run, found[0].generation) != (self._run, lease.generation):
                raise
            self._tag = await self._store.replace_if(self._path, lease.encoded(), found[1])
        self._lease, self._renewed_seconds = lease, began_seconds

    def _new_lease(self, owner: Owner, *, generation: int) -> Lease:
        return Lease(self._run, owner, generation, 0, self._lease_seconds, self._expiry())

    def _next(self, owner: Owner | None) -> Lease:
        if self._lease is None:
            raise self._lost_error("the lock is not held")
        return replace(self._lease, owner=owner, renewals=self._lease.renewals + 1, expires_at=self._expiry())

    def _owner(self) -> Owner | None:
        return self._lease.owner if self._lease is not None else None

    def _expiry(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._lease_seconds)

    def _announce(self, other: Lease | None, wait_seconds: float) -> None:
        seconds = max(wait_seconds, other.lease_seconds if other else self._lease_seconds)
        reason = f"{_holder(other)} holds the tenant's lock"
        self._events.emit(Waiting(at=self._clock.now(), tenant=self._tenant, entity=None, seconds=seconds, reason=reason))

    def _note(self, level: str, text: str) -> None:
        self._events.emit(Noted(at=self._clock.now(), level="error" if level == "error" else "warning", text=text, tenant=self._tenant))

    def _held_error(self, other: Lease | None) -> LockHeld:
        return LockHeld(
            f"{_holder(other)} holds the tenant's lock",
            hint="wait for it with --wait 30m; a lock of a run that died is taken over after its lease",
            tenant=self._tenant,
        )

    def _lost_error(self, text: str) -> LockLost:
        return LockLost(text, hint="run the same command again: it goes on from the last commit", tenant=self._tenant)


class _Watch:
    """How long a tag has been seen unchanged, on our own monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tag: str | None = None
        self._since_seconds = 0.0
        self.changes = 0

    def seconds_unchanged(self, tag: str) -> float:
        now = self._clock.monotonic_seconds()
        if tag != self._tag:
            self.changes += self._tag is not None
            self._tag, self._since_seconds = tag, now
        return now - self._since_seconds


async def _is_free(lease: Lease | None) -> bool:
    if lease is None:
        return False  # unreadable: somebody's all the same, until a lease has passed without a change
    if lease.owner is None:
        return True
    return await anyio.to_thread.run_sync(is_gone, lease.owner)


def _holder(lease: Lease | None) -> str:
    if lease is None or lease.owner is None:
        return "another run"
    return f"run {lease.run} (process {lease.owner.pid} on {lease.owner.host})"


def _lease_from(data: bytes) -> Lease | None:
    """Return the record, None where it cannot be read."""
    try:
        fields = object_of(orjson.loads(data))
        owner = fields.get("owner")
        seconds = fields["lease_seconds"]
        return Lease(
            run=text_of(fields, "run_id") or "",
            owner=None if owner is None else _owner_from(object_of(owner)),
            generation=integer_of(fields, "generation"),
            renewals=integer_of(fields, "renewals"),
            lease_seconds=float(seconds),
            expires_at=moment_of(fields, "expires_at") or utc_moment("1970-01-01T00:00:00Z"),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _owner_from(fields: dict[str, object]) -> Owner:
    return Owner(
        host=text_of(fields, "host") or "",
        boot=text_of(fields, "boot") or "",
        space=text_of(fields, "space"),
        pid=integer_of(fields, "pid"),
        started=text_of(fields, "started"),
    )

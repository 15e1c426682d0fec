"""What can go wrong, cut by what the caller should do.

    StExportError                  has a message, a hint, maybe tenant and entity, and the exit code of a command that ends with it
    ├── ConfigError            2   usage, configuration, output not writable: mend the input
    ├── CheckpointUnreadable   2   a checkpoint that is damaged or of a newer version: never taken for a first run
    ├── TenantRefused          3   credentials, app key or tenant refused: mend the credentials
    ├── EntityRefused          4   403 or 404 for one entity: skipped or failed by the contract's rule
    ├── EntityFailed           4   one entity cannot go on; the others do
    │   ├── ParentsUnknown         nobody says which parents a child has: skipped where only a wildcard selected it
    │   ├── RequestRejected        400, 409: the request itself is wrong for the service, never retried
    │   ├── PageUnreadable         a page that stays undecodable after the retries; carries the raw body
    │   └── PageTimedOut           the service or a gateway gave up on a page: ask for a smaller one
    ├── ServiceUnavailable     4   the retries are spent (5xx, resets, 429 with too long a wait); 3 where nothing could be read
    ├── LockHeld               5   another run holds the tenant
    ├── LockLost               1   the lease went to another run while this one worked: stop before the next commit
    ├── CommitRefused          1   a commit's requirement no longer holds
    ├── CommitUnknown          1   the store's answer was lost and could not be looked up
    └── StoreError             2   the output cannot be read or written (permission, space, bucket)

Every error says what happened, to which tenant and entity, and, on a line of its own, what the user can do.
"""

from __future__ import annotations


class StExportError(Exception):
    """The root: `message` in one sentence, `hint` on what to do, `exit_code` for the command line."""

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None, tenant: int | None = None, entity: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.tenant = tenant
        self.entity = entity

    def __str__(self) -> str:
        """Return the message with its place in front: `tenant 1001, jpm.jobs: …`."""
        place = ", ".join(part for part in (f"tenant {self.tenant}" if self.tenant is not None else "", self.entity or "") if part)
        return f"{place}: {self.message}" if place else self.message


class ConfigError(StExportError):
    """Usage or configuration is wrong; nothing has been started."""

    exit_code = 2


class CheckpointUnreadable(StExportError):
    """The checkpoint is damaged or was written by a newer version; it is left as it is."""

    exit_code = 2


class StoreError(StExportError):
    """The output cannot be read or written: permission, space, bucket, credentials of the store."""

    exit_code = 2


class TenantRefused(StExportError):
    """The service refuses the tenant's credentials, app key or tenant id."""

    exit_code = 3


class EntityRefused(StExportError):
    """The service refuses one entity (403) or does not know it (404)."""

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        status: int,
        hint: str | None = None,
        tenant: int | None = None,
        entity: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, tenant=tenant, entity=entity)
        self.status = status


class EntityFailed(StExportError):
    """One entity cannot go on; what it had committed stays, the others finish."""

    exit_code = 4


class ParentsUnknown(EntityFailed):
    """Which parents a child has can be read nowhere: no list shows them and the configuration names none."""


class RequestRejected(EntityFailed):
    """The service answered 400, 409 or another 4xx to the request itself; `status` and the service's `trace_id` are kept."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        trace_id: str | None = None,
        hint: str | None = None,
        tenant: int | None = None,
        entity: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, tenant=tenant, entity=entity)
        self.status = status
        self.trace_id = trace_id


class PageUnreadable(EntityFailed):
    """A page stayed cut off or undecodable after the retries; `body` is what came, `request` what was asked (no secrets)."""

    def __init__(
        self,
        message: str,
        *,
        body: bytes,
        request: str,
        hint: str | None = None,
        tenant: int | None = None,
        entity: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, tenant=tenant, entity=entity)
        self.body = body
        self.request = request


class PageTimedOut(EntityFailed):
    """The service or a gateway gave up on a page (504, or no answer in time): a smaller page may pass."""


class ServiceUnavailable(StExportError):
    """The service did not answer usefully before the retries were spent."""

    exit_code = 4


class LockHeld(StExportError):
    """Another run holds the tenant's lock."""

    exit_code = 5


class LockLost(StExportError):
    """The lease passed to another run while this one worked."""


class CommitRefused(StExportError):
    """A commit's requirement no longer holds: somebody else was first."""


class CommitUnknown(StExportError):
    """The store's answer to a commit step was lost, and looking it up did not settle it."""

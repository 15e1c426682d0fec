"""How an entity, a tenant and a run have ended, and the exit code that says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from st_export.commit.store import NO_SPACE
from st_export.errors import EntityRefused, ParentsUnknown, ServiceUnavailable, StExportError, StoreError, TenantRefused

Status = Literal["ok", "failed", "skipped", "stopped"]
Outcome = Literal["complete", "partial", "failed", "stopped"]

EXIT_REFUSED = 3
EXIT_PARTIAL = 4


@dataclass(frozen=True, slots=True)
class EntityOutcome:
    """How one entity ended; `error` where it failed or was skipped."""

    name: str
    status: Status
    error: StExportError | None = None
    readable: bool = False
    rejected: int = 0


@dataclass(slots=True)
class TenantOutcome:
    """How one tenant ended: its entities, or the error that kept it from starting."""

    tenant: int
    entities: list[EntityOutcome] = field(default_factory=list)
    error: StExportError | None = None

    @property
    def anything_readable(self) -> bool:
        """Whether the service let at least one entity of the tenant be read, or nothing was there to read."""
        return self.error is None and (not self.entities or any(entity.readable for entity in self.entities))


def status_of(error: StExportError, *, named_in_full: bool, was_readable: bool) -> Status:
    """Return whether an entity that ended in `error` counts as skipped or failed.

    Skipped is a 403 or 404 of an entity that only a wildcard selected and that was never readable, and a child that only a wildcard
    selected and whose parents nobody names.
    """
    if isinstance(error, ParentsUnknown) and not named_in_full:
        return "skipped"
    if isinstance(error, EntityRefused) and error.status in (403, 404) and not named_in_full and not was_readable:
        return "skipped"
    return "failed"


def exit_code_of(tenants: list[TenantOutcome]) -> int:
    """Return the exit code of a run over these tenants.

    0 all well; 3 nothing of any tenant could be read for want of credentials, permission or reachability; 4 something failed;
    the first tenant's own code where it could not even start (5 the lock, 2 the checkpoint) and no other tenant went well.
    """
    errors = [tenant.error for tenant in tenants if tenant.error is not None]
    if errors and len(errors) == len(tenants):
        return _code_of(errors[0])
    started = [tenant for tenant in tenants if tenant.error is None]
    if started and all(_refused(tenant) for tenant in started):
        return EXIT_REFUSED
    bad = any(entity.status == "failed" or entity.rejected for tenant in started for entity in tenant.entities)
    return EXIT_PARTIAL if bad or errors or any(_refused(tenant) for tenant in started) else 0


def _code_of(error: StExportError) -> int:
    """Return the exit code of an error that ended a tenant as a whole; a disk that filled up in mid-run is no wrong configuration."""
    if isinstance(error, ServiceUnavailable):
        return EXIT_REFUSED
    return EXIT_PARTIAL if isinstance(error, StoreError) and NO_SPACE in error.message else error.exit_code


def _refused(tenant: TenantOutcome) -> bool:
    """Whether nothing of a tenant could be read for want of permission or reachability; what has no parents to ask by does not count."""
    kinds = (EntityRefused, TenantRefused, ServiceUnavailable)
    asked = [entity for entity in tenant.entities if not isinstance(entity.error, ParentsUnknown)]
    return bool(asked) and not tenant.anything_readable and all(isinstance(entity.error, kinds) for entity in asked)


def outcome_of(exit_code: int, *, stopped: bool) -> Outcome:
    """Return the word for the run summary."""
    if stopped:
        return "stopped"
    return {0: "complete", EXIT_PARTIAL: "partial"}.get(exit_code, "failed")  # type: ignore[return-value]

"""Why the service refuses an entity or a tenant, and what a person can do about it. Source: fact sheet, section 2."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from st_export.errors import EntityRefused, RequestRejected, StExportError, TenantRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from st_export.catalog.entity import Entity
    from st_export.run.outcome import TenantOutcome

MODULES = {
    "accounting": "Accounting", "crm": "CRM", "customer-interactions": "Customer Interactions", "dispatch": "Dispatch",
    "equipmentsystems": "Equipment Systems", "findings": "Findings", "forms": "Forms", "inventory": "Inventory", "jbce": "Job Booking",
    "jpm": "Job Planning and Management", "marketing": "Marketing", "marketingads": "Marketing Ads",
    "marketingreputation": "Marketing Reputation", "memberships": "Memberships", "payroll": "Payroll", "pricebook": "Pricebook",
    "report": "Reporting", "reporting": "Reporting", "sales": "Sales & Estimates", "schedulingpro": "Scheduling Pro",
    "service-agreements": "Service Agreements", "settings": "Settings", "taskmanagement": "Task Management", "telecom": "Telecom",
    "timesheets": "Timesheets",
}  # fmt: skip
"""The developer portal's names of the modules, by the first part of an entity's name."""

_TICK = (
    "tick that scope (read) for the app in the developer portal (My Apps, Edit, API Scopes), save the new version, and let the "
    "tenant's admin accept it (Settings, Integrations, API Application Access); or exclude the entity"
)
UNMATCHED = "unable to match"
"""What the gateway says of a path that is none, in small letters."""

_MISSING_SCOPE = "scope"


def scope_of(entity: Entity) -> str:
    """Return where an entity stands among the scopes of the developer portal: `Accounting > export/invoices`."""
    module, _, rest = entity.path.removeprefix("/").partition("/")
    collection = rest.partition("{tenant}/")[2] or entity.name
    return f"{MODULES.get(module, module)} > {collection}"


def entity_reason(entity: Entity, error: StExportError, status: int | None) -> tuple[str, str | None]:
    """Return reason and remedy for an entity that could not be read."""
    said = error.message
    if status == 401:
        return f"the service gave a token and then refused it: {said}", "check app_key, the tenant's id and environment"
    if status == 403:
        return _forbidden(entity, said)
    if status == 404:
        return _not_found(entity, said)
    if isinstance(error, RequestRejected):
        return f"the service rejects the request: {said}", "the API may have changed, see `st-export catalog diff`"
    return said, error.hint


def _forbidden(entity: Entity, said: str) -> tuple[str, str]:
    if _MISSING_SCOPE in said.lower():
        return f"the app lacks the scope {scope_of(entity)}", _TICK
    reason = f"the app lacks the scope {scope_of(entity)}, or the tenant the feature: {said}"
    return reason, f"if the tenant has the feature, {_TICK}"


def _not_found(entity: Entity, said: str) -> tuple[str, str]:
    if entity.kind == "report":
        return "there is no such report", "`st-export entities --reports` lists the categories and ids that exist"
    if UNMATCHED in said.lower():
        return f"the service does not know the path: {said}", "check api_url; the API may have changed, see `st-export catalog diff`"
    return f"the tenant does not have this feature: {said}", "let ServiceTitan switch the feature on, or exclude the entity"


def blame(outcome: TenantOutcome, environment: str) -> TenantRefused | None:
    """Return what is wrong with a tenant of a run whose every entity was refused, None where it is not so."""
    try:
        raise_if_all_refused([entity.error for entity in outcome.entities], outcome.tenant, environment)
    except TenantRefused as error:
        return error
    return None


def raise_if_all_refused(errors: Sequence[StExportError | None], tenant: int, environment: str) -> None:
    """Raise where all that was asked of a tenant was refused; None stands for a good answer, or for another trouble.

    Raises:
        TenantRefused: with what to look at.

    """
    refused = [error.status for error in errors if isinstance(error, EntityRefused)]
    if refused and len(refused) == len(errors):
        reason, remedy = tenant_blame(refused, tenant, environment)
        raise TenantRefused(reason, hint=remedy, tenant=tenant)


def tenant_blame(statuses: Sequence[int | None], tenant: int, environment: str) -> tuple[str, str]:
    """Return reason and remedy where every entity was refused: then it is the tenant, its app or its key.

    Args:
        statuses: the HTTP status of each refusal, at least one.
        tenant: its id.
        environment: as configured, for the hint.

    """
    other = "integration" if environment == "production" else "production"
    most = Counter(statuses).most_common(1)[0][0]
    if most == 401:
        reason = "the service gives a token and then refuses every call: the app key is not right"
        remedy = f"copy app_key anew from the developer portal; it must be of the app, and of this environment ({environment}, not {other})"
        return reason, remedy
    reason = f"every entity is refused ({most}): these credentials do not open tenant {tenant}, or the app key is of another app"
    remedy = (
        f"check the tenant's id; client_id and client_secret belong to one tenant and one environment (here {environment}, not {other}); "
        "the tenant's admin must have connected the app (Settings, Integrations, API Application Access)"
    )
    return reason, remedy

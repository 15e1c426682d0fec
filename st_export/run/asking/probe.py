"""The connection test of one tenant: its token, then each entity with one small request, side by side under the limit.

One entity is asked first: where the service refuses the token it has just given (401), or gives no answer at all, asking the others
would only cost tokens and time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from st_export.errors import EntityRefused, RequestRejected, ServiceUnavailable, StExportError, TenantRefused
from st_export.events import Event, RequestFinished
from st_export.run.asking.inquiry import brief_source
from st_export.run.asking.questions import asks_below_a_parent, smallest_request
from st_export.run.asking.refusals import UNMATCHED, entity_reason, tenant_blame
from st_export.run.groups import task_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from st_export.catalog.select import Selected
    from st_export.config.model import Tenant
    from st_export.fetch.source import Source
    from st_export.run.parts import RunParts

SECONDS = 60.0
"""What the questions to one tenant may take in all; entities without an answer by then have failed."""


class _Statuses:
    """The HTTP status of the last answer about each entity."""

    def __init__(self, tenant: int) -> None:
        self._tenant = tenant
        self.last: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, RequestFinished) and event.tenant == self._tenant and event.status:
            self.last[event.entity] = event.status


async def probe_tenant(run: RunParts, tenant: Tenant, selected: Sequence[Selected]) -> dict[str, Any]:
    """Return what `check --json` says of a tenant."""
    source = brief_source(run, tenant)
    document: dict[str, Any] = {"id": tenant.id, "token": {"ok": True, "error": None, "remedy": None}, "entities": []}
    try:
        await source.authorize()
    except (TenantRefused, ServiceUnavailable) as error:
        document["token"] = {"ok": False, "error": error.message, "remedy": _token_remedy(error, tenant, run.config.environment)}
        return document
    probe = _Probe(run, tenant, source)
    entities = document["entities"] = await probe.ask_all(selected)
    document["error"], document["remedy"] = _blame(run, tenant, entities)
    return document


def _blame(run: RunParts, tenant: Tenant, entities: Sequence[dict[str, Any]]) -> tuple[str | None, str | None]:
    """Return what is wrong with the tenant as a whole where no entity could be read, and the remedy."""
    statuses = [one["http_status"] for one in entities]
    if entities and all(one["status"] == "refused" for one in entities):
        return tenant_blame(statuses, tenant.id, run.config.environment)
    if entities and not any(statuses):
        remedy = "check api_url, the network, HTTPS_PROXY and SSL_CERT_FILE"
        return f"{run.config.api_url} gives no answer: {entities[0]['reason']}", remedy
    return None, None


def _token_remedy(error: StExportError, tenant: Tenant, environment: str) -> str | None:
    for name, secret in (("client_id", tenant.client_id), ("client_secret", tenant.client_secret)):
        if any(sign.isspace() for sign in secret.get_secret_value()):
            return f"{name} has a blank inside: copy it anew"
    if isinstance(error, TenantRefused):
        other = "integration" if environment == "production" else "production"
        return f"{error.hint}; the environment is {environment}: credentials of {other} do not work here"
    return error.hint


class _Probe:
    """The questions to one tenant."""

    def __init__(self, run: RunParts, tenant: Tenant, source: Source) -> None:
        self.run, self.tenant, self.source = run, tenant, source
        self.statuses = _Statuses(tenant.id)
        run.events.listen(self.statuses)

    async def ask_all(self, selected: Sequence[Selected]) -> list[dict[str, Any]]:
        """Ask about every entity; the answers in the order of the selection."""
        answers: dict[str, dict[str, Any]] = {}
        with anyio.move_on_after(SECONDS):
            first = answers[selected[0].entity.name] = await self._ask(selected[0])
            if first["http_status"] in (401, None):
                return [first | {"name": one.entity.name, "named": one.named} for one in selected]

            async def ask(one: Selected) -> None:
                answers[one.entity.name] = await self._ask(one)

            async with task_group() as group:
                for one in selected[1:]:
                    group.start_soon(ask, one)
        late = f"no answer within {SECONDS:.0f} seconds"
        return [
            answers.get(one.entity.name) or _document(one, "failed", self.statuses.last.get(one.entity.name), late, "try again")
            for one in selected
        ]

    async def _ask(self, one: Selected) -> dict[str, Any]:
        name = one.entity.name
        try:
            page = await self.source.page(smallest_request(one.entity, self.source.tenant, await self.source.service_time()))
            self.source.release(page)
        except StExportError as error:
            return self._explain(one, error)
        return _document(one, "ok", self.statuses.last.get(name, 200), None, None)

    def _explain(self, one: Selected, error: StExportError) -> dict[str, Any]:
        status = error.status if isinstance(error, EntityRefused | RequestRejected) else self.statuses.last.get(one.entity.name)
        if one.entity.kind == "binary" and status is not None and status < 400:
            return _document(one, "ok", status, None, None)  # a file, or the way to it
        if asks_below_a_parent(one.entity) and status in (400, 404, 409) and UNMATCHED not in error.message.lower():
            return _document(one, "ok", status, "asked for a parent that does not exist, and not refused", None)
        reason, remedy = entity_reason(one.entity, error, status)
        return _document(one, "refused" if isinstance(error, EntityRefused) else "failed", status, reason, remedy)


def _document(one: Selected, status: str, http_status: int | None, reason: str | None, remedy: str | None) -> dict[str, Any]:
    return {
        "name": one.entity.name,
        "status": status,
        "http_status": http_status,
        "reason": reason,
        "remedy": remedy,
        "named": one.named,
    }

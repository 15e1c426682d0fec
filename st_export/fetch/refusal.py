"""Answers that refuse, into our errors: problem+json, the gateway's own form, HTML of a proxy; each parsed defensively.

Which status says what is in the fact sheet, section 2: a 403 or 404 stands for one entity (or one parent), not for the tenant. So
does a 401 that comes again with a fresh token: if every entity gets one, the assembly sees that nothing could be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson
from yarl import URL

from st_export.config.redaction import forms_of
from st_export.errors import EntityFailed, EntityRefused, RequestRejected, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from st_export.fetch.retry import CallFailed
    from st_export.flow import Json, Request

TEXT_CHARACTERS = 600
"""Longest text of the service in an error."""

REFUSAL_BYTES = 64 << 10
"""As much of a refusal's body is read."""

_HTML_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)

_HINTS: dict[int, str] = {
    401: "the token had been renewed; if every entity is refused, check app_key, the tenant's id and the environment",
    403: "give the app this scope in the developer portal (a new version of the app, and the tenant's consent), or exclude the entity",
    404: "the tenant does not have this feature, or the app key or tenant id is wrong if every entity says so; else exclude the entity",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusing answer says: its title, the errors of single fields, the trace id, and whether it was a proxy's HTML."""

    status: int
    title: str
    errors: str = ""
    trace_id: str | None = None
    is_html: bool = False

    def text(self) -> str:
        """Return all of it in one line."""
        parts = [
            self.title or "no reason given",
            f"[{self.errors}]" if self.errors else "",
            f"(trace {self.trace_id})" if self.trace_id else "",
        ]
        return " ".join(part for part in parts if part)


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the secrets that the service may have echoed, in whatever form."""
    for form in forms_of(tuple(secrets)):
        text = text.replace(form, "***")
    return text


def scrubbed_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return a body without the secrets that the service may have echoed, in whatever form."""
    for form in forms_of(tuple(secrets)):
        body = body.replace(form.encode(), b"***")
    return body


def read_refusal(status: int, body: bytes, *, location: str | None = None, secrets: Iterable[str] = ()) -> Refusal:
    """Return what a refusing answer says, whatever its form.

    Args:
        status: the HTTP status.
        body: its body, inflated; may be cut off.
        location: where a 3xx points to; only its origin is told.
        secrets: replaced by stars where the service echoes them.

    """
    if 300 <= status < 400:
        return Refusal(status, f"the service redirects to {_origin(location)}, which is not followed")

    def said(text: str) -> str:
        return _line(scrubbed(text, secrets))

    text = body.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if text[:1] == "<":
        match = _HTML_TITLE.search(text)
        return Refusal(status, said(match[1] if match else "an HTML page"), is_html=True)
    try:
        document: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Refusal(status, said(text))
    if not isinstance(document, dict):
        return Refusal(status, said(str(document)))
    words = {str(name).lower(): value for name, value in document.items()}
    titles = [words.get(name) for name in ("title", "detail", "message", "error_description", "error")]
    title = ". ".join(dict.fromkeys(part for part in titles if isinstance(part, str) and part))
    trace = words.get("traceid") or words.get("activityid")
    return Refusal(status, said(title), said(_field_errors(words.get("errors"))), said(trace)[:100] if isinstance(trace, str) else None)


def error_of(refusal: Refusal, request: Request, tenant: int) -> EntityRefused | RequestRejected:
    """Return the error for an answer that is not repeated: 401, 403 and 404 refuse the entity, others reject the request."""
    entity = str(request.entity)
    message = f"{request.method} {request.path} was answered {refusal.status}: {refusal.text()}"
    if refusal.status in (401, 403, 404):
        return EntityRefused(message, status=refusal.status, hint=_HINTS[refusal.status], tenant=tenant, entity=entity)
    hint = "the request does not suit the service; the entity keeps its position"
    if 300 <= refusal.status < 400:
        hint = "check api_url and the proxy: the API itself never redirects"
    return RequestRejected(message, status=refusal.status, trace_id=refusal.trace_id, hint=hint, tenant=tenant, entity=entity)


def exhausted(
    failed: CallFailed, request: Request, tenant: int, *, longest_asked_seconds: float, tries: int
) -> EntityFailed | ServiceUnavailable:
    """Return the error for a call whose tries are spent and that has no page to show."""
    entity = str(request.entity)
    asked = failed.asked_seconds
    if asked is not None and asked > longest_asked_seconds:
        return ServiceUnavailable(
            f"the service asks to wait {asked:,.0f} seconds, more than the {longest_asked_seconds:,.0f} that are waited: {failed.reason}",
            hint="run the same command again after that time; it goes on where it stopped",
            tenant=tenant,
            entity=entity,
        )
    hint = "run the same command again later; it goes on where it stopped"
    if failed.failure == "untrusted":
        hint = "set SSL_CERT_FILE to the certificates to trust; verification cannot be switched off"
    return ServiceUnavailable(
        f"{request.method} {request.path} failed {tries} times, last: {failed.reason}", hint=hint, tenant=tenant, entity=entity
    )


def kind_of(status: int) -> Literal["ok", "unauthorized", "throttled", "status", "refused"]:
    """Return what a status means: 408 and 5xx are repeated, 429 after a wait, 401 once with a new token, the rest refuses."""
    if 200 <= status < 300:
        return "ok"
    if status == 401:
        return "unauthorized"
    if status == 429:
        return "throttled"
    if status in (408, 425) or status >= 500:
        return "status"
    return "refused"


def _origin(location: str | None) -> str:
    try:
        return str(URL(location or "").origin())
    except ValueError:
        return "another place"


def _line(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= TEXT_CHARACTERS else line[:TEXT_CHARACTERS] + "…"


def _field_errors(errors: Json) -> str:
    if isinstance(errors, dict):
        return "; ".join(f"{name}: {', '.join(map(str, said)) if isinstance(said, list) else said}" for name, said in errors.items())
    if isinstance(errors, list):
        return "; ".join(map(str, errors))
    return errors if isinstance(errors, str) else ""

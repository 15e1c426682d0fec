"""The token endpoint (client credentials, form or Basic) and the check of what each call brings."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from st_export.simulate.answers import Answer, gateway, html, json_answer, problem, rate_limited
from st_export.simulate.limits import RateLimit

if TYPE_CHECKING:
    from st_export.simulate.options import SimulateOptions
    from st_export.simulate.stats import Stats


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """What a client needs to read a tenant."""

    id: int
    client_id: str
    client_secret: str
    app_key: str


@dataclass(slots=True)
class _Token:
    tenant: int
    dies_at: float


class Auth:
    """Gives tokens out and knows whose they are. A new token leaves earlier ones alive."""

    def __init__(self, options: SimulateOptions, stats: Stats) -> None:
        self.tenants = {
            each: TenantAccess(each, f"client-{each}", f"secret-{each}-{options.seed}", options.app_key) for each in options.tenants
        }
        self.odd_answers = deque(options.token_answers)
        self._tokens: dict[str, _Token] = {}
        self._stats = stats
        self._throttle = RateLimit(60.0)

    def set_secret(self, tenant: int, client_secret: str, *, client_id: str | None = None, app_key: str | None = None) -> None:
        """Give a tenant other credentials."""
        old = self.tenants[tenant]
        self.tenants[tenant] = TenantAccess(tenant, client_id or old.client_id, client_secret, app_key or old.app_key)

    def expire_tokens(self, tenant: int | None = None) -> None:
        """Let all tokens (of a tenant) die at once."""
        self._tokens = {} if tenant is None else {text: token for text, token in self._tokens.items() if token.tenant != tenant}

    def token(self, options: SimulateOptions, form: dict[str, str], authorization: str) -> Answer | None:
        """Answer a token request; None means that the connection is to be reset."""
        self._stats.token_requests += 1
        self._stats.token_times.append(time.monotonic())
        odd = self.odd_answers.popleft() if self.odd_answers else ""
        if odd == "reset":
            return None
        if odd == "html503":
            return html(503, "Service Unavailable")
        limit = options.token_requests_per_minute
        wait = 2.0 if odd == "throttle" else self._throttle.wait_after("token", limit)
        if wait:
            return rate_limited(wait, options.retry_after)
        access = self._client(form, authorization)
        if access is None or odd == "invalid-client":
            return json_answer({"error": "invalid_client"}, 400)
        if form.get("grant_type") != "client_credentials":
            return json_answer({"error": "unsupported_grant_type"}, 400)
        return self._issue(access.id, options.token_life_seconds, odd)

    def _client(self, form: dict[str, str], authorization: str) -> TenantAccess | None:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        if authorization.startswith("Basic "):
            try:
                name, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            given = (name, secret)
        pairs = {given, (unquote_plus(given[0]), unquote_plus(given[1]))} if authorization else {given}
        return next((each for each in self.tenants.values() if (each.client_id, each.client_secret) in pairs), None)

    def _issue(self, tenant: int, life: float, odd: str) -> Answer:
        text = f"eyJhbGciOiJub25lIn0.{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(16)}"
        self._tokens[text] = _Token(tenant, time.monotonic() + life)
        document: dict[str, object] = {"access_token": text, "expires_in": int(life), "token_type": "Bearer", "scope": ""}
        if odd == "no-expiry":
            del document["expires_in"]
        elif odd == "text-expiry":
            document["expires_in"] = str(int(life))
        elif odd == "zero-expiry":
            document["expires_in"] = 0
        return json_answer(document)

    def refusal(self, options: SimulateOptions, tenant: str, authorization: str, app_key: str) -> Answer | None:
        """Return why a call may not pass: token, app key, tenant; None if it may."""
        token = self._tokens.get(authorization.removeprefix("Bearer ")) if authorization.startswith("Bearer ") else None
        if token is None or token.dies_at <= time.monotonic():
            return problem(401, "Unauthorized")
        access = self.tenants[token.tenant]
        if app_key != access.app_key:
            return gateway(options.app_key_status, "Access denied due to missing or invalid application key.")
        if tenant != str(token.tenant):
            return gateway(options.tenant_status, "Access to the tenant is denied.")
        return None

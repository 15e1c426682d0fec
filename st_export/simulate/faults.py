"""Faults by rate and seed: what goes wrong with a request before it is answered, in its answer, and while it is sent.

A path glob is held against the API's paths; the token endpoint is struck by a maintenance and by a path that is `/connect/token` itself.

Before the answer:
    error-json, error-html   a 5xx (`status`, default 500 and 503)
    rate-limited             a 429 that asks for `seconds` (default 1)
    reset                    the connection breaks, nothing is sent
    stall                    nothing for `seconds` (default 3600), then a reset
    unauthorized             401: the token was revoked
    forbidden                403 `Scope validation failed`
    not-found, conflict      404, 409
    maintenance              503 HTML for `seconds` from the first match on
In the answer (feeds and lists):
    empty-page               a feed page without rows, `hasMore` true, a new token
    repeat-token             `continueFrom` is the token just used, `hasMore` true
    refuse-token             400 for a feed's token
    ignore-filters           dates, ids and `active` are not looked at
    bare-array               an enveloped list comes as a bare array
While it is sent:
    reset-in-body            the connection breaks after `size` bytes (default half)
    cut                      half of the body, as a whole 200
    slow-body                the body takes `seconds` (default 2)
    gateway-cut              bodies over `size` bytes (default 1 MB) are cut there
    mislabelled-gzip         plain bytes labelled gzip
    unlabelled-gzip          gzip without the label
    gzip-members             several members in one body
    bom                      a byte-order mark in front
    no-content-type, wrong-content-type (`text/plain`), wrong-charset (utf-16 on UTF-8 bytes)
"""

from __future__ import annotations

import random
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from st_export.simulate.answers import Answer, gateway, html, problem, rate_limited

if TYPE_CHECKING:
    from st_export.simulate.options import Fault, SimulateOptions
    from st_export.simulate.stats import Stats

BEFORE = frozenset(
    {"error-json", "error-html", "rate-limited", "reset", "stall", "unauthorized", "forbidden", "not-found", "conflict", "maintenance"}
)
_BROKEN = {"error-json": 500, "error-html": 503}


class _Rule:
    """A fault with its own dice and its own count."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self._dice = random.Random(seed)  # noqa: S311 - reproducible faults, no secrets
        self._matched = 0
        self._struck = 0
        self._since: float | None = None

    def strikes(self, path: str, query: str, tenant: str) -> bool:
        """Decide about one request."""
        fault = self.fault
        if not fnmatchcase(path, fault.path) or fault.query not in query or (fault.tenant is not None and str(fault.tenant) != tenant):
            return False
        self._matched += 1
        if self._matched <= fault.after or (fault.times is not None and self._struck >= fault.times) or self._dice.random() >= fault.rate:
            return False
        if fault.kind == "maintenance":
            self._since = self._since if self._since is not None else time.monotonic()
            if fault.seconds is not None and time.monotonic() - self._since > fault.seconds:
                return False
        self._struck += 1
        return True


class Faults:
    """The faults in force."""

    def __init__(self, options: SimulateOptions, stats: Stats) -> None:
        self._stats = stats
        self._seed = options.seed
        self._rules: list[_Rule] = []
        self.set(options.faults)

    def set(self, faults: tuple[Fault, ...]) -> None:
        """Put these faults in force instead of the present ones; counts start anew."""
        self._rules = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Put one more fault in force."""
        self._rules.append(_Rule(fault, f"{self._seed}/{len(self._rules)}/{fault.kind}"))

    def striking_tokens(self, path: str) -> dict[str, Fault]:
        """Return the faults that strike a token request: a maintenance of all paths, and those whose path names the endpoint in full."""
        struck: dict[str, Fault] = {
            rule.fault.kind: rule.fault
            for rule in self._rules
            if (rule.fault.path == path or rule.fault.kind == "maintenance") and rule.strikes(path, "", "")
        }
        self._stats.faults.update(struck.keys())
        return struck

    def striking(self, path: str, query: str, tenant: str) -> dict[str, Fault]:
        """Return the faults that strike this request, by kind; of those before the answer only the first one counts."""
        struck: dict[str, Fault] = {}
        for rule in self._rules:
            before = rule.fault.kind in BEFORE
            if before and any(kind in BEFORE for kind in struck):
                continue
            if rule.strikes(path, query, tenant):
                struck[rule.fault.kind] = rule.fault
                self._stats.faults[rule.fault.kind] += 1
        return struck


def refusal(fault: Fault, options: SimulateOptions) -> Answer:
    """Return the answer of a fault that refuses."""
    if fault.kind == "rate-limited":
        return rate_limited(fault.seconds or 1.0, options.retry_after, exact=True)
    if fault.kind == "error-json":
        return problem(fault.status or _BROKEN[fault.kind], "An error has occurred.")
    if fault.kind in ("error-html", "maintenance"):
        return html(fault.status or 503, "Service Unavailable")
    table = {
        "unauthorized": problem(401, "Unauthorized"),
        "forbidden": scope_missing(),
        "not-found": problem(404, "Not found"),
        "conflict": problem(409, "The entity is in an inconsistent state."),
    }
    return table[fault.kind]


def scope_missing() -> Answer:
    """Return the refusal of a call that the app has no scope for."""
    return gateway(403, "Scope validation failed. The application has no access to this resource.")

"""All of the look-alike but the wire: its state, and how a call is answered."""

from __future__ import annotations

import random
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import orjson

from st_export.simulate import faults as fault_answers
from st_export.simulate.answers import Answer, problem, rate_limited, unknown_path
from st_export.simulate.auth import Auth
from st_export.simulate.calls import Call, PageCache
from st_export.simulate.churn import Changes
from st_export.simulate.clock import SimulatedClock, ticks_of
from st_export.simulate.faults import BEFORE, Faults
from st_export.simulate.feeds import FeedTokens, feed_page
from st_export.simulate.limits import RateLimit
from st_export.simulate.lists import Refused, list_page
from st_export.simulate.options import Fault, SimulateOptions
from st_export.simulate.others import binary, blob_bytes, capacity, one, part, redirect, signature, single, value
from st_export.simulate.reports import Reporting
from st_export.simulate.routes import Match, Router
from st_export.simulate.stats import Stats
from st_export.simulate.tenant import Tenant


class Simulation:
    """The state that tests may look at and change. `changes` edits records, `faults` makes trouble, `clock` tells and moves time."""

    def __init__(self, options: SimulateOptions) -> None:
        self.options = options
        self.clock = SimulatedClock(options.now)
        self.clock.skew_seconds = options.clock_skew_seconds
        self.stats = Stats()
        self.auth = Auth(options, self.stats)
        end = ticks_of(options.now) if options.now else self.clock.ticks()
        self.tenants = {each: Tenant(each, options, end) for each in options.tenants}
        self.changes = Changes(self.tenants, self.clock, options.seed)
        self.faults = Faults(options, self.stats)
        self.tokens = FeedTokens()
        self.reporting = Reporting(options.reports)
        self.router = Router()
        self.cache = PageCache(options.cache_mb * 1_000_000)
        self.blob_url = ""
        self._limit = RateLimit()
        self._verbatim: list[tuple[str, str, Answer]] = []
        self._dice = random.Random(f"latency/{options.seed}")  # noqa: S311 - made-up latency, no secrets
        self._since_churn = 0

    # --- told by tests ---------------------------------------------------------------------------------------------

    def set_options(self, **changed: Any) -> None:
        """Change options while it runs (limits, lag, latency, churn, page sizes…; not the data's)."""
        self.options = replace(self.options, **changed)
        self.clock.skew_seconds = self.options.clock_skew_seconds

    def answer_with(self, path: str, body: Any, *, status: int = 200, query: str = "", content_type: str | None = None) -> None:
        """Answer calls whose path fits the glob (and whose query holds the text) with this, verbatim; bytes go as they are.

        The answer set last is tried first.
        """
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        kind = content_type or ("application/json; charset=utf-8" if status < 400 else "application/problem+json; charset=utf-8")
        self._verbatim.insert(0, (path, query, Answer(status, content, kind)))

    def clear_answers(self) -> None:
        """Forget all verbatim answers."""
        self._verbatim.clear()

    def forbid(self, path: str) -> None:
        """Refuse all calls whose path fits the glob: the app has no scope for them."""
        self.faults.add(Fault("forbidden", path=path))

    def refuse_feed_tokens(self, path: str | None = None, *, tenant: int | None = None) -> None:
        """Make all feed tokens given so far unusable, of one feed (path with `{tenant}`) or of all."""
        owner = tenant if tenant is not None else next(iter(self.tenants))
        self.tokens.refuse(None if path is None else f"{owner}{path}")

    def reset_stats(self) -> None:
        """Count anew."""
        self.stats.__init__()  # type: ignore[misc]  # the same object is held by others

    # --- calls -----------------------------------------------------------------------------------------------------

    def gate(self, path: str, query: str, app_key: str, at: float | None = None) -> tuple[Answer | None, dict[str, Fault]]:
        """Return the refusal of the limit or of a fault, and the faults that strike the call, which arrived `at` (monotonic seconds)."""
        tenant = _tenant_of(path)
        wait = self._limit.wait_after(f"{app_key}/{tenant}", self.options.requests_per_second, at)
        if wait:
            asked = self.options.retry_after_seconds
            return rate_limited(wait if asked is None else asked, self.options.retry_after, exact=asked is not None), {}
        struck = self.faults.striking(path, query, tenant)
        before = next((fault for kind, fault in struck.items() if kind in BEFORE), None)
        if before is None or before.kind in ("reset", "stall"):
            return None, struck
        return fault_answers.refusal(before, self.options), struck

    async def answer(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, struck: dict[str, Fault]
    ) -> Answer:
        """Answer a call that has passed the gate; `headers` has lower-case names."""
        app_key = headers.get("st-app-key") or query.get("servicetitanapplicationkey", "")
        match = self.router.match(method, path)
        if match is None:
            return unknown_path()
        refusal = self.auth.refusal(self.options, match.tenant, headers.get("authorization", ""), app_key)
        if refusal is not None:
            return refusal
        text = "&".join(f"{name}={each}" for name, each in query.items())
        for glob, part_of_query, verbatim in self._verbatim:
            if fnmatchcase(path, glob) and part_of_query in text:
                return verbatim
        self._churn(match)
        call = Call(
            match, {name.lower(): each for name, each in query.items()}, self.tenants[int(match.tenant)], self.options, self.clock,
            self.cache, struck, body,
        )  # fmt: skip
        try:
            return await self._dispatch(call)
        except Refused as refused:
            return refused.answer

    async def _dispatch(self, call: Call) -> Answer:
        kind = call.match.route.kind
        if kind == "feed":
            return await feed_page(call, self.tokens)
        if kind == "list":
            return await list_page(call)
        if kind == "redirect":
            return redirect(call, self.blob_url)
        simple = {"one": one, "part": part, "object": single, "value": value, "binary": binary, "capacity": capacity}
        return simple[kind](call) if kind in simple else self.reporting.answer(call)

    def _churn(self, match: Match) -> None:
        every = self.options.churn_every
        if not every:
            return
        self._since_churn += 1
        if self._since_churn >= every:
            self._since_churn = 0
            self.changes.churn(self.options.churn_records, tenant=int(match.tenant), deletes=self.options.churn_deletes)

    def latency(self, answer: Answer) -> float:
        """Return how long the answer takes, in seconds."""
        low, high = self.options.latency_seconds
        return low + (high - low) * self._dice.random() + self.options.latency_per_thousand_rows * answer.rows / 1_000

    def timed_out(self) -> Answer:
        """Return the answer of the gateway when the service takes too long."""
        return Answer(504, b"<html><body><h1>504 Gateway Time-out</h1></body></html>", "text/html; charset=utf-8")

    def blob(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        """Answer the blob store: it wants its signature, nothing added, and no secrets."""
        self.stats.blob_requests += 1
        secret = "authorization" in headers or "st-app-key" in headers
        self.stats.secrets_at_blobs += secret
        tenant, _, name = path.lstrip("/").partition("/")
        if secret or set(query) != {"sig"} or not tenant.isdigit() or query["sig"] != signature(int(tenant), name):
            return problem(400 if secret else 403, "Server failed to authenticate the request.")
        return Answer(200, blob_bytes(f"{tenant}/{name}"), "image/jpeg")


def _tenant_of(path: str) -> str:
    parts = path.split("/", 5)
    return parts[4] if len(parts) > 4 else ""

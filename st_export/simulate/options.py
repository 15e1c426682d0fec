"""What the look-alike can be told: its tenants and their size, its limits, its habits, its faults."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any
FaultKind = Literal[
    "error-json", "error-html", "rate-limited", "reset", "stall", "unauthorized", "forbidden", "not-found", "conflict", "maintenance",
    "reset-in-body", "cut", "slow-body", "empty-page", "repeat-token", "gateway-cut", "mislabelled-gzip", "unlabelled-gzip", "gzip-members",
    "no-content-type", "wrong-content-type", "wrong-charset", "bom", "ignore-filters", "refuse-token", "bare-array",
]  # fmt: skip
"""See `faults` for what each one does."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: which, how often, where.

    `rate`: share of the matching requests, 0 to 1. `path`: glob over the path after the host. `times`: at most so often;
    `after`: not for the first so many matching requests. `tenant`: only there. `status`: of `error-json` and `error-html`.
    `seconds`: of a stall, the wait of `rate-limited`, the time a `slow-body` takes, how long a maintenance lasts.
    `size`: bytes a `gateway-cut` lets through, or after which a `reset-in-body` comes (else half). `query`: text that the query must hold.
    """

    kind: FaultKind
    rate: float = 1.0
    path: str = "*"
    times: int | None = None
    after: int = 0
    tenant: int | None = None
    status: int | None = None
    seconds: float | None = None
    size: int | None = None
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Return the fault of a text such as `error-json:rate=0.1,path=*/jobs*,status=503`.

        Raises:
            ValueError: an unknown kind or field, or a value of the wrong type.

        """
        kind, _, rest = text.partition(":")
        if kind not in FaultKind.__args__:  # type: ignore[attr-defined]  # Literal keeps its values there
            raise ValueError(f"no fault `{kind}`; known are {', '.join(FaultKind.__args__)}")  # type: ignore[attr-defined]  # as above
        types: dict[str, Any] = {"rate": float, "times": int, "after": int, "tenant": int, "status": int, "seconds": float, "size": int}
        fields: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            name, _, value = part.partition("=")
            if name not in cls.__slots__ or name == "kind":
                raise ValueError(f"a fault has no `{name}`")
            fields[name] = types.get(name, str)(value)
        return cls(kind=kind, **fields)  # type: ignore[arg-type]  # checked above


@dataclass(frozen=True, slots=True)
class Report:
    """A report of the tenant: where it stands, its columns (name, declared type), its rows or how many to make up a day."""

    category: str
    id: int
    name: str
    fields: tuple[tuple[str, str], ...] = (
        ("Name", "String"),
        ("Date", "Date"),
        ("Revenue", "Number"),
        ("Jobs", "Number"),
        ("Name", "String"),
    )
    rows: tuple[tuple[Json, ...], ...] | None = None
    rows_a_run: int = 24


_REPORTS = (Report("accounting", 101, "Revenue by job"), Report("operations", 202, "Jobs by technician"), Report("marketing", 303, "Leads"))


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """All options, with defaults that behave as the service does.

    Data: `seed`; `rows` of the largest feeds; `row_counts` by collection (`jpm.jobs`) instead; `years` of history up to the clock;
    `nested_items` at most in a nested list; `tenants` by id. `now`: where the running clock begins (real time if None).

    Feeds: `feed_page_rows`; `feed_lag_seconds` before a change shows (0: at once); `feed_disorder`, the share of rows that come up to an
    hour late; `newest_token_only`: only the token given last is good.

    Lists: `page_size_over_maximum` `clamp` or `refuse`; `inactive_parent_conflicts`: 409 for contacts of inactive parents.

    Limits: `requests_per_second` in any rolling second per (app key, tenant), 0 for none; `retry_after` tells where a 429 says its wait;
    `latency_seconds` at least and at most; `latency_per_thousand_rows` on top; `server_timeout_seconds`: a 504 after that.

    Token: `token_life_seconds`; `token_requests_per_minute`, 0 for none; `token_answers`: odd answers, one a call, before the normal ones
    (`reset`, `html503`, `no-expiry`, `text-expiry`, `zero-expiry`, `throttle`, `invalid-client`). `app_key_status`, `tenant_status`: how a
    wrong one is refused.

    Reports: `reports` that exist; `report_interval_seconds` between two runs of one; `report_needs_description`: no data without it.

    Trouble: `faults` (see `faults`); `churn_every` so many requests `churn_records` records change (`churn_deletes`: also go);
    `clock_skew_seconds` of the `Date` header. `cache_mb`: finished pages kept in memory.
    """

    seed: int = 1
    rows: int = 2_000
    row_counts: Mapping[str, int] = field(default_factory=dict)
    years: float = 3.0
    nested_items: int = 3
    tenants: tuple[int, ...] = (1001,)
    now: datetime | None = None
    app_key: str = "made-up-app-key"
    host: str = "127.0.0.1"
    port: int = 0
    blob_port: int = 0
    feed_page_rows: int = 1_000
    feed_lag_seconds: float = 900.0
    feed_disorder: float = 0.0
    newest_token_only: bool = False
    page_size_over_maximum: Literal["clamp", "refuse"] = "clamp"
    inactive_parent_conflicts: bool = True
    requests_per_second: int = 60
    retry_after: Literal["header", "body", "both", "none"] = "both"
    retry_after_seconds: float | None = None
    latency_seconds: tuple[float, float] = (0.0, 0.0)
    latency_per_thousand_rows: float = 0.0
    server_timeout_seconds: float = 100.0
    gzip: bool = True
    token_life_seconds: float = 900.0
    token_requests_per_minute: int = 0
    token_answers: tuple[str, ...] = ()
    app_key_status: int = 401
    tenant_status: int = 403
    report_interval_seconds: float = 60.0
    report_needs_description: bool = False
    reports: tuple[Report, ...] = _REPORTS
    faults: tuple[Fault, ...] = ()
    churn_every: int = 0
    churn_records: int = 5
    churn_deletes: bool = True
    clock_skew_seconds: float = 0.0
    cache_mb: int = 512

    def to_json(self) -> Json:
        """Return the options as plain JSON values."""
        plain = asdict(self)
        plain["now"] = self.now.astimezone(UTC).isoformat() if self.now else None
        return plain

    @classmethod
    def from_json(cls, plain: Json) -> SimulateOptions:
        """Return the options that `to_json` wrote."""
        fields = dict(plain)
        fields["now"] = datetime.fromisoformat(fields["now"]) if fields.get("now") else None
        fields["tenants"] = tuple(fields.get("tenants", (1001,)))
        fields["latency_seconds"] = tuple(fields.get("latency_seconds", (0.0, 0.0)))
        fields["token_answers"] = tuple(fields.get("token_answers", ()))
        fields["faults"] = tuple(Fault(**each) for each in fields.get("faults", ()))
        if "reports" in fields:
            fields["reports"] = tuple(
                Report(
                    **{
                        **each,
                        "fields": tuple(map(tuple, each["fields"])),
                        "rows": tuple(map(tuple, each["rows"])) if each["rows"] else None,
                    }
                )
                for each in fields["reports"]
            )
        return cls(**fields)

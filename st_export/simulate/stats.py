"""What arrived and what was answered: counted where it arrives, for tests and benchmarks."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

_LOG_LIMIT = 200_000


@dataclass(slots=True)
class Seen:
    """One request to the API: seconds (monotonic), how it was asked, how it was answered (0: not at all)."""

    at: float
    method: str
    path: str
    query: dict[str, str]
    app_key: str
    status: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Stats:
    """Counters since the start or the last reset."""

    requests: int = 0
    token_requests: int = 0
    rate_limited: int = 0
    bytes_sent: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    worst_second: int = 0
    secrets_at_blobs: int = 0
    blob_requests: int = 0
    by_path: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    log: deque[Seen] = field(default_factory=lambda: deque(maxlen=_LOG_LIMIT))
    token_times: list[float] = field(default_factory=list)
    _recent: dict[str, deque[float]] = field(default_factory=dict)

    def arrive(self, at: float, method: str, path: str, query: dict[str, str], app_key: str, tenant: str) -> Seen:
        """Count a request to the API that arrived `at` (monotonic seconds); the worst rolling second is per (app key, tenant)."""
        seen = Seen(at, method, path, query, app_key)
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.by_path[path] += 1
        self.log.append(seen)
        recent = self._recent.setdefault(f"{app_key}/{tenant}", deque())
        recent.append(at)
        while recent[0] <= at - 1.0:
            recent.popleft()
        self.worst_second = max(self.worst_second, len(recent))
        return seen

    def answer(self, seen: Seen, status: int, size: int) -> None:
        """Count the answer to a request."""
        seen.status, seen.bytes = status, size
        self.in_flight -= 1
        self.by_status[status] += 1
        self.rate_limited += status == 429
        self.bytes_sent += size

    def arrivals(self) -> list[float]:
        """Return when each request arrived, in monotonic seconds."""
        return [seen.at for seen in self.log]

    def asked(self, path: str) -> list[Seen]:
        """Return the requests to one path, in order."""
        return [seen for seen in self.log if seen.path == path]

    def to_json(self, *, log: bool = False) -> dict[str, Any]:
        """Return the counters as JSON; with `log` each request too, without, only the arrival times."""
        plain = {
            name: getattr(self, name)
            for name in ("requests", "token_requests", "rate_limited", "bytes_sent", "in_flight", "most_in_flight", "worst_second",
                         "secrets_at_blobs", "blob_requests")
        }  # fmt: skip
        plain |= {"by_path": dict(self.by_path), "by_status": {str(k): v for k, v in self.by_status.items()}, "faults": dict(self.faults)}
        plain |= {"arrivals": self.arrivals(), "token_times": self.token_times}
        if log:
            plain["log"] = [asdict(seen) for seen in self.log]
        return plain

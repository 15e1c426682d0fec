"""The control endpoints, for tests that run the look-alike in a process of its own. No credentials are asked for: it is loopback.

    GET  /_simulate/info                    URLs, tenants with their credentials, options
    GET  /_simulate/stats[?log=1]           counters, arrival times (with `log` each request)
    GET  /_simulate/truth?path=…&tenant=…[&current=1]    lines of JSON, one a version
    POST /_simulate/control                 {"do": action, …arguments}; answers {"result": …}

Actions: `faults` {faults: [{kind, rate, path, …}]} (replaces all), `fault` {kind, rate, …} (one more), `options` {name: value, …},
`advance` {seconds}, `freeze` {frozen}, `expire_tokens` {tenant}, `refuse_feed_tokens` {path, tenant}, `odd_tokens` {answers: […]},
`answer_with` {path, body, status, query, content_type}, `clear_answers`, `forbid` {path}, `reset_stats`,
`set_secret` {tenant, client_secret, client_id, app_key}, and those of `Changes`: `add`, `modify`, `bulk_edit`, `deactivate`, `delete`,
`remove`, `clear`, `churn`, with the same arguments (moments as RFC 3339 texts).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from st_export.simulate.answers import Answer, json_answer, problem
from st_export.simulate.options import Fault
from st_export.simulate.truth import truth_lines, view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.simulate.simulation import Simulation

_MOMENTS = ("modified_on", "created_on", "at")
_OF_CHANGES = ("add", "modify", "bulk_edit", "deactivate", "delete", "remove", "clear", "churn")


class Control:
    """Answers the control endpoints."""

    def __init__(self, simulation: Simulation, info: Callable[[], dict[str, Any]]) -> None:
        self._simulation = simulation
        self._info = info
        self._actions: dict[str, Callable[..., Any]] = {
            "faults": lambda faults: simulation.faults.set(tuple(Fault(**each) for each in faults)),
            "fault": lambda **fault: simulation.faults.add(Fault(**fault)),
            "options": self._options,
            "advance": simulation.clock.advance,
            "freeze": lambda frozen=True: simulation.clock.freeze(frozen=frozen),
            "expire_tokens": lambda tenant=None: simulation.auth.expire_tokens(tenant),
            "refuse_feed_tokens": simulation.refuse_feed_tokens,
            "odd_tokens": simulation.auth.odd_answers.extend,
            "answer_with": simulation.answer_with,
            "clear_answers": simulation.clear_answers,
            "forbid": simulation.forbid,
            "reset_stats": simulation.reset_stats,
            "set_secret": simulation.auth.set_secret,
            **{name: getattr(simulation.changes, name) for name in _OF_CHANGES},
        }

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """Answer a control call."""
        name = path.removeprefix("/_simulate/")
        try:
            if (method, name) == ("POST", "control"):
                return json_answer({"result": self._act(orjson.loads(body))})
            if name == "stats":
                return json_answer(self._simulation.stats.to_json(log=bool(query.get("log"))))
            if name == "truth":
                tenant = self._simulation.tenants[int(query["tenant"]) if "tenant" in query else next(iter(self._simulation.tenants))]
                return truth_lines(tenant, view_of(query["path"]), current_only=bool(query.get("current")))
            if name == "info":
                return json_answer(self._info())
        except (KeyError, TypeError, ValueError) as wrong:
            return problem(400, f"{type(wrong).__name__}: {wrong}")
        return problem(404, "no such control")

    def _act(self, asked: dict[str, Any]) -> Any:
        action = self._actions[asked.pop("do")]
        for name in _MOMENTS:
            if asked.get(name):
                asked[name] = datetime.fromisoformat(asked[name]).astimezone(UTC)
        return action(**asked)

    def _options(self, **changed: Any) -> None:
        plain = self._simulation.options.to_json()
        parsed = type(self._simulation.options).from_json({**plain, **changed})
        self._simulation.set_options(**{name: getattr(parsed, name) for name in changed})


def info(simulation: Simulation, api_url: str, auth_url: str) -> dict[str, Any]:
    """Return what a client has to know to talk to the look-alike."""
    tenants = [asdict(each) for each in simulation.auth.tenants.values()]
    return {
        "api_url": api_url,
        "auth_url": auth_url,
        "blob_url": simulation.blob_url,
        "tenants": tenants,
        "options": simulation.options.to_json(),
    }

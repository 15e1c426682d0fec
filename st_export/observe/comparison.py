"""A run held against those before it: entities whose rows are far from what they usually bring. Pure arithmetic.

The usual is the median over earlier runs of the same command in which the entity was ok: a first run, which brings everything, is one
value among many and does not move it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEAST_RUNS = 3
"""Earlier runs that an entity needs before its median says anything."""

FACTOR = 3.0
"""Rows are far from the usual at a third or three times of it: below that, weekends and busy days would cry wolf."""

LEAST_DIFFERENCE = 50
"""Differences of fewer rows are not worth a look, whatever the ratio."""

MAX_RUNS = 30
"""Earlier runs that are compared: the newest."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """An entity whose rows are far from the median of earlier runs."""

    tenant: int
    name: str
    rows: int
    usual: float
    runs: int


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """One line of the comparison."""

    run_id: str
    started_at: str | None
    outcome: str
    rows: int
    requests: int
    retries: int
    seconds: float
    is_this: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runs side by side, newest first, and what is unusual in this one."""

    runs: tuple[EarlierRun, ...]
    unusual: tuple[Unusual, ...]


def compared(summary: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Comparison:
    """Return this run beside the newest earlier ones of the same command.

    Args:
        summary: the run's summary.
        history: summaries of the lake's runs, in any order; later ones, other commands and the run itself are left out.

    """
    started = summary.get("started_at") or ""
    earlier = [
        run
        for run in history
        if run.get("command") == summary.get("command")
        and run.get("run_id") != summary.get("run_id")
        and (run.get("started_at") or "") <= started
    ]
    newest = sorted(earlier, key=lambda run: run.get("started_at") or "", reverse=True)[:MAX_RUNS]
    lines = [_line(summary, is_this=True), *(_line(run, is_this=False) for run in newest)]
    return Comparison(runs=tuple(lines), unusual=tuple(_unusual(summary, newest)))


def _unusual(summary: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> Iterable[Unusual]:
    before: dict[tuple[int, str], list[int]] = {}
    for run in earlier:
        for place, entity in _entities(run):
            if entity["status"] == "ok":
                before.setdefault(place, []).append(entity["rows"])
    for place, entity in _entities(summary):
        rows = before.get(place, [])
        if entity["status"] != "ok" or len(rows) < LEAST_RUNS:
            continue
        usual = median(rows)
        far = entity["rows"] > usual * FACTOR or entity["rows"] < usual / FACTOR
        if far and abs(entity["rows"] - usual) >= LEAST_DIFFERENCE:
            yield Unusual(tenant=place[0], name=place[1], rows=entity["rows"], usual=usual, runs=len(rows))


def _entities(run: Mapping[str, Any]) -> Iterable[tuple[tuple[int, str], Mapping[str, Any]]]:
    for tenant in run.get("tenants", ()):
        for entity in tenant.get("entities", ()):
            yield (tenant["id"], entity["name"]), entity


def _line(run: Mapping[str, Any], *, is_this: bool) -> EarlierRun:
    totals = run.get("totals", {})
    return EarlierRun(
        run_id=str(run.get("run_id")),
        started_at=run.get("started_at"),
        outcome=str(run.get("outcome")),
        rows=totals.get("rows", 0),
        requests=totals.get("requests", 0),
        retries=totals.get("retries", 0),
        seconds=totals.get("seconds", 0.0),
        is_this=is_this,
    )

"""A run as one self-contained HTML page: no network, no script, legible on a phone and in the dark.

`render` turns the run file (summary and series, see `observe.record`) and the run files before it into text; the template lays it
out. Charts are SVG whose colours are the page's, so that both schemes fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from st_export.observe.comparison import compared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHART_WIDTH = 720
CHART_HEIGHT = 160
MAX_CHART_STEPS = 360
"""Steps drawn of requests a second: two units of the chart each, what a screen can show."""

MAX_BARS = 60
"""Entities drawn over time, the longest; the table below lists all."""

NOTHING = "\u2013"

OUTCOME_WORDS = {
    "complete": "Everything selected is in the lake.",
    "partial": "Something failed; what succeeded is committed. The same command goes on from there.",
    "failed": "Nothing could be read.",
    "stopped": "Stopped before the end; everything committed before is resumable.",
}


@dataclass(frozen=True, slots=True)
class RateChart:
    """Requests a second as an SVG path, and where the limit's line lies; `top` is the greatest value of the axis."""

    path: str
    limit_y: float | None
    limit: float | None
    top: float
    peak: float
    mean: float
    minutes: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """An entity over time: left and width in percent of the run."""

    name: str
    left: float
    width: float
    status: str
    seconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed or was skipped, why, and what may be done."""

    tenant: int
    name: str
    status: str
    error: str
    remedy: str | None


def render(
    summary: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]] = (),
    series: Mapping[str, Any] | None = None,
    *,
    empty_columns: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the page of a run.

    Args:
        summary: the run summary (the contract's document).
        history: the summaries of earlier runs of this lake, in any order; those of the same command are compared.
        series: what happened when (`observe.record`), default the summary's own `series`; without it the charts are left out.
        empty_columns: `{entity, column, rows}` of columns that had values before and have none in this run (`lake.nulls`).

    """
    series = series if series is not None else summary.get("series") or {}
    tenants = summary.get("tenants", ())
    entities = [{**entity, "tenant": tenant["id"]} for tenant in tenants for entity in tenant.get("entities", ())]
    run_seconds = float(summary.get("totals", {}).get("seconds") or 0.0)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=summary,
            totals=summary.get("totals", {}),
            meaning=OUTCOME_WORDS.get(str(summary.get("outcome")), ""),
            entities=sorted(entities, key=lambda entity: (-entity["rows"], entity["name"])),
            several_tenants=len(tenants) > 1,
            failures=failures_of(entities),
            chart=rate_chart(series),
            bars=bars_of(series, entities, run_seconds),
            latency=_known(series.get("latency_ms")),
            statuses=series.get("statuses") or {},
            held_back=series.get("held_back_seconds") or {},
            comparison=compared(summary, history),
            empty_columns=empty_columns,
            manifests=[path for entity in entities for path in entity.get("manifests", ())],
            chart_width=CHART_WIDTH,
            chart_height=CHART_HEIGHT,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("st_export.observe"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(count=count_text, size=size_text, span=span_text, moment=moment_text)
    return environment


def _known(latency: Mapping[str, float | None] | None) -> dict[str, float]:
    return {name: value for name, value in (latency or {}).items() if value is not None}


def failures_of(entities: Sequence[Mapping[str, Any]]) -> list[Failure]:
    """Return what failed, then what was skipped, with reasons and remedies."""
    found = [
        Failure(entity["tenant"], entity["name"], entity["status"], entity.get("error") or "no reason was given", entity.get("hint"))
        for entity in entities
        if entity["status"] != "ok" or entity.get("error")
    ]
    return sorted(found, key=lambda failure: (failure.status == "skipped", failure.tenant, failure.name))


def rate_chart(series: Mapping[str, Any]) -> RateChart | None:
    """Return the chart of requests a second against the limit, None without a request."""
    steps = [float(value) for value in series.get("per_second") or ()]
    if not any(steps):
        return None
    width_seconds = float(series.get("step_seconds") or 1)
    mean, peak = sum(steps) / len(steps), max(steps)
    total_seconds = len(steps) * width_seconds
    drawn = _thinned(steps)
    limit = series.get("limit")
    top = max(peak, float(limit or 0)) * 1.1
    step_width = CHART_WIDTH / len(drawn)
    points = [f"M0,{CHART_HEIGHT}"]
    for index, value in enumerate(drawn):
        y = _y(value, top)
        points.append(f"L{index * step_width:.1f},{y:.1f}H{(index + 1) * step_width:.1f}")
    points.append(f"V{CHART_HEIGHT}Z")
    ticks = tuple((CHART_WIDTH * part / 4, span_text(total_seconds * part / 4)) for part in range(5))
    limit_y = round(_y(float(limit), top), 1) if limit else None
    return RateChart("".join(points), limit_y, limit, top, peak, mean, ticks)


def _y(value: float, top: float) -> float:
    return CHART_HEIGHT * (1 - value / top)


def _thinned(steps: Sequence[float]) -> list[float]:
    """Return at most MAX_CHART_STEPS values: the greatest of each group, so that no excess over the limit is smoothed away."""
    group = -(-len(steps) // MAX_CHART_STEPS)
    return [max(steps[start : start + group]) for start in range(0, len(steps), group)]


def bars_of(series: Mapping[str, Any], entities: Sequence[Mapping[str, Any]], run_seconds: float) -> list[Bar]:
    """Return the entities over time, in the order they started: of many, those that took longest."""
    spans = series.get("entities") or {}
    by_name = {f"{entity['name']}@{entity['tenant']}": entity for entity in entities}
    last = max([run_seconds, *(end for _, end in spans.values() if end is not None), 0.001])
    bars = []
    for name, (start, end) in spans.items():
        seconds = max((last if end is None else end) - start, 0.0)
        entity = by_name.get(name, {})
        width = max(100 * seconds / last, 0.3)
        bars.append((start, Bar(name, 100 * start / last, width, entity.get("status", "ok"), seconds, entity.get("rows", 0))))
    longest = sorted(bars, key=lambda pair: -pair[1].seconds)[:MAX_BARS]
    return [bar for _, bar in sorted(longest, key=lambda pair: (pair[0], pair[1].name))]


def count_text(value: float | None) -> str:
    """Return a count with separators: `1,234,567`; a dash for none."""
    return NOTHING if value is None else f"{value:,.0f}"


def size_text(value: float | None) -> str:
    """Return bytes in MB: `12.3 MB`; a dash for none."""
    return NOTHING if value is None else f"{value / 1e6:,.1f} MB"


def span_text(seconds: float | None) -> str:
    """Return seconds as `0.4s`, `12s`, `1m 04s` or `2h 05m`; a dash for none."""
    if seconds is None:
        return NOTHING
    if 0 < seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m {whole % 60:02d}s" if whole < 3600 else f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def moment_text(text: str | None) -> str:
    """Return an RFC 3339 moment to the second, as a person reads it; a dash for none."""
    return NOTHING if not text else datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S UTC")

"""Progress on a terminal: one calm view that redraws itself, with warnings and long waits as lines above it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from st_export import events as happened
from st_export.config.redaction import redact
from st_export.observe.lines import entity_line, rest_text
from st_export.observe.quantities import count_text, plural, seconds_text
from st_export.observe.wording import event_level, event_message, event_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from rich.console import Console, RenderableType

    from st_export.observe.progress import EntityProgress, Progress, Wait

MOST_LINES = 12
"""Entities shown at once; the rest is counted."""

MOST_WAITS = 3
"""Waits shown at once."""

REDRAWS_PER_SECOND = 4
_STYLES = {"warning": "yellow", "error": "bold red"}


class LiveView:
    """A listener that shows the run; a context, because it owns the terminal's last lines. Register it after its `Progress`."""

    def __init__(
        self,
        progress: Progress,
        console: Console,
        *,
        secrets: Sequence[str] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._progress = progress
        self._console = console
        self._secrets = tuple(secrets)
        self._now = now
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=REDRAWS_PER_SECOND, transient=True, redirect_stdout=False
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the view away; the final table comes in its place."""
        self._live.stop()

    def __call__(self, event: happened.Event) -> None:
        """Write warnings, errors and long waits above the view; all else shows in it."""
        level = event_level(event)
        is_wait = isinstance(event, (happened.Waiting, happened.TenantHeldBack)) and level == "info"
        if level in _STYLES or is_wait:
            place = event_place(event)
            text = redact(f"{place + ': ' if place else ''}{event_message(event)}", self._secrets)
            self._console.print(Text(text, style=_STYLES.get(level, "dim")), soft_wrap=True)

    def render(self) -> RenderableType:
        """Return the view of this moment."""
        now = self._now()
        active = self._progress.active_entities()
        several_tenants = len(self._progress.tenants) > 1
        parts: list[RenderableType] = [_entity_table(active[:MOST_LINES], several_tenants=several_tenants)] if active else []
        parts += [Text(self._entities_line(len(active))), Text(self._requests_line(now))]
        parts += [Text(_wait_line(wait, left), style="yellow") for wait, left in self._progress.waits(now)[:MOST_WAITS]]
        return Group(*parts)

    def _entities_line(self, active: int) -> str:
        finished = [entity for entity in self._progress.finished_entities() if entity.status is not None]
        failed = sum(entity.status == "failed" for entity in finished)
        selected = max(self._progress.entities_selected, len(finished) + active)
        more = f"{count_text(active - MOST_LINES)} more under way, " if active > MOST_LINES else ""
        failures = f", {failed} failed" if failed else ""
        return f"{more}{count_text(len(finished))} of {plural(selected, 'entity', 'entities')} done{failures}"

    def _requests_line(self, now: datetime) -> str:
        progress = self._progress
        parts = [
            f"{progress.requests_per_second(now):.1f} requests/s of {progress.limit_per_second:g}",
            f"{count_text(progress.requests)} sent",
            plural(progress.retries, "retry", "retries") if progress.retries else "",
            f"{count_text(progress.rate_limited)} rate-limited" if progress.rate_limited else "",
            f"{plural(progress.rows_written, 'new row')}{rest_text(progress)}",
        ]
        return ", ".join(part for part in parts if part)


def _wait_line(wait: Wait, seconds_left: float) -> str:
    place = f"tenant {wait.tenant}{f', {wait.entity}' if wait.entity else ''}"
    return f"waiting: {place}: {wait.reason} ({seconds_text(seconds_left)})"


def _entity_table(entities: Sequence[EntityProgress], *, several_tenants: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    for entity in entities:
        name = f"{entity.tenant} {entity.name}" if several_tenants else entity.name
        table.add_row(Text(name, style="cyan"), Text(entity_line(entity)))
    return table

"""End-to-end runs against the look-alike, in this process: a configuration for it, an export, and what the run told."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp

from st_export.config.model import Config
from st_export.events import Events, Noted
from st_export.exporter import ExportRequest, export
from st_export.simulate.options import SimulateOptions
from st_export.simulate.server import LookAlike, serve
from tests.truth import Lake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from st_export.clock import Clock
    from st_export.simulate.churn import Changes
    from st_export.simulate.stats import Seen

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""When the look-alike's clock begins."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended: its summary, its notes, and the requests that the look-alike saw during it."""

    summary: dict[str, Any]
    notes: list[Noted]
    log: list[Seen]

    @property
    def exit_code(self) -> int:
        return int(self.summary["exit_code"])

    @property
    def rows(self) -> int:
        return int(self.summary["totals"]["rows"])

    @property
    def files(self) -> int:
        return int(self.summary["totals"]["files"])

    def entities(self, tenant: int | None = None) -> dict[str, dict[str, Any]]:
        """Return the summary's entities by name, of one tenant or of the only one."""
        found = [each for each in self.summary["tenants"] if tenant in (None, each["id"])]
        assert len(found) == 1
        return {each["name"]: each for each in found[0]["entities"]}

    def statuses(self, tenant: int | None = None) -> dict[str, str]:
        return {name: each["status"] for name, each in self.entities(tenant).items()}

    def bad(self) -> dict[str, str]:
        """Return what went wrong, by entity."""
        return {
            each["name"]: f"{each['status']}: {each['error']}"
            for one in self.summary["tenants"]
            for each in one["entities"]
            if each["status"] != "ok"
        }

    def asked(self, part: str) -> list[Seen]:
        """Return the requests whose path ends so, in order."""
        return [seen for seen in self.log if seen.path.endswith(part)]


@dataclass
class Service:
    """A look-alike and a lake to export it into."""

    look_alike: LookAlike
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    bodies: list[tuple[str, Any]] = field(default_factory=list)
    """Path and JSON body of each POST to the API that the look-alike answered."""

    @property
    def changes(self) -> Changes:
        return self.look_alike.simulation.changes

    @property
    def lake(self) -> Lake:
        return Lake(self.folder)

    def config(self, **more: Any) -> Config:
        """Return a configuration for all of the look-alike's tenants (`timezone` is theirs); mappings are laid over the defaults."""
        more = {**self.settings, **more}
        zone = {"timezone": more.pop("timezone")} if "timezone" in more else {}
        tenants = [
            {"id": each.id, "client_id": each.client_id, "client_secret": each.client_secret, "app_key": each.app_key, **zone}
            for each in self.look_alike.tenants
        ]
        plain: dict[str, Any] = {
            "api_url": self.look_alike.api_url,
            "auth_url": self.look_alike.auth_url,
            "tenants": tenants,
            "limits": {"requests_per_second": 100_000, "report_interval": 0.001},
            "output": {"url": str(self.folder)},
        }
        return Config.model_validate(_laid_over(plain, more))

    async def ask(self, path: str, **query: str) -> Any:
        """Ask the look-alike as a stranger does; return the JSON of its answer."""
        access = self.look_alike.tenants[0]
        form = {"grant_type": "client_credentials", "client_id": access.client_id, "client_secret": access.client_secret}
        async with aiohttp.ClientSession() as session:
            async with session.post(self.look_alike.auth_url, data=form) as answer:
                token = (await answer.json())["access_token"]
            headers = {"Authorization": f"Bearer {token}", "ST-App-Key": access.app_key}
            url = self.look_alike.api_url + path.replace("{tenant}", str(access.id))
            async with session.get(url, params=query, headers=headers) as answer:
                return json.loads(await answer.text(), parse_float=lambda text: Decimal(repr(float(text))))

    async def run(self, *select: str, clock: Clock | None = None, request: Mapping[str, Any] | None = None, **settings: Any) -> Ended:
        """Run the nightly job (or what `request` says) and return how it ended."""
        notes: list[Noted] = []
        before = len(self.look_alike.stats.log)
        events = Events(lambda event: notes.append(event) if isinstance(event, Noted) else None)
        asked = ExportRequest(select=select, **(request or {}))
        summary = await export(self.config(**settings), asked, events, clock=clock)
        return Ended(summary, notes, list(self.look_alike.stats.log)[before:])

    async def backfill(self, start: datetime, end: datetime | None, *select: str, **settings: Any) -> Ended:
        """Run a backfill of `[start, end)`."""
        request = {"command": "backfill", "backfill_from": start, "backfill_to": end}
        return await self.run(*select, request=request, **settings)


@asynccontextmanager
async def service(folder: Path, options: Mapping[str, Any] | None = None, **settings: Any) -> AsyncIterator[Service]:
    """Run a look-alike with these options (small, no limit, no lag), and hand out what exports it into `folder`."""
    defaults: dict[str, Any] = {
        "rows": 120, "years": 0.03, "requests_per_second": 0, "feed_lag_seconds": 0, "feed_page_rows": 50, "now": NOW,
        "report_interval_seconds": 0,
    }  # fmt: skip
    async with serve(SimulateOptions(**{**defaults, **(options or {})})) as look_alike:
        running = Service(look_alike, folder, settings)
        _keep_bodies(running)
        yield running


def _keep_bodies(running: Service) -> None:
    simulation = running.look_alike.simulation
    inner = simulation.answer

    async def answer(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, struck: Any) -> Any:
        if body:
            running.bodies.append((path, json.loads(body)))
        return await inner(method, path, query, headers, body, struck)

    simulation.answer = answer  # type: ignore[method-assign]


def _laid_over(plain: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    laid = dict(plain)
    for name, value in more.items():
        laid[name] = _laid_over(laid[name], value) if isinstance(value, dict) and isinstance(laid.get(name), dict) else value
    return laid

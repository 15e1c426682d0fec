"""A randomized campaign: rounds of changes, faults, kills, resumed runs and backfills, with the truth compared at the end of each.

One seed decides all but the timing of the machine. A world is a look-alike and a lake; after some rounds a new one begins, so that
rounds stay short however long the campaign is.
"""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, get_args

from st_export.events import CommitStepped
from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import start_in_process
from tests.crash.runs import KILLED, Runs
from tests.soak.compare import compare
from tests.truth import Lake

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.simulate.process import RemoteLookAlike

ENTITIES = (
    "jpm.jobs", "jpm.appointments", "crm.customers", "crm.locations", "crm.leads", "accounting.invoices", "accounting.payments",
    "telecom.calls", "crm.contacts", "crm.contacts.contact-methods", "taskmanagement.tasks", "accounting.journal-entries",
    "inventory.vendors", "accounting.ap-bills", "jpm.job-types", "forms.submissions", "settings.user-roles", "marketing.costs",
    "payroll.locations.rates", "marketingreputation.reviews",
)  # fmt: skip
"""Feeds, lists sorted and not, lists that are read whole, and one without a key."""

FAULTS = (
    "error-json", "error-html", "rate-limited", "reset", "reset-in-body", "cut", "slow-body", "empty-page", "repeat-token",
    "mislabelled-gzip", "unlabelled-gzip", "gzip-members", "bom", "no-content-type", "wrong-content-type", "wrong-charset",
)  # fmt: skip
STEPS: tuple[str, ...] = get_args(CommitStepped.__annotations__["step"]) or ("intent", "file", "files", "manifest", "checkpoint", "cleared")
ROUNDS_A_WORLD = 6
MOST_FAULT_RATE = 0.08
USUAL_LIFE_SECONDS = 0.8
PATIENCE_SECONDS = 120.0
DAYS = 30


@dataclass
class Figures:
    """What a campaign has done and found."""

    rounds: int = 0
    runs: int = 0
    kills: int = 0
    incomplete: int = 0
    faults: int = 0
    changes: int = 0
    requests: int = 0
    rows: int = 0
    records: int = 0
    differences: list[str] = field(default_factory=list)

    def line(self) -> str:
        counts = {each.name: getattr(self, each.name) for each in fields(self)}
        counts["differences"] = len(self.differences)
        return ", ".join(f"{name} {count:,}" for name, count in counts.items())


class Campaign:
    """Rounds until the time is over; `tell` is called with a line after each."""

    def __init__(self, seed: int, minutes: float, tell: Callable[[str], None]) -> None:
        self._dice = random.Random(seed)
        self._until = time.monotonic() + 60 * minutes
        self._tell = tell
        self.figures = Figures()

    def run(self) -> Figures:
        """Run worlds, and rounds in them, until the time is over or something differs."""
        while time.monotonic() < self._until and not self.figures.differences:
            folder = Path(mkdtemp(prefix="st-export-soak-"))
            options = SimulateOptions(
                seed=self._dice.randrange(1 << 30), rows=200, years=DAYS / 365, requests_per_second=0, feed_lag_seconds=0,
                feed_page_rows=self._dice.choice((7, 20, 60)), feed_disorder=self._dice.choice((0.0, 0.1)),
            )  # fmt: skip
            with start_in_process(options) as look_alike:
                self._world(look_alike, folder)
            if not self.figures.differences:
                shutil.rmtree(folder)
            else:
                self._tell(f"the lake is kept in {folder}")
        return self.figures

    def _world(self, look_alike: RemoteLookAlike, folder: Path) -> None:
        more = {"entities": {"*": {"page_size": self._dice.choice((3, 10, 40))}}}
        runs = Runs(look_alike, folder, ENTITIES, more, partition=self._dice.choice(("day", "month")))
        for _ in range(ROUNDS_A_WORLD):
            if time.monotonic() >= self._until or self.figures.differences:
                return
            self._round(runs)
            self._tell(self.figures.line())

    def _round(self, runs: Runs) -> None:
        self._trouble(runs.look_alike)
        for _ in range(self._dice.randint(3, 10)):
            self._incident(runs)
        self._peace(runs.look_alike)
        self._hold_against_truth(runs)
        self.figures.rounds += 1

    def _trouble(self, look_alike: RemoteLookAlike) -> None:
        dice = self._dice
        kinds = dice.sample(FAULTS, dice.randint(0, 5))
        faults = [{"kind": kind, "rate": dice.uniform(0.01, MOST_FAULT_RATE), "seconds": dice.uniform(0.05, 0.4)} for kind in kinds]
        look_alike.control("faults", faults=faults)
        latency = dice.choice((0.0, 0.01, 0.05))
        look_alike.control(
            "options", latency_seconds=[0.0, latency], churn_every=dice.choice((0, 5, 20)), churn_records=dice.randint(1, 6),
            token_life_seconds=dice.choice((2.0, 900.0)), clock_skew_seconds=dice.choice((0.0, 0.0, 600.0, -600.0)),
        )  # fmt: skip

    def _peace(self, look_alike: RemoteLookAlike) -> None:
        stats = look_alike.stats()
        self.figures.faults += sum(stats["faults"].values())
        self.figures.requests += stats["requests"]
        look_alike.control("reset_stats")
        look_alike.control("faults", faults=[])
        look_alike.control("options", latency_seconds=[0.0, 0.0], churn_every=0, token_life_seconds=900.0, clock_skew_seconds=0.0)

    def _incident(self, runs: Runs) -> None:
        """Change something, start a command, and kill it or let it end."""
        dice, look_alike = self._dice, runs.look_alike
        self.figures.changes += look_alike.control("churn", records=dice.randint(0, 80)) or 0
        if dice.random() < 0.1:
            look_alike.control("refuse_feed_tokens")
        if dice.random() < 0.1:
            look_alike.control("expire_tokens")
        if dice.random() < 0.05:
            runs.checkpoint.unlink(missing_ok=True)
        how = dice.random()
        kill = (dice.choice(ENTITIES), dice.choice(STEPS), dice.choice((1, 1, 1, 2, 3))) if how < 0.45 else None
        run = runs.start(kill=kill, **self._request())
        if how >= 0.45:
            run.wait(0.05 + dice.expovariate(1 / USUAL_LIFE_SECONDS) if how < 0.9 else PATIENCE_SECONDS)
            run.kill()
        ended = run.ended()
        self.figures.runs += 1
        self.figures.kills += ended.code == KILLED
        self.figures.incomplete += ended.code not in (0, KILLED)
        if ended.code not in (0, 4, KILLED):
            self.figures.differences.append(f"exit {ended.code}: {ended.stderr[-2000:]}")
        runs.check_readable()

    def _request(self) -> dict[str, Any]:
        dice = self._dice
        if dice.random() < 0.7:
            return {}
        now = datetime.now(UTC)
        start = now - timedelta(days=dice.uniform(1, DAYS))
        end = start + timedelta(days=dice.uniform(1, DAYS)) if dice.random() < 0.5 else None
        return {"command": "backfill", "backfill_from": start.isoformat(), "backfill_to": end.isoformat() if end else None}

    def _hold_against_truth(self, runs: Runs) -> None:
        """Let a run come to its end in peace, and compare; what follows it adds nothing."""
        found = self.figures.differences
        for expected in ("anything", "nothing"):
            ended = runs.run()
            self.figures.runs += 1
            if ended.code != 0:
                found.append(f"a run in peace ended with {ended.code}: {(ended.stderr or str(ended.summary))[-3000:]}")
            elif expected == "nothing" and ended.rows:
                found.append(f"{ended.rows} rows were added although nothing had changed")
        compared = compare(runs.lake, runs.look_alike, runs.access.id, ENTITIES)
        self.figures.rows += compared.rows
        self.figures.records += compared.records
        found += compared.differences + Lake(runs.lake).problems() + [f"left over: {path}" for path in runs.left_over()]

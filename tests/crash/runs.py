"""Runs of the exporter in processes of their own against one look-alike, and what must hold of a lake whenever one has died."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tests.crash.child import work
from tests.soak.compare import compare
from tests.truth import Lake

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from st_export.simulate.auth import TenantAccess
    from st_export.simulate.process import RemoteLookAlike

_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(["tests.crash.child"])
KILLED = -9
KINDS = {
    "feed": "jpm.jobs",
    "list": "taskmanagement.tasks",
    "whole": "settings.user-roles",
    "snapshot": "marketingreputation.reviews",
}
ENTITIES = tuple(KINDS.values())
SECONDS = 120


def data_files(lake: Path) -> list[Path]:
    """Return every Parquet file that a reader of the lake sees."""
    return sorted(path for path in lake.rglob("*.parquet") if "_st_export" not in path.relative_to(lake).parts)


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, the run summary it printed (None where it was killed), its stderr."""

    code: int
    summary: dict[str, Any] | None
    stderr: str

    @property
    def rows(self) -> int:
        assert self.summary is not None, self.stderr
        return int(self.summary["totals"]["rows"])


@dataclass(frozen=True)
class Run:
    """A run under way, in a process of its own."""

    process: ForkServerProcess
    folder: Path

    def kill(self) -> None:
        """End it by SIGKILL, if it has not ended."""
        self.process.kill()

    def wait(self, seconds: float) -> bool:
        """Wait so long for its end; return whether it has ended."""
        self.process.join(seconds)
        return self.process.exitcode is not None

    def ended(self) -> Ended:
        """Wait for its end."""
        if not self.wait(SECONDS):
            self.kill()
            self.process.join()
        summary = self.folder / "summary.json"
        code = self.process.exitcode
        assert code is not None
        self.process.close()
        told = self.folder / "stderr.txt"  # not there if it was killed before its first line
        return Ended(code, json.loads(summary.read_text()) if summary.exists() else None, told.read_text() if told.exists() else "")


@dataclass
class Runs:
    """A tenant of a look-alike and the lake it is exported to."""

    look_alike: RemoteLookAlike
    folder: Path
    entities: tuple[str, ...] = ENTITIES
    more: dict[str, Any] = field(default_factory=dict)
    partition: str = "month"
    started: int = 0

    @property
    def access(self) -> TenantAccess:
        return self.look_alike.tenants[0]

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def checkpoint(self) -> Path:
        return self.lake / "_st_export" / "checkpoint" / f"{self.access.id}.json"

    def config(self) -> dict[str, Any]:
        """Return the configuration: small pages, so that a small tenant has many."""
        access = self.access
        base = {
            "api_url": self.look_alike.api_url,
            "auth_url": self.look_alike.auth_url,
            "app_key": access.app_key,
            "tenants": [{"id": access.id, "client_id": access.client_id, "client_secret": access.client_secret}],
            "select": list(self.entities),
            "entities": {"*": {"page_size": 10}},
            "limits": {"requests_per_second": 1000},
            "output": {"url": str(self.lake), "partition": self.partition},
        }
        return {**base, **self.more}

    def start(self, *, kill: tuple[str, str, int] | None = None, **request: Any) -> Run:
        """Start a run; `kill` is the entity, the step and how many times it must be reached."""
        self.started += 1
        folder = self.folder / f"run-{self.started}"
        folder.mkdir(parents=True)
        process = _FORK_SERVER.Process(target=work, args=(str(folder), self.config(), request, kill))
        process.start()
        return Run(process, folder)

    def run(self, *, kill: tuple[str, str, int] | None = None, **request: Any) -> Ended:
        """Run to the end, or to the death."""
        return self.start(kill=kill, **request).ended()

    def compare(self) -> list[str]:
        """Return how the lake differs from the truth, and where files and manifests do not agree."""
        self.check_readable()
        return compare(self.lake, self.look_alike, self.access.id, self.entities).differences[:5] + Lake(self.lake).problems()

    def check_readable(self) -> None:
        """Read every file that a reader sees, whole: one that cannot be read raises."""
        for path in data_files(self.lake):
            pq.read_table(path, partitioning=None)

    def committed(self) -> int:
        """Return how many commits with files are in the lake."""
        return len(list((self.lake / "_st_export" / "manifests").rglob("*.json")))

    def left_over(self) -> list[str]:
        """Return intents and temporary files that nobody has taken away (marks that bear no data aside)."""
        state = self.lake / "_st_export"
        return [str(path) for name in ("intents", "tmp") for path in (state / name).rglob("*") if path.is_file() and path.name[0] != "."]

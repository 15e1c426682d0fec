"""Runs of the exporter in processes of their own against one look-alike, and what must hold of a lake whenever one has died."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tests.soak.compare import compare_entities, data_files

if TYPE_CHECKING:
    from st_export.simulate.auth import TenantAccess
    from st_export.simulate.process import RemoteLookAlike

ROOT = Path(__file__).parents[2]
KILLED = -9
KINDS = {
    "feed": "jpm.jobs",
    "list": "taskmanagement.tasks",
    "whole": "settings.user-roles",
    "snapshot": "marketingreputation.reviews",
}
ENTITIES = tuple(KINDS.values())
SECONDS = 120


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


@dataclass
class Runs:
    """A tenant of a look-alike and the lake it is exported to."""

    look_alike: RemoteLookAlike
    folder: Path
    entities: tuple[str, ...] = ENTITIES
    more: dict[str, Any] = field(default_factory=dict)

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
            "output": {"url": str(self.lake), "partition": "month"},
        }
        return {**base, **self.more}

    def start(self, *, kill: tuple[str, str, int] | None = None, **request: Any) -> subprocess.Popen[str]:
        """Start a run; `kill` is the entity, the step and how many times it must be reached."""
        document: dict[str, Any] = {"config": self.config(), "request": request}
        if kill is not None:
            document["kill"] = dict(zip(("entity", "step", "number"), kill, strict=True))
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "run.json"
        file.write_text(json.dumps(document))
        command = [sys.executable, "-m", "tests.crash.child", str(file)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *, kill: tuple[str, str, int] | None = None, **request: Any) -> Ended:
        """Run to the end, or to the death."""
        return ended(self.start(kill=kill, **request))

    def compare(self) -> list[str]:
        """Return how the lake differs from the truth, and what it holds that no manifest names."""
        self.check_readable()
        manifests = (self.lake / "_st_export" / "manifests").rglob("*.json")
        named = [one["path"] for manifest in manifests for one in json.loads(manifest.read_text())["files"]]
        there = [str(path.relative_to(self.lake)) for path in data_files(self.lake)]
        differences = compare_entities(self.lake, self.look_alike, self.access.id, self.entities).differences
        if sorted(named) != sorted(there):
            differences.append(f"files without a manifest or the reverse: {sorted(set(named) ^ set(there))}")
        return differences

    def check_readable(self) -> None:
        """Read every file that a reader sees, whole: one that cannot be read raises."""
        for path in data_files(self.lake):
            pq.read_table(path, partitioning=None)

    def committed(self) -> int:
        """Return how many commits with files are in the lake."""
        return len(list((self.lake / "_st_export" / "manifests").rglob("*.json")))

    def left_over(self) -> list[str]:
        """Return intents and temporary files that nobody has taken away."""
        state = self.lake / "_st_export"
        return [str(path) for name in ("intents", "tmp") for path in (state / name).rglob("*") if path.is_file() and path.name != ".guard"]


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a run."""
    stdout, stderr = process.communicate(timeout=SECONDS)
    return Ended(process.returncode, json.loads(stdout) if stdout.strip() else None, stderr)

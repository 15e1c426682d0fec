"""A look-alike in a process of its own for all tests here, and a fresh project folder with its configuration for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from st_export.commands.app import run
from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import RemoteLookAlike, start_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SELECT = ("jpm.jobs", "settings.user-roles", "dispatch.business-hours", "marketing.campaigns")
"""A feed, a whole list, a snapshot and a list by modification."""


class Told(NamedTuple):
    """What a call of the command line ended with and wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Project:
    """A folder with a configuration for the look-alike, in which commands are called."""

    def __init__(self, folder: Path, service: RemoteLookAlike, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.service, self._capsys = folder, service, capsys
        self.lake = folder / "lake"
        tenant = service.tenants[0]
        self.settings: dict[str, Any] = {
            "api_url": service.api_url,
            "auth_url": service.auth_url,
            "app_key": tenant.app_key,
            "tenants": [{"id": tenant.id, "client_id": tenant.client_id, "client_secret": tenant.client_secret}],
            "select": list(SELECT),
            "limits": {"requests_per_second": 1000},
            "output": {"url": "./lake"},
        }

    def call(self, *arguments: str) -> Told:
        """Call the command line in the project's folder."""
        (self.folder / "st-export.yaml").write_text(json.dumps(self.settings))
        self._capsys.readouterr()
        code = run(list(arguments))
        shown = self._capsys.readouterr()
        assert "Traceback" not in shown.err
        return Told(code, shown.out, shown.err)

    def rows(self, view: str) -> int:
        """Return how many rows a view has."""
        told = self.call("query", f"SELECT count(*) AS n FROM {view}", "--csv")
        return int(told.out.split()[-1])

    def files(self, entity: str) -> list[Path]:
        """Return the entity's data files."""
        return sorted(self.lake.glob(f"{entity}/**/*.parquet"))


@pytest.fixture(scope="session")
def look_alike() -> Iterator[RemoteLookAlike]:
    options = SimulateOptions(rows=120, years=0.02, requests_per_second=0, feed_lag_seconds=0)
    with start_in_process(options) as service:
        yield service


@pytest.fixture
def project(
    tmp_path: Path, look_alike: RemoteLookAlike, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    yield Project(tmp_path, look_alike, capsys)
    look_alike.control("faults", faults=[])
    look_alike.control("clear_answers")
    look_alike.control("reset_stats")


@pytest.fixture
def exported(project: Project) -> Project:
    assert project.call("run", "-q").code == 0
    return project

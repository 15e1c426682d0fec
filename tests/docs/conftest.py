"""A project folder as the README's reader has it: configuration, credentials, and a lake that a run has filled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import start_in_process
from tests.docs.documents import README, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOSE = 'limits: {requests_per_second: 100000}\nselect: ["jpm.*", "crm.*", "accounting.inv*", "settings.*"]\n'
"""What a test adds to the README's configuration, besides the look-alike's URLs: haste, and fewer entities."""


class Project:
    """The folder, and a shell in it that finds `st-export` and the credentials."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        programs = str(Path(sys.executable).parent)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ST_", "PYTEST"))}
        self.environment = {**kept, "PATH": f"{programs}:{os.environ['PATH']}", **environment}

    def shell(self, line: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a line of a page as a reader would."""
        return subprocess.run(
            ["sh", "-ec", line], cwd=folder or self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=100
        )


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    options = SimulateOptions(rows=8, years=0.01, requests_per_second=0, feed_lag_seconds=0)
    with start_in_process(options) as service:
        (tenant,) = service.tenants
        credentials = {"ST_TENANT_ID": str(tenant.id), "ST_CLIENT_ID": tenant.client_id, "ST_CLIENT_SECRET": tenant.client_secret}
        folder = tmp_path_factory.mktemp("project")
        found = Project(folder, {**credentials, "ST_APP_KEY": tenant.app_key, "ST_HASH_KEY": "a-key-of-this-test"})
        assert found.shell("st-export init").returncode == 0
        config = next(block.text for block in blocks(README, "yaml") if "tenants:" in block.text)
        (folder / "st-export.yaml").write_text(f"{config}api_url: {service.api_url}\nauth_url: {service.auth_url}\n{_LOOSE}")
        for line in ("st-export -q run", "st-export -q compact"):
            ended = found.shell(line)
            assert (ended.returncode, ended.stderr) == (0, ""), line
        yield found

"""Case 2: what one entity fails of does not throw away where the others stand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from st_export.simulate.options import Fault, SimulateOptions
from st_export.simulate.process import start_in_process
from tests.lookalike import service

NAMES = ("jpm.jobs", "crm.customers", "settings.technicians")
TECHNICIANS = "*/export/technicians"


@pytest.mark.anyio
async def test_the_others_go_on_from_their_tokens(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": dict.fromkeys(NAMES, 30)}) as running:
        running.look_alike.simulation.forbid(TECHNICIANS)
        first = await running.run(*NAMES)
        assert (first.exit_code, first.rows) == (4, 60)
        tokens = {name: scopes["run"]["token"] for name, scopes in running.lake.checkpoint()["entities"].items() if scopes}
        running.look_alike.simulation.faults.set(())
        second = await running.run(*NAMES)
        assert (second.exit_code, second.rows) == (0, 30)
        assert [seen.query.get("from") for seen in second.asked("/jobs")] == [tokens["jpm.jobs"]]
        assert [seen.query.get("from") for seen in second.asked("/customers")] == [tokens["crm.customers"]]
        assert "from" not in second.asked("/technicians")[0].query


def test_sigterm_while_one_is_retried_keeps_the_others(tmp_path: Path) -> None:
    options = SimulateOptions(row_counts=dict.fromkeys(NAMES, 30), requests_per_second=0, faults=(Fault("error-json", path=TECHNICIANS),))
    with start_in_process(options) as look_alike:
        access = look_alike.tenants[0]
        tenant = {"id": access.id, "client_id": access.client_id, "client_secret": access.client_secret, "app_key": access.app_key}
        urls = {"api_url": look_alike.api_url, "auth_url": look_alike.auth_url}
        config = {**urls, "tenants": [tenant], "select": NAMES, "output": {"url": "./lake"}}
        (tmp_path / "st-export.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "st_export.commands.app", "run", "--no-progress"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ST_EXPORT")}
        environment["PYTHONPATH"] = str(Path.cwd())
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
            while not _both_are_committed(tmp_path) or look_alike.stats()["by_status"].get("500", 0) < 2:
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=15)
        assert process.returncode == 143
        assert _both_are_committed(tmp_path)


def _both_are_committed(folder: Path) -> bool:
    path = folder / "lake/_st_export/checkpoint/1001.json"
    if not path.exists():
        return False
    entities: dict[str, Any] = json.loads(path.read_bytes())["entities"]
    return all(entities.get(name, {}).get("run", {}).get("watermark") for name in NAMES[:2])

"""An export in a process of its own, for the tests that kill.

The process is forked from a server that has imported everything already, so that a hundred kills take no hundred starts of an
interpreter; it shares nothing else with the test. What it prints and its run summary go to files.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio

import st_export.run.tenant  # so that the fork server has it
import st_export.storage.local  # noqa: F401 -- likewise: the store is chosen when it is opened
from st_export.config.model import Config
from st_export.events import CommitStepped, Event, Events
from st_export.exporter import ExportRequest, export


@dataclass
class KillAt:
    """A listener that kills its own process, the `number`th time that a commit of an entity reaches a step."""

    entity: str
    step: str
    number: int = 1

    def __call__(self, event: Event) -> None:
        if isinstance(event, CommitStepped) and event.entity == self.entity and event.step == self.step:
            self.number -= 1
            if self.number == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def work(folder: str, config: dict[str, Any], request: dict[str, Any], kill: tuple[str, str, int] | None) -> None:
    """Export; leave `summary.json` and `stderr.txt` in the folder, and end with the run's exit code."""
    with (Path(folder) / "stderr.txt").open("w") as stderr:
        os.dup2(stderr.fileno(), 2)
    events = Events(*([KillAt(*kill)] if kill is not None else []))
    for name in ("backfill_from", "backfill_to"):
        if request.get(name):
            request[name] = datetime.fromisoformat(request[name])
    try:
        summary = anyio.run(partial(export, Config.model_validate(config), ExportRequest(**request), events))
    except Exception:  # noqa: BLE001 -- the border of this process: what comes is told and ends it
        traceback.print_exc()
        sys.exit(1)
    (Path(folder) / "summary.json").write_text(json.dumps(summary))
    sys.exit(int(summary["exit_code"]))

"""An export in a process of its own, for the tests that kill: `child.py FILE`, a JSON file with the `config`, the `request` and,
where it is to die by SIGKILL, `kill`: the `number`th time that `step` of a commit of `entity` is reached.

The run summary goes to stdout; a child that was killed prints nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from st_export.config.model import Config
from st_export.events import CommitStepped, Event, Events
from st_export.exporter import ExportRequest, export


@dataclass
class KillAt:
    """A listener that kills its own process."""

    entity: str
    step: str
    number: int = 1

    def __call__(self, event: Event) -> None:
        if isinstance(event, CommitStepped) and event.entity == self.entity and event.step == self.step:
            self.number -= 1
            if self.number == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(document: dict[str, Any]) -> int:
    events = Events(*([KillAt(**document["kill"])] if document.get("kill") else []))
    request = document.get("request", {})
    for name in ("backfill_from", "backfill_to"):
        if request.get(name):
            request[name] = datetime.fromisoformat(request[name])
    summary = anyio.run(partial(export, Config.model_validate(document["config"]), ExportRequest(**request), events))
    print(json.dumps(summary), flush=True)
    return int(summary["exit_code"])


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))

"""`st-export` itself, as a scheduler starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.crash.runs import Runs

PROGRAM = (sys.executable, "-m", "st_export.commands.app")
SECONDS = 60


def start(runs: Runs, *arguments: str) -> subprocess.Popen[str]:
    """Start the program with the tenant's configuration."""
    config = runs.folder / "st-export.yaml"
    config.write_text(json.dumps(runs.config()))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ST_EXPORT")}
    command = [*PROGRAM, *arguments, "--config", str(config)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end; return exit code, stdout and stderr."""
    stdout, stderr = process.communicate(timeout=SECONDS)
    return process.returncode, stdout, stderr


def run(runs: Runs, *arguments: str) -> tuple[int, str, str]:
    """Run the program to its end."""
    return finish(start(runs, *arguments))

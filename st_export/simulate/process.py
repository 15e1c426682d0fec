"""A look-alike in a process of its own: for benchmarks, and for tests that kill what they test."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from st_export.simulate.auth import TenantAccess
from st_export.simulate.options import SimulateOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_CONTROL_SECONDS = 300.0


class RemoteLookAlike:
    """A look-alike in another process, spoken to over its control endpoints (blocking)."""

    def __init__(self, told: dict[str, Any], process: subprocess.Popen[bytes]) -> None:
        self.api_url: str = told["api_url"]
        self.auth_url: str = told["auth_url"]
        self.tenants = tuple(TenantAccess(**each) for each in told["tenants"])
        self.process = process
        # A proxy of the environment must never stand between a test and loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def control(self, do: str, **arguments: Any) -> Any:
        """Do one of the actions of `control` and return its result."""
        body = json.dumps({"do": do, **arguments}).encode()
        return json.loads(self._ask("control", body))["result"]

    def stats(self, *, log: bool = False) -> dict[str, Any]:
        """Return the counters."""
        answer: dict[str, Any] = json.loads(self._ask("stats" + ("?log=1" if log else "")))
        return answer

    def truth(self, path: str, *, tenant: int | None = None, current_only: bool = False) -> list[dict[str, Any]]:
        """Return every version of every record that a call shows (path with placeholders, or a collection's name)."""
        query = {"path": path, **({"tenant": tenant} if tenant is not None else {}), **({"current": 1} if current_only else {})}
        return [json.loads(line) for line in self._ask(f"truth?{urlencode(query)}").splitlines()]

    def _ask(self, what: str, body: bytes | None = None) -> bytes:
        with self._opener.open(f"{self.api_url}/_simulate/{what}", body, timeout=_CONTROL_SECONDS) as answer:
            content: bytes = answer.read()
            return content


@contextmanager
def start_in_process(options: SimulateOptions | None = None) -> Iterator[RemoteLookAlike]:
    """Run a look-alike as a child process and stop it at the end.

    Raises:
        RuntimeError: it did not start in a minute.

    """
    text = json.dumps((options or SimulateOptions()).to_json())
    command = [sys.executable, "-m", "st_export.simulate", "--options", "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the look-alike has no pipes")
        process.stdin.write(text.encode())
        process.stdin.close()
        yield RemoteLookAlike(json.loads(_first_line(process)), process)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    stdout = process.stdout
    if stdout is None:
        raise RuntimeError("the look-alike has no stdout")
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(_START_SECONDS):
                raise RuntimeError("the look-alike did not start in time")
            piece = os.read(stdout.fileno(), 65_536)
            if not piece:
                raise RuntimeError(f"the look-alike ended with {process.wait()} before it listened")
            line += piece
    return line

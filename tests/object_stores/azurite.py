"""Azure's Blob Storage as Microsoft's emulator has it: Azurite, from npm, installed once into the machine's temporary folder."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINER = "lake"
VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's account and key, which are public and the same everywhere."""

INSTALL_SECONDS = 240


def _program() -> Path:
    folder = Path(tempfile.gettempdir()) / f"st-export-azurite-{VERSION}-{os.getuid()}"
    program = folder / "node_modules/.bin/azurite-blob"
    if program.exists():
        return program
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Azurite needs npm, which is not installed")
    folder.mkdir(exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", f"azurite@{VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"Azurite could not be installed in {INSTALL_SECONDS} s")
    if done.returncode:
        pytest.skip(f"Azurite could not be installed: {done.stderr.strip()[-300:]}")
    return program


@contextmanager
def azurite() -> Iterator[str]:
    """Run the emulator with a container `lake`; yields the endpoint of its account."""
    command = [str(_program()), "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tempfile.gettempdir())
    try:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            listening = re.search(r"listens on (http://127\.0\.0\.1:\d+)", line)
            if listening:
                endpoint = f"{listening[1]}/{ACCOUNT}"
                _create_container(endpoint)
                yield endpoint
                return
        raise AssertionError(f"Azurite did not start: {said}")
    finally:
        process.kill()
        process.communicate()


def _create_container(endpoint: str) -> None:
    """Create the container, signed by hand: obstore has no call for it. Source: Microsoft, Authorize with Shared Key."""
    headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": "2023-11-03"}
    lines = [*(f"{name}:{value}" for name, value in headers.items()), f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}", "restype:container"]
    text = "\n".join(["PUT", *[""] * 11, *lines])
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
    request = urllib.request.Request(f"{endpoint}/{CONTAINER}?restype=container", method="PUT", headers=headers)
    with urllib.request.urlopen(request):
        return


def azure_options(endpoint: str) -> dict[str, object]:
    """Return `output.options` for it."""
    return {"account_name": ACCOUNT, "account_key": KEY, "endpoint": endpoint}

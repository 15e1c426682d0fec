"""No secret leaves the program but to the service: not in a log at the most talkative level, an error, a traceback, the summary, or
any file of the lake; and secrets with odd characters arrive byte for byte."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from st_export.fetch.refusal import scrubbed_bytes
from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import start_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.simulate.process import RemoteLookAlike

PROGRAM = (sys.executable, "-m", "st_export.commands.app")
TENANT = 1001
SECRET = 'a+b/c=d&e%20f#g$h${HOME}"i'
APP_KEY = 'k+/=%41&#$x${PATH}"made-up'
HASH_KEY = "hash+key/with=signs&%20${USER}"
TOKEN = "eyJhbGciOiJub25lIn0."
"""How each token of the look-alike begins."""

ENTITIES = ("crm.customers", "crm.contacts", "settings.user-roles")


@dataclass(frozen=True)
class Place:
    """A folder with a configuration whose secrets come from the environment or from a `.env` file beside it."""

    folder: Path
    look_alike: RemoteLookAlike

    def configure(self, **more: Any) -> None:
        config = {
            "api_url": self.look_alike.api_url,
            "auth_url": self.look_alike.auth_url,
            "app_key": "${ST_APP_KEY}",
            "tenants": [{"id": TENANT, "client_id": self.look_alike.tenants[0].client_id, "client_secret": "${ST_CLIENT_SECRET}"}],
            "hash_key": "${ST_HASH_KEY}",
            "select": list(ENTITIES),
            "entities": {"crm.customers": {"hash_columns": ["name"]}, "*": {"page_size": 10}},
            "output": {"url": "./lake", "partition": "month"},
            "limits": {"requests_per_second": 1000},
            **more,
        }
        (self.folder / "st-export.yaml").write_text(json.dumps(config))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        config = ("--config", str(self.folder / "st-export.yaml"))
        return subprocess.Popen(
            [*PROGRAM, *arguments, *config],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Return the exit code, and all that was printed."""
        process = self.start(*arguments, **environment)
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout + stderr

    def found(self, printed: str) -> list[str]:
        """Return where a secret stands: in what was printed, or in which file of the lake."""
        texts = {"printed": printed.encode()}
        texts |= {str(path): path.read_bytes() for path in (self.folder / "lake").rglob("*") if path.is_file()}
        return [f"{form!r} in {place}" for form in forms() for place, text in texts.items() if form in text]


def forms() -> set[bytes]:
    """Return all that a secret may look like: raw, escaped in JSON or Python, percent-encoded, in base64 after 0 to 2 other bytes."""
    found = {TOKEN}
    for secret in (SECRET, APP_KEY, HASH_KEY):
        found |= {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret), quote(secret, safe=""), quote_plus(secret)}
        for before in range(3):
            text = base64.b64encode(bytes(before) + secret.encode()).decode()
            inner = text[4 if before else 0 : (before + len(secret)) * 8 // 6 - 1]
            found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {text.encode() for text in found}


@pytest.fixture(scope="module")
def look_alike() -> Iterator[RemoteLookAlike]:
    with start_in_process(SimulateOptions(rows=60, years=0.1, requests_per_second=0, feed_lag_seconds=0)) as running:
        running.control("set_secret", tenant=TENANT, client_secret=SECRET, app_key=APP_KEY)
        yield running


ENVIRONMENT = {"ST_CLIENT_SECRET": SECRET, "ST_APP_KEY": APP_KEY, "ST_HASH_KEY": HASH_KEY}


@pytest.fixture
def place(tmp_path: Path, look_alike: RemoteLookAlike) -> Place:
    look_alike.control("clear_answers")
    look_alike.control("faults", faults=[])
    place = Place(tmp_path, look_alike)
    place.configure()
    return place


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_talkative_run_tells_no_secret(place: Place, log_format: str) -> None:
    code, printed = place.run("run", "-vv", "--log-format", log_format, "--json", **ENVIRONMENT)
    assert (code, "crm.customers" in printed, place.found(printed)) == (0, True, [])


def test_secrets_from_a_dotenv_file_arrive_as_they_are(place: Place) -> None:
    lines = [f"{name}='{value}'" for name, value in ENVIRONMENT.items()]
    (place.folder / ".env").write_text("\n".join(lines))
    code, printed = place.run("run", "-v")
    assert (code, place.found(printed)) == (0, [])


def test_blanks_pasted_with_a_secret_are_stripped(place: Place) -> None:
    code, printed = place.run("run", "-v", **{**ENVIRONMENT, "ST_CLIENT_SECRET": f" {SECRET}\r\n", "ST_APP_KEY": f"{APP_KEY}\n"})
    assert (code, place.found(printed)) == (0, [])


def test_a_service_that_echoes_secrets_does_not_spread_them(place: Place) -> None:
    echo = {"title": f"no: {SECRET} {quote(SECRET)}", "detail": APP_KEY, "errors": {SECRET: [base64.b64encode(SECRET.encode()).decode()]}}
    place.look_alike.control("answer_with", path="*/user-roles", status=403, body=echo)
    place.look_alike.control("answer_with", path="*/export/customers", status=400, body=echo)
    code, printed = place.run("run", "-vv", "--log-format", "json", "--json", **ENVIRONMENT)
    assert (code, "403" in printed, place.found(printed)) == (4, True, [])


def test_a_record_that_echoes_secrets_is_kept_without_them(place: Place) -> None:
    record = {"id": f"no id but {SECRET}", "name": [quote(APP_KEY), base64.b64encode(SECRET.encode()).decode()]}
    place.look_alike.control("answer_with", path="*/user-roles", body={"data": [record], "hasMore": False, "page": 1, "pageSize": 50})
    code, printed = place.run("run", "-vv", "--json", **ENVIRONMENT)
    rejects = list((place.folder / "lake/_st_export/rejects/settings.user-roles").rglob("*.json"))
    assert (code, len(rejects), "no id but ***" in rejects[0].read_text(), place.found(printed)) == (4, 1, True, [])


def test_a_page_that_is_kept_bears_no_secret_in_any_form() -> None:
    encoded = [base64.b64encode(bytes(before) + SECRET.encode()) for before in range(3)]
    page = b" ".join([b"<html>", SECRET.encode(), quote(SECRET).encode(), json.dumps(APP_KEY).encode(), *encoded])
    kept = scrubbed_bytes(page, (SECRET, APP_KEY, HASH_KEY))
    assert [form for form in forms() if form in kept] == []


def test_errors_and_tracebacks_tell_no_secret(place: Place) -> None:
    wrong = {**ENVIRONMENT, "ST_CLIENT_SECRET": "another" + SECRET}
    for arguments, environment, expected in (
        (("run", "-vv"), wrong, 3),
        (("run", "-vv"), {**ENVIRONMENT, "ST_APP_KEY": "x" + APP_KEY}, 3),
        (("check", "-vv"), wrong, 3),
        (("run", "-vv", "--select", "no.such-entity"), ENVIRONMENT, 2),
        (("run", "-vv", "--tenant", "9"), ENVIRONMENT, 2),
    ):
        code, printed = place.run(*arguments, **environment)
        assert (code, place.found(printed)) == (expected, []), arguments


def test_a_wrong_configuration_is_told_without_its_secrets(place: Place) -> None:
    for more in ({"hash_key": [HASH_KEY]}, {"client_secret": SECRET}, {"app_key": {"value": APP_KEY}}, {"start": SECRET}):
        place.configure(**more)
        code, printed = place.run("run", "-vv", **ENVIRONMENT)
        assert (code, place.found(printed)) == (2, []), more


def test_ps_shows_no_secret_and_a_kill_leaves_none(place: Place) -> None:
    place.look_alike.control("reset_stats")
    place.look_alike.control("faults", faults=[{"kind": "stall", "path": "*/export/*", "after": 1}])
    process = place.start("run", "-vv", **ENVIRONMENT)
    deadline = time.monotonic() + 30
    while place.look_alike.stats()["requests"] < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
    shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    process.kill()
    stdout, stderr = process.communicate(timeout=30)
    assert ([form for form in forms() if form in shown], place.found(stdout + stderr)) == ([], [])

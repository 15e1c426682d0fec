"""Case 11: secrets with every odd character arrive byte for byte, and stand in no log, file or error."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import anyio
import pytest

from st_export.config.load import load_config
from st_export.events import Events
from st_export.exporter import ExportRequest, export
from st_export.simulate.options import Fault
from tests.lookalike import service

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.config.model import Config
    from tests.lookalike import Service

pytestmark = pytest.mark.anyio

SECRET = 'a+b/c=d&e%20f#g$h${HOME}"i'
APP_KEY = 'k+1/2=3&4%205#6$7${PATH}"8'
NAME = "settings.tag-types"


async def configured(running: Service, folder: Path) -> Config:
    simulation, access = running.look_alike.simulation, running.look_alike.tenants[0]
    simulation.auth.set_secret(access.id, SECRET, app_key=APP_KEY)
    lines = (
        f"api_url: {running.look_alike.api_url}",
        f"auth_url: {running.look_alike.auth_url}",
        "app_key: ${KEY}",
        f"tenants: [{{id: {access.id}, client_id: {access.client_id}, client_secret: '${{SECRET}}'}}]",
        f"output: {{url: {running.folder}}}",
    )
    await anyio.Path(folder / "st-export.yaml").write_text("\n".join(lines))
    return load_config(folder / "st-export.yaml")


@pytest.mark.parametrize("source", ["environment", "env file"])
async def test_secrets_arrive_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    if source == "environment":
        monkeypatch.setenv("SECRET", SECRET + "\n")
        monkeypatch.setenv("KEY", f" {APP_KEY}")
    else:
        (tmp_path / ".env").write_text(f"SECRET='{SECRET}'\nKEY='{APP_KEY}'\n")
    async with service(tmp_path / "lake") as running:
        config = await configured(running, tmp_path)
        summary = await export(config, ExportRequest(select=(NAME,)))
        assert (summary["exit_code"], summary["totals"]["rows"] > 0) == (0, True)
        assert {seen.app_key for seen in running.look_alike.stats.log} == {APP_KEY}


async def test_secrets_stand_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("KEY", APP_KEY)
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    async with service(tmp_path / "lake") as running:
        config = await configured(running, tmp_path)
        await export(config, ExportRequest(select=(NAME,)), Events(lambda event: told.append(repr(event))))
        echo = {"title": f"bad key {APP_KEY} of {SECRET}", "detail": quote(SECRET)}
        running.look_alike.simulation.answer_with("*/tag-types", echo, status=400)
        await export(config, ExportRequest(select=(NAME,)), Events(lambda event: told.append(repr(event))))
        running.look_alike.simulation.faults.add(Fault("forbidden"))
        summary = await export(config, ExportRequest(select=(NAME,)), Events(lambda event: told.append(repr(event))))
    texts = [*told, caplog.text, repr(config), str(summary)]
    texts += [path.read_bytes().decode(errors="replace") for path in (tmp_path / "lake").rglob("*") if path.is_file()]
    for secret in (SECRET, APP_KEY):
        forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), base64.b64encode(secret.encode()).decode()}
        assert not [form for form in forms for text in texts if form in text]

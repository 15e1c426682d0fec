"""The report in a real browser, without network: it renders, and the console stays silent."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from st_export.observe.html import render
from tests.observe_html.test_html import SERIES, entity, run

if TYPE_CHECKING:
    from pathlib import Path

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.mark.heavy
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_renders_without_a_console_error(tmp_path: Path, scheme: str) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(run(23, entity("jpm.jobs", rows=12_345), entity("crm.leads", status="failed", error="403")), series=SERIES))
    preference = "--blink-settings=preferredColorScheme=" + {"light": "1", "dark": "0"}[scheme]
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr", preference]
    assert BROWSER is not None
    done = subprocess.run([BROWSER, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in done.stderr
    assert "12,345" in done.stdout
    assert "<svg" in done.stdout

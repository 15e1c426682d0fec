"""What commands make of the documents that they get: exit codes, ages, options of the look-alike, the demo's configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import pytest

from st_export.commands.check import exit_code_of
from st_export.commands.demo import demo_config
from st_export.commands.plan import window_text
from st_export.commands.simulate import simulate_options
from st_export.commands.status import old_entities
from st_export.config.load import parse_config
from st_export.simulate.options import Fault, SimulateOptions

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def checked(*statuses: str, token: bool = True, output: bool = True, named: bool = False) -> dict[str, Any]:
    entities = [{"name": f"jpm.e{index}", "status": status, "named": named} for index, status in enumerate(statuses)]
    return {"ok": True, "tenants": [{"id": 1, "token": {"ok": token, "error": None}, "entities": entities}], "output": {"ok": output}}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (checked("ok", "ok"), 0),
        (checked("ok", "refused"), 0),
        (checked("ok", "refused", named=True), 4),
        (checked("ok", "failed"), 4),
        (checked("refused", "refused"), 3),
        (checked(token=False), 3),
        (checked("ok", output=False), 2),
    ],
)
def test_a_check_ends_with_the_code_of_what_it_found(document: dict[str, Any], code: int) -> None:
    assert exit_code_of(document) == code


def entity(last_run: str | None, outcome: str | None = "ok", newest: str | None = None) -> dict[str, Any]:
    return {
        "name": "jpm.jobs", "position": None, "rows": 1, "newest": newest,
        "last_run": last_run, "last_outcome": outcome, "last_error": "it broke",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (entity("2026-11-25T02:00:00Z"), None),
        (entity("2026-11-25T02:00:00Z", newest="2020-01-01T00:00:00Z"), None),
        (entity("2026-11-24T02:00:00Z"), "its last run is 1d 10h ago"),
        (entity(None, None), "it has had no run"),
        (entity("2026-11-25T02:00:00Z", "failed", "2026-11-20T00:00:00Z"), "its last run failed: it broke"),
        (entity("2026-11-25T02:00:00Z", "failed", "2026-11-25T01:00:00Z"), None),
        (entity("2026-11-25T02:00:00Z", "skipped"), None),
    ],
)
def test_an_entity_is_old_when_its_last_good_run_is_longer_ago(found: dict[str, Any], reason: str | None) -> None:
    document = {"tenants": [{"id": 1, "entities": [found]}]}
    assert old_entities(document, NOW, 26 * 3600) == ([f"tenant 1, jpm.jobs: {reason}"] if reason else [])


def test_a_lake_without_any_run_is_old() -> None:
    assert old_entities({"tenants": []}, NOW, 1e9) == ["nothing has been exported"]
    assert old_entities({"tenants": [{"id": 7, "entities": []}]}, NOW, 1e9) == ["tenant 7: nothing has been exported"]


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (None, "all"),
        (["2026-11-01T00:00:00Z", None], "2026-11-01 … now"),
        ([None, "2026-11-02T06:00:00Z"], "beginning … 2026-11-02T06:00:00Z"),
    ],
)
def test_a_window_is_told(window: list[str | None] | None, text: str) -> None:
    assert window_text(window) == text


def test_the_options_of_the_look_alike_come_from_the_command_line() -> None:
    given = {"rows": 5, "port": None, "tenants": (1, 2), "latency_seconds": (0.5, 1.0), "now": NOW}
    options = simulate_options(
        given, ["cut:rate=0.5,path=*/jobs*"], ["page-size-over-maximum=refuse", "churn_every=50", 'row_counts={"jpm.jobs":3}']
    )
    expected = SimulateOptions(
        rows=5, tenants=(1, 2), latency_seconds=(0.5, 1.0), now=NOW, faults=(Fault(kind="cut", rate=0.5, path="*/jobs*"),),
        page_size_over_maximum="refuse", churn_every=50, row_counts={"jpm.jobs": 3},
    )  # fmt: skip
    assert options == expected


@pytest.mark.parametrize(("faults", "others"), [(["nonsense"], []), (["cut:rate=x"], []), ([], ["nonsense=1"]), ([], ["rows"])])
def test_an_unknown_option_of_the_look_alike_is_refused(faults: list[str], others: list[str]) -> None:
    with pytest.raises(click.UsageError):
        simulate_options({}, faults, others)


def test_the_demo_needs_no_configuration_file(tmp_path: Path) -> None:
    tenant = {"id": 1001, "client_id": "client-1001", "client_secret": "secret-1001-1", "app_key": "made-up-app-key"}
    service = {"api_url": "http://127.0.0.1:1", "auth_url": "http://127.0.0.1:1/connect/token", "tenants": [tenant], "options": {}}
    config = parse_config(demo_config(service, tmp_path / "demo-lake"))
    assert (config.output.url, config.app_key_of(config.tenants[0]).get_secret_value()) == (str(tmp_path / "demo-lake"), "made-up-app-key")

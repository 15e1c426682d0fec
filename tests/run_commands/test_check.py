"""The connection test: each kind of wrong credential, refusals with reason and remedy, exit codes, the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from st_export.simulate.options import Fault

if TYPE_CHECKING:
    from tests.run_commands.conftest import Project


def forbid(project: Project, path: str, status: int = 403) -> None:
    kind = {403: "forbidden", 404: "not-found"}[status]
    project.service.control("fault", kind=kind, path=path, rate=Fault("cut").rate)


def test_all_well(project: Project) -> None:
    told = project.call("check")
    assert told.code == 0
    assert told.out.splitlines() == [
        "tenant 1001: token received; 4 of 4 entities can be read",
        f"output {project.lake}: can be written",
        "all well",
    ]
    assert not [path for path in project.lake.rglob("*") if path.suffix in (".json", ".parquet")]


def test_every_kind_of_entity_answers_a_small_request(project: Project) -> None:
    project.settings["kinds"] = ["feed", "list", "plain", "report", "child", "capacity", "binary"]
    project.settings["select"] = ["*"]
    project.settings["reports"] = [{"name": "revenue", "category": "accounting", "id": 101}]
    document = project.call("check", "--json").document
    entities = document["tenants"][0]["entities"]
    assert (document["ok"], [one for one in entities if one["status"] != "ok"]) == (True, [])
    assert len(entities) > 170
    assert project.service.stats()["requests"] == len(entities)


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ({"client_secret": "wrong"}, "refuses client_id and client_secret", "credentials of integration do not work here"),
        ({"client_id": "client-9"}, "refuses client_id and client_secret", "check that both belong to this tenant"),
        ({"client_secret": "secret 1001"}, "refuses client_id and client_secret", "client_secret has a blank inside: copy it anew"),
    ],
)
def test_a_wrong_credential_gets_no_token(project: Project, change: dict[str, str], said: str, remedy: str) -> None:
    project.settings["tenants"][0] |= change
    told = project.call("check", "--json")
    token = told.document["tenants"][0]["token"]
    assert (told.code, token["ok"], said in token["error"], remedy in token["remedy"]) == (3, False, True, True)
    assert change.get("client_secret", "-") not in told.err


def test_a_wrong_app_key_is_blamed_once(project: Project) -> None:
    project.settings["app_key"] = "wrong-app-key"
    told = project.call("check")
    assert told.code == 3
    assert told.out.count("the app key is not right") == 1
    assert "jpm.jobs" not in told.out
    assert project.service.stats()["requests"] <= 2


def test_a_wrong_tenant_is_blamed(project: Project) -> None:
    project.settings["tenants"][0]["id"] = 2002
    told = project.call("check")
    assert (told.code, "these credentials do not open tenant 2002" in told.out) == (3, True)


def test_blanks_around_a_secret_do_no_harm_and_a_line_break_inside_is_told(project: Project) -> None:
    secret = project.settings["tenants"][0]["client_secret"]
    project.settings["tenants"][0]["client_secret"] = f" {secret}\n"
    assert project.call("check").code == 0
    project.settings["tenants"][0]["client_secret"] = f"{secret[:3]}\n{secret[3:]}"
    told = project.call("check")
    assert (told.code, "`tenants[0].client_secret` has a line break" in told.err, secret[3:] in told.err) == (2, True, False)


@pytest.mark.parametrize(("select", "code"), [("jpm.*", 0), ("jpm.jobs", 4)])
def test_a_refused_scope_is_named_with_the_place_to_tick_it(project: Project, select: str, code: int) -> None:
    forbid(project, "*/export/jobs")
    told = project.call("check", "--select", select, "--select", "settings.user-roles")
    assert told.code == code
    assert "jpm.jobs  refused" in " ".join(told.out.split()).replace(" refused", "  refused")
    assert "Job Planning and Management > export/jobs" in told.out
    assert "hint: tick that scope (read)" in told.out or "hint: if the tenant has the feature, tick that scope" in told.out


def test_a_report_that_does_not_exist_is_told(project: Project) -> None:
    project.settings["reports"] = [{"name": "revenue", "category": "accounting", "id": 999}]
    told = project.call("check", "--select", "report.revenue", "--select", "jpm.jobs")
    assert (told.code, "there is no such report" in told.out, "entities --reports" in told.out) == (4, True, True)


@pytest.mark.parametrize("key", ["api_url", "auth_url"])
def test_a_host_that_cannot_be_reached_ends_soon(project: Project, key: str) -> None:
    project.settings[key] = "http://127.0.0.1:9/connect/token"
    told = project.call("check")
    assert (told.code, "cannot be reached" in told.out, "hint: check" in told.out) == (3, True, True)


def test_an_output_that_cannot_be_written_is_exit_2(project: Project) -> None:
    (project.folder / "file").write_text("")
    project.settings["output"] = {"url": "./file/lake"}
    told = project.call("check", "--json")
    output: dict[str, Any] = told.document["output"]
    assert (told.code, output["ok"], "a file stands where a folder is needed" in output["error"]) == (2, False, True)

"""`init` and `entities`: what a new user meets first, from an empty folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from st_export.commands.app import run
from st_export.config.load import load_config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ST_EXPORT_CONFIG", "ST_TENANT_ID", "ST_CLIENT_ID", "ST_CLIENT_SECRET", "ST_APP_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_init_writes_both_files_and_says_what_comes_next(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "new/place"]) == 0
    assert sorted(path.name for path in (folder / "new/place").iterdir()) == [".env.example", "st-export.yaml"]
    assert capsys.readouterr().out.splitlines() == [
        "written: new/place/st-export.yaml, new/place/.env.example",
        "next: copy .env.example to .env and fill it in, then `st-export check`; keep .env out of version control",
    ]


@pytest.mark.parametrize("name", ["st-export.yaml", ".env.example"])
def test_init_overwrites_nothing(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / name).write_text("mine")
    assert run(["init"]) == 2
    assert ((folder / name).read_text(), len(list(folder.iterdir()))) == ("mine", 1)
    assert capsys.readouterr().err.splitlines() == [
        f"error: {name} is there already",
        "hint: move it away, or name another folder: `st-export init DIR`",
    ]


def test_init_into_a_file_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "taken").write_text("")
    assert run(["init", "taken"]) == 2
    assert capsys.readouterr().err.startswith("error: taken cannot be written: ")


def test_a_filled_in_example_of_variables_makes_the_starter_load(folder: Path) -> None:
    assert run(["init"]) == 0
    filled = (folder / ".env.example").read_text().replace("=''", "='1001'")
    (folder / ".env").write_text(filled)
    assert load_config().tenants[0].client_secret.get_secret_value() == "1001"


def test_entities_need_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["entities", "--json"]) == 0
    jobs = next(entity for entity in json.loads(capsys.readouterr().out) if entity["name"] == "jpm.jobs")
    assert list(jobs) == ["name", "kind", "path", "sources", "alias_of", "key", "cursor", "partition_by", "history", "verified"]
    assert (jobs["kind"], jobs["key"], jobs["cursor"]) == ("feed", ["id"], "continueFrom")


def test_an_entity_has_columns_with_arrow_types(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["entities", "jpm.jobs", "--json"]) == 0
    columns = {column["name"]: column for column in json.loads(capsys.readouterr().out)["columns"]}
    assert columns["id"] == {"name": "id", "type": "int64", "nullable": False}
    assert columns["total"]["type"] == "decimal128(38, 9)"
    assert list(columns)[-5:] == ["_tenant_id", "_exported_at", "_run_id", "_deleted", "_rescued"]


def test_the_columns_follow_the_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "st-export.yaml").write_text(
        "app_key: ${ST_APP_KEY}\nhash_key: k\ntenants: [{id: 1, client_id: c, client_secret: s}]\noutput: {url: x, numbers: double}\n"
        "entities: {jpm.jobs: {drop_columns: [summary], hash_columns: [jobNumber]}}\n"
    )
    assert run(["entities", "jpm.jobs", "--json"]) == 0
    types = {column["name"]: column["type"] for column in json.loads(capsys.readouterr().out)["columns"]}
    assert ("summary" in types, types["jobNumber"], types["total"]) == (False, "string", "float64")


def test_a_table_without_a_terminal_is_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["entities"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["name", "kind", "path", "key"]
    assert [line for line in lines if line != line.rstrip()] == []
    assert any("/jpm/v2/tenant/{tenant}/export/jobs " in line for line in lines)


def test_every_read_that_is_left_out_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["entities", "--left-out", "--json"]) == 0
    told = {item["path"]: item["reason"] for item in json.loads(capsys.readouterr().out)}
    assert len(told) == 70
    assert told["/jpm/v2/tenant/{tenant}/jobs/{id}"] == "by-id read: the records of jpm.jobs, one at a time"
    assert run(["entities", "--left-out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:-1]] == list(told)
    assert lines[-1] == "70 reads are left out"


def test_an_unknown_entity_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["entities", "jpm.job"]) == 2
    assert capsys.readouterr().err == "error: there is no entity `jpm.job`\nhint: did you mean `jpm.jobs`?\n"


def test_the_catalog_can_be_read_right_after_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ST_TENANT_ID", "ST_CLIENT_ID", "ST_CLIENT_SECRET", "ST_APP_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert run(["init"]) == 0
    assert run(["entities", "jpm.jobs"]) == 0

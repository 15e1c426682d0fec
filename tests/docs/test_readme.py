"""The README holds: every command runs, every configuration is valid, every link and name exists, every table says what is so."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import duckdb
import pytest
import yaml

from st_export import errors
from st_export.catalog.load import load_catalog
from st_export.commands.app import COMMANDS, cli
from st_export.config.load import parse_config
from st_export.config.model import Config, EntityOptions, Report
from tests.docs.documents import README, ROOT, anchors, blocks, commands, links, prose, table, understood

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.conftest import Project

PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "configs").rglob("README.md"))]
OURS = [line for line in commands(README) if line.startswith("st-export ")]
ONLY_PARSED = ("catalog",)
"""Commands whose input a reader must bring (the specifications): their own tests run them."""
OF_OTHERS = {"--require-hashes", "--no-deps", "--write"}
"""Options in the README that belong to pip and to the benchmarks."""


@pytest.mark.parametrize("line", [line for line in OURS if not line.startswith(tuple(f"st-export {name}" for name in ONLY_PARSED))])
def test_a_command_of_the_readme_runs(line: str, project: Project, tmp_path: Path) -> None:
    folder = tmp_path if line == "st-export init" else None
    ended = project.shell(line, folder)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("line", commands(ROOT / "configs" / "recipes" / "README.md"))
def test_a_command_of_the_recipes_runs(line: str, project: Project) -> None:
    place = project.folder / "configs"
    if not place.exists():
        place.symlink_to(ROOT / "configs")
    ended = project.shell(line)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("line", [line for line in OURS if line.startswith(tuple(f"st-export {name}" for name in ONLY_PARSED))])
def test_a_command_that_needs_more_is_understood(line: str) -> None:
    assert understood(shlex.split(line)[1:]) in ONLY_PARSED


def test_every_other_command_of_the_readme_is_known_here(project: Project) -> None:
    others = [line for line in commands(README) if line not in OURS]
    made = [line.split()[1] for line in others if line.startswith("make ")]
    assert made[:2] == ["demo", "test"]
    assert set(made) <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    installed = [line for line in others if line.startswith(("python3 -m venv", "venv/bin/"))]
    assert len(installed) == 4
    assert [line for line in others if not line.startswith("make ") and line not in installed] == ["cp .env.example .env"]
    assert project.shell("cp .env.example .env && st-export -q status > status.txt").returncode == 0


def test_the_line_for_cron_is_a_schedule_and_two_calls() -> None:
    (block,) = blocks(README, "cron")
    (line,) = block.lines
    schedule, rest = line.split("  ", 1)
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule)
    _, *calls = rest.split(" && ")
    assert [understood(shlex.split(call)[1:]) for call in calls] == ["run", "status"]


@pytest.mark.heavy
def test_the_installation_works_as_written(tmp_path: Path) -> None:
    needed = ("st_export", "requirements.lock", "pyproject.toml", "README.md", "LICENSE")
    for name in needed:
        (tmp_path / name).symlink_to(ROOT / name)
    lines = [line for line in commands(README) if line.startswith(("python3 -m venv", "venv/bin/"))]
    text = "\n".join(lines).replace("python3 -m venv", f"{sys.executable} -m venv")
    ended = subprocess.run(["sh", "-ec", text], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("st-export ")


def shape_of(line: str) -> str:
    """Return a printed line without its figures: durations, counts and the width of columns differ from run to run."""
    line = re.sub(r"(?:\d[\d,.]*[dhms]\b ?)+", "TIME", line)
    line = " ".join(re.sub(r"\d[\d,.]*", "N", line).split())
    line = re.sub(r"^(complete: N rows, N new files, N MB, N requests).*", r"\1", line)  # what follows depends on the machine's mood
    line = re.sub(r"^(?:\S*/)?st-export ", "st-export ", line)  # as it was called: here by its name, after `make demo` by its place
    return re.sub(r"^-[- ]+$", "RULE", re.sub(r"^[a-z-]+\.[\w.-]+ N N N ok$", "ENTITY", line))


def test_the_demo_prints_what_the_readme_shows(project: Project) -> None:
    (block,) = blocks(README, "text demo")
    ended = project.shell("st-export demo --rows 10 --lake demo-lake 2>&1")
    assert ended.returncode == 0
    printed = [shape_of(line) for line in ended.stdout.splitlines()]
    assert [line for line in map(shape_of, block.lines) if line not in ("…", *printed)] == []


def complete(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration of a part of one: the rest as small as it may be."""
    tenant = {"id": 1001, "client_id": "a-client", "client_secret": "a-secret"}
    return {"app_key": "an-app-key", "tenants": [tenant], "output": {"url": "./lake"}, **settings}


@pytest.mark.parametrize("number", range(len(blocks(README, "yaml"))))
def test_a_configuration_of_the_readme_is_valid(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = blocks(README, "yaml")[number].text
    for name in re.findall(r"\$\{([A-Z_]+)\}", text):
        monkeypatch.setenv(name, "1001" if name == "ST_TENANT_ID" else f"value-of-{name}")
    config = parse_config(complete(yaml.safe_load(text)), tmp_path)
    for name, options in config.entities.items():
        entity = load_catalog().get(name)
        assert entity is not None, name
        known = {column.name for column in entity.columns}
        assert {path.split(".")[0] for path in (*options.drop_columns, *options.hash_columns)} <= known


def test_the_sql_of_the_readme_reads_the_lake(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    (block,) = blocks(README, "sql")
    with duckdb.connect() as connection:
        every, current = [connection.sql(statement.query).fetchall() for statement in connection.extract_statements(block.text)]
    assert (len(every) >= len(current), len(current) > 0) == (True, True)


def test_the_table_of_commands_is_that_of_the_help() -> None:
    rows = table(README, "command")
    assert {name.strip("`"): text for name, text in rows} == COMMANDS
    shown = subprocess.run([sys.executable, "-m", "st_export.commands.app", "--help"], capture_output=True, text=True, check=True)
    assert [name for name in COMMANDS if not re.search(rf"^  {name} ", shown.stdout, re.MULTILINE)] == []


def options_of(command: click.Command) -> set[str]:
    found = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            found |= options_of(inner) if inner else set()
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    text = prose(page) + "\n".join(line for line in commands(page) if line.startswith("st-export "))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert named - options_of(cli) - OF_OTHERS - {"--user", "--help", "--version"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_exists(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.is_relative_to(ROOT), link
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


def test_every_guarantee_names_tests_that_exist() -> None:
    for _, shown in table(README, "guarantee"):
        names = re.findall(r"`(tests/[\w/.]+)`", shown)
        assert names
        for name in names:
            found = [ROOT / name] if name.endswith(".py") else list((ROOT / name).glob("test_*.py"))
            assert [path for path in found if "\ndef test_" in path.read_text() or "async def test_" in path.read_text()], name


def test_the_exit_codes_are_those_of_the_errors() -> None:
    told = {int(code) for cell, *_ in table(README, "code") for code in cell.split(",")}
    classes = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, errors.StExportError)]
    assert {found.exit_code for found in classes} <= told
    assert told == {0, 1, 2, 3, 4, 5, 130, 143}


def spoken() -> str:
    """Return every text in the source, one a line; the fixed parts of a formatted text are joined by `…`."""
    found: list[str] = []
    for path in (ROOT / "st_export").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("…".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_every_message_of_the_readme_is_one_of_the_program() -> None:
    said = spoken()
    parts = [part.strip() for cell, _ in table(README, "message") for part in cell.strip("`").split("…")]
    assert len(parts) > 15
    assert [part for part in parts if part not in said] == []


def test_every_key_of_the_reference_exists() -> None:
    keys = {*Config.model_fields, *(f"entities.NAME.{name}" for name in EntityOptions.model_fields)}
    keys |= {f"reports[].{name}" for name in Report.model_fields}
    cells = " ".join(where for where, _ in table(README, "where"))
    named = {name for name in re.findall(r"`([a-z_]+(?:[.\[][\w.\[\]]+)?)`", cells) if not name.startswith("_")}
    assert {"catalog", "feed_split", "decode_workers", "entities.NAME.parent_ids"} <= named
    assert named <= keys

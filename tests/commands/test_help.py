"""Every command has help with an example; the table of commands tells what they tell of themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module

import click
import pytest

from st_export.commands.app import COMMANDS, cli, run

CONTRACT = [
    "run",
    "backfill",
    "check",
    "plan",
    "entities",
    "status",
    "reset",
    "verify",
    "compact",
    "query",
    "report",
    "simulate",
    "demo",
    "init",
]
GLOBAL_OPTIONS = ["-c, --config FILE", "-v", "-q, --quiet", "--log-format [text|json]", "--no-progress", "-h, --help"]
ALL = [*([name] for name in COMMANDS), ["catalog", "diff"], ["catalog", "update"]]


def command_of(words: list[str]) -> click.Command:
    found: click.Command = import_module(f"st_export.commands.{words[0]}").command
    for word in words[1:]:
        assert isinstance(found, click.Group)
        found = found.commands[word]
    return found


def test_every_command_of_the_contract_is_there() -> None:
    assert [name for name in CONTRACT if name not in COMMANDS] == []


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_command_has_help_with_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == 0
    text = capsys.readouterr().out
    options = text.partition("Options:")[2]
    assert [option for option in GLOBAL_OPTIONS if f"  {option}" not in options] == []
    assert f"  st-export {' '.join(words)}" in text.partition("Examples:")[2]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_says_what_it_does(words: list[str]) -> None:
    options = [parameter for parameter in command_of(words).params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "catalog"])
def test_the_table_of_commands_is_the_first_line_of_each_help(name: str) -> None:
    assert command_of([name]).help is not None
    assert (command_of([name]).help or "").split("\n\n")[0] == COMMANDS[name]


def test_the_examples_in_the_help_parse() -> None:
    parsed = 0
    for words in ALL:
        command = command_of(words)
        for example in getattr(command, "examples", ()):
            arguments = shell_words(example)[1 + len(words) :]
            if "--specs" not in arguments:
                assert command.make_context(words[-1], arguments).command is command
                parsed += 1
    assert parsed > len(COMMANDS)


def shell_words(example: str) -> list[str]:
    """Return the words of an example up to the first `|` or `>`."""
    import shlex  # noqa: PLC0415 - only here

    return shlex.split(re.split(r" [|>]", example)[0])


def test_the_help_imports_nothing_heavy() -> None:
    heavy = "{'pyarrow', 'duckdb', 'aiohttp', 'pydantic', 'rich', 'anyio', 'yaml', 'numpy', 'obstore', 'orjson'}"
    code = f"import sys; from st_export.commands.app import run; run(['--help']); sys.exit(str({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"st-export \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_ST_EXPORT_COMPLETE" in capsys.readouterr().out


def test_the_group_has_the_commands_in_the_order_of_their_use() -> None:
    assert cli.list_commands(click.Context(cli)) == list(COMMANDS)

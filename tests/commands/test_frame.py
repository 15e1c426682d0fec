"""The frame: what an error becomes on stderr and as exit code, whatever it is; global options before and after a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from st_export import errors
from st_export.commands.app import run, tell
from st_export.commands.options import Globals, command

PROGRAM = (sys.executable, "-m", "st_export.commands.app")
REFUSED = {"status": 403}
OURS = {
    errors.StExportError: (1, {}),
    errors.ConfigError: (2, {}),
    errors.CheckpointUnreadable: (2, {}),
    errors.StoreError: (2, {}),
    errors.TenantRefused: (3, {}),
    errors.EntityRefused: (4, REFUSED),
    errors.EntityFailed: (4, {}),
    errors.ParentsUnknown: (4, {}),
    errors.RequestRejected: (4, REFUSED),
    errors.PageUnreadable: (4, {"body": b"raw", "request": "GET /x"}),
    errors.PageTimedOut: (4, {}),
    errors.ServiceUnavailable: (4, {}),
    errors.LockHeld: (5, {}),
    errors.LockLost: (1, {}),
    errors.CommitRefused: (1, {}),
    errors.CommitUnknown: (1, {}),
}


def every_class(root: type[errors.StExportError]) -> set[type[errors.StExportError]]:
    own = {root} if root.__module__ == errors.__name__ else set()
    return own.union(*(every_class(child) for child in root.__subclasses__()))


def test_every_class_of_error_is_walked_here() -> None:
    assert every_class(errors.StExportError) == set(OURS)


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_error_of_ours_is_told_in_one_style_with_its_code(kind: type[errors.StExportError], capsys: pytest.CaptureFixture[str]) -> None:
    code, more = OURS[kind]
    error = kind("it went wrong", hint="do this", tenant=1001, entity="jpm.jobs", **more)  # type: ignore[arg-type]  # fields by class
    assert tell(error, Globals()) == code
    assert capsys.readouterr() == ("", "error: tenant 1001, jpm.jobs: it went wrong\nhint: do this\n")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (click.UsageError("No such option: --x."), 2, "error: no such option: --x\n"),
        (click.Abort(), 130, "error: interrupted\nhint: what was committed stays; the same command goes on from there\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\nhint: what was committed stays; the same command goes on from there\n"),
        (ExceptionGroup("", [ExceptionGroup("", [errors.LockHeld("locked")])]), 5, "error: locked\n"),
        (ExceptionGroup("", [errors.LockHeld("locked"), errors.ConfigError("wrong")]), 2, "error: wrong\n"),
        (BaseExceptionGroup("", [errors.LockHeld("locked"), KeyboardInterrupt()]), 130, "error: interrupted\n"),
    ],
)  # fmt: skip
def test_other_ends_have_codes_too(error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(error, Globals()) == code
    assert capsys.readouterr().err.startswith(text)


def test_a_fault_of_ours_is_an_internal_error_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(ExceptionGroup("", [KeyError("x"), errors.ConfigError("wrong")]), Globals()) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: internal error: KeyError: 'x'\nhint: this is a fault of st-export ")
    assert "Traceback" not in text


def test_the_traceback_shows_with_v_and_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="hush-hush") as caught:
        int("hush-hush")
    assert tell(caught.value, Globals(verbosity=1, secrets=("hush-hush",))) == 1
    text = capsys.readouterr().err
    assert ("Traceback" in text, "hush" in text) == (True, False)
    assert "error: internal error: ValueError: invalid literal for int() with base 10: '[redacted]'" in text


def test_an_error_is_a_json_line_where_the_log_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(errors.ConfigError("wrong", hint="mend it"), Globals(log_format="json")) == 2
    line = json.loads(capsys.readouterr().err)
    assert {key: line[key] for key in ("level", "event", "message", "hint")} == {
        "level": "error", "event": "error", "message": "wrong", "hint": "mend it",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["-q", "-c", "a.yaml", "--log-format", "json", "--no-progress", "-v", "probe"],
        ["probe", "-q", "-c", "a.yaml", "--log-format", "json", "--no-progress", "-v"],
        ["-q", "--log-format", "json", "probe", "-c", "a.yaml", "-v", "--no-progress"],
    ],
)
def test_global_options_stand_before_or_after_the_command(words: list[str]) -> None:
    seen: list[Globals] = []

    @command("probe")
    @click.pass_obj
    def probe(settings: Globals) -> None:
        """Remember the settings."""
        seen.append(settings)

    from st_export.commands.options import global_options  # noqa: PLC0415 - used once

    group = click.Group("root", commands={"probe": probe}, params=list(global_options()))
    group.main(words, standalone_mode=False, obj=Globals())
    assert seen == [Globals(config=Path("a.yaml"), verbosity=1, quiet=True, log_format="json", progress=False)]


USAGE = {
    "": 2,
    "nonsense": 2,
    "run --nonsense": 2,
    "run --wait soon": 2,
    "run --tenant acme": 2,
    "backfill": 2,
    "backfill --from 2026-02-30": 2,
    "backfill --from 2026-02-02 --to 2026-02-01": 2,
    "backfill --from 2999-01-01": 2,
    "plan --to 2026-01-01": 2,
    "reset": 2,
    "query": 2,
    "query --csv --parquet x.parquet SELECT": 2,
    "verify --api --lake x": 2,
    "completion tcsh": 2,
    "catalog diff": 2,
    "catalog nonsense": 2,
    "simulate --fault nonsense": 2,
    "simulate --set nonsense=1": 2,
    "status --fail-if-older soon": 2,
    "run": 2,
    "check -c gone.yaml": 2,
    "status --lake x -c y": 2,
    "entities no.such": 2,
    "entities jpm.jobs --left-out": 2,
    "report --lake gone": 2,
}


@pytest.mark.parametrize("line", USAGE)
def test_wrong_usage_is_told_without_a_traceback(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ST_EXPORT_CONFIG", raising=False)
    assert run(line.split()) == USAGE[line]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert shown.err.startswith("Usage: " if line == "" else "error: ")
    assert list(tmp_path.iterdir()) == []


def test_the_nearest_command_and_option_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["staus"]) == 2
    assert (
        capsys.readouterr().err
        == "error: there is no command `staus`; did you mean `status`?\nhint: `st-export --help` shows the options\n"
    )
    assert run(["run", "--selekt", "x"]) == 2
    assert "--select" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_nobodys_fault() -> None:
    listing = subprocess.Popen(
        [sys.executable, "-m", "st_export.commands.app", "entities", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listing.stdout is not None
    listing.stdout.read(1)
    listing.stdout.close()
    assert listing.stderr is not None
    assert (listing.stderr.read(), listing.wait()) == (b"", 0)
    listing.stderr.close()


def test_colour_shows_only_on_a_terminal(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run(
        [sys.executable, "-m", "st_export.commands.app", "run"], capture_output=True, cwd=tmp_path, env=environment, check=False
    )
    assert (done.returncode, b"\x1b" in done.stderr) == (2, False)

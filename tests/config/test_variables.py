"""`${…}`: where values come from, byte for byte, once; and what is said where they do not come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from st_export.config.load import load_config
from st_export.errors import ConfigError

if TYPE_CHECKING:
    from st_export.config.model import Config

SECRET = 'a+b/c=d&e%20f#g$h${HOME}"i'
TEXT = "app_key: ${KEY}\ntenants: [{id: 1001, client_id: c, client_secret: s}]\noutput: {url: ./lake}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEY", raising=False)
    monkeypatch.delenv("ST_EXPORT_CONFIG", raising=False)
    return tmp_path


def load(text: str = TEXT, *, needs_credentials: bool = True) -> Config:
    Path("st-export.yaml").write_text(text, encoding="utf-8")
    return load_config(needs_credentials=needs_credentials)


def refused(text: str = TEXT) -> tuple[str, str | None]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value), caught.value.hint


def app_key(config: Config) -> str:
    assert config.app_key is not None
    return config.app_key.get_secret_value()


def test_a_secret_comes_from_the_environment_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", SECRET)
    assert app_key(load()) == SECRET


@pytest.mark.parametrize("line", [f"KEY='{SECRET}'", 'KEY="' + SECRET.replace('"', '\\"') + '"', f"export KEY='{SECRET}'", f"KEY={SECRET}"])
def test_a_secret_comes_from_the_env_file_byte_for_byte(folder: Path, line: str) -> None:
    (folder / ".env").write_text(f"# a comment\nOTHER=1\n{line}\n")
    assert app_key(load()) == SECRET


def test_the_environment_wins_over_the_env_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("KEY=from-the-file\n")
    monkeypatch.setenv("KEY", "from-the-environment")
    assert app_key(load()) == "from-the-environment"


def test_the_env_file_lies_beside_the_configuration(folder: Path) -> None:
    (folder / "conf").mkdir()
    (folder / "conf" / ".env").write_text("KEY=beside\n")
    (folder / "conf" / "a.yaml").write_text(TEXT)
    assert app_key(load_config(Path("conf/a.yaml"))) == "beside"


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("${KEY:-fallback}", "fallback"),
        ("a-${KEY:-b}-${KEY:-c}", "a-b-c"),
        ("$${KEY}", "${KEY}"),
        ("$KEY", "$KEY"),
        ("${KEY:-x:-y}", "x:-y"),
    ],
)
def test_a_reference_has_a_default_and_an_escape(reference: str, value: str) -> None:
    assert app_key(load(TEXT.replace("${KEY}", reference))) == value


def test_an_empty_default_leaves_the_key_out() -> None:
    assert load(TEXT.replace("${KEY}", "k") + "start: ${START:-}\n").start is None


def test_numbers_and_ids_may_be_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "55")
    config = load(TEXT.replace("1001", "'${KEY}'") + "limits: {requests_per_second: '${KEY}'}\n")
    assert (config.tenants[0].id, config.limits.requests_per_second) == (55, 55.0)


def test_a_secret_comes_from_a_file_without_its_last_line_break(folder: Path) -> None:
    (folder / "secret").write_text(SECRET + "\n")
    assert app_key(load(TEXT.replace("${KEY}", "${file:secret}"))) == SECRET


def test_a_variable_that_is_not_set_is_named_with_its_place(folder: Path) -> None:
    assert refused() == (
        "st-export.yaml:1: `app_key` needs the variable `KEY`, which is not set",
        f"set `KEY` in the environment or in {folder / '.env'}",
    )


def test_a_variable_that_is_empty_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "")
    assert refused()[0] == "st-export.yaml:1: `app_key` needs the variable `KEY`, which is empty"


def test_all_missing_variables_are_told_at_once() -> None:
    message, _ = refused(TEXT.replace("client_secret: s", "client_secret: '${SECRET}'"))
    assert message.splitlines()[0] == "st-export.yaml has 2 errors"
    assert [line.split(" (")[0].strip() for line in message.splitlines()[1:]] == [
        "st-export.yaml:1: `app_key` needs the variable `KEY`, which is not set",
        "st-export.yaml:2: `tenants[0].client_secret` needs the variable `SECRET`, which is not set",
    ]


@pytest.mark.parametrize("reference", ["${}", "${1A}", "${KEY-x}", "${KEY", "${ KEY }", "${KEY:=x}"])
def test_what_is_no_reference_is_told(reference: str) -> None:
    message, hint = refused(TEXT.replace("${KEY}", f"'{reference}'"))
    assert message == "st-export.yaml:1: `app_key` has a `${…}` that is no reference"
    assert hint == "write `${NAME}`, `${NAME:-default}` or `${file:PATH}`; `$${` is a plain `${`"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "empty"),
        (b"\xff", "not UTF-8 text"),
        (b"x" * 65537, "too large for a value"),
    ],
)
def test_a_file_without_a_value_is_told(folder: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        (folder / "secret").write_bytes(content)
    message, _ = refused(TEXT.replace("${KEY}", "${file:secret}"))
    is_missing = content is None
    verb = "which cannot be read: No such file or directory" if is_missing else f"which is {problem}"
    assert message == f"st-export.yaml:1: `app_key` needs the file {folder / 'secret'}, {verb}"


def test_a_line_of_the_env_file_that_cannot_be_read_is_told_without_showing_it(folder: Path) -> None:
    (folder / ".env").write_text("KEY=ok\nhush hush = 'hush\n")
    message, hint = refused()
    assert message == f"{folder / '.env'}:2: is no assignment"
    assert hint == "write NAME=value, the value in single quotes where it has blanks or `#`"


def test_a_value_from_a_variable_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "hush")
    message, hint = refused(TEXT + "limits: {timeout: '${KEY}'}\nenvironment: ${KEY}\n")
    assert message.count("\n") == 2
    assert "hush" not in f"{message} {hint}"


def test_what_only_reads_the_lake_needs_no_credentials() -> None:
    config = load(TEXT.replace("client_secret: s", "client_secret: '${SECRET}'"), needs_credentials=False)
    assert (config.tenants[0].id, config.output.partition) == (1001, "day")


def test_what_only_reads_the_lake_still_needs_the_rest() -> None:
    Path("st-export.yaml").write_text(TEXT.replace("./lake", "'${LAKE_URL}'"))
    with pytest.raises(ConfigError, match=r"`output\.url` needs the variable `LAKE_URL`, which is not set"):
        load_config(needs_credentials=False)

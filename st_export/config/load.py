"""From a file (or a mapping) to a `Config`: find it, read it, fill in variables, validate, resolve paths. All problems are told at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from st_export.config.model import Config
from st_export.config.problems import Problem, config_error, place_text, validation_problems
from st_export.config.rules import contradictions
from st_export.config.source import Source, YamlProblem, parse_yaml
from st_export.config.variables import Variables
from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from st_export.config.rules import Place
    from st_export.flow import Json

DEFAULT_NAME = "st-export.yaml"
PATH_VARIABLE = "ST_EXPORT_CONFIG"
_CREDENTIAL_KEYS = frozenset({"app_key", "client_id", "client_secret", "hash_key"})
_NOT_NEEDED = "not-needed-here"


def find_config(path: Path | None = None) -> Path:
    """Return the configuration's path: the given one, else `$ST_EXPORT_CONFIG`, else `./st-export.yaml`.

    Raises:
        ConfigError: None of them is there.

    """
    named = path or (Path(value) if (value := os.environ.get(PATH_VARIABLE)) else None)
    found = named or Path(DEFAULT_NAME)
    if found.is_file():
        return found
    if named is None:
        hint = f"`st-export init` writes one; or name yours with `-c FILE` or ${PATH_VARIABLE}"
        raise ConfigError(f"there is no configuration: no {DEFAULT_NAME} in {Path.cwd()}", hint=hint)
    origin = "" if path else f" (from ${PATH_VARIABLE})"
    state = "is not a file" if found.exists() else "does not exist"
    raise ConfigError(f"the configuration {found}{origin} {state}", hint="give the path of a YAML file; `st-export init` writes one")


def is_configured(path: Path | None = None) -> bool:
    """Return whether a configuration is named, by the path or `$ST_EXPORT_CONFIG`, or lies in the working folder."""
    return path is not None or bool(os.environ.get(PATH_VARIABLE)) or Path(DEFAULT_NAME).is_file()


def load_config(path: Path | None = None, *, needs_credentials: bool = True) -> Config:
    """Return the validated configuration of a file.

    Args:
        path: The file; None: found as `find_config` says.
        needs_credentials: False for what only reads the lake: variables that are not set may then stand where credentials do.

    Raises:
        ConfigError: No file, not YAML, a variable that is not set, an unknown key, a wrong value. The text never shows a secret.

    """
    found = find_config(path)
    try:
        text = found.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"the configuration {found} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the configuration {found} is not UTF-8 text", hint="save it as UTF-8") from error
    try:
        source = parse_yaml(text)
    except YamlProblem as error:
        where = f"{found}:{error.line}" if error.line else f"{found}"
        hint = "look at this line and the one before: indentation, a missing `:`, or a text with `*`, `:`, `#`, `@`, `{` that needs quotes"
        raise ConfigError(f"{where}: {error.problem}", hint=hint) from None
    return _validated(source, found.absolute().parent, str(found), needs_credentials=needs_credentials)


def parse_config(data: Mapping[str, Any], folder: Path | None = None) -> Config:
    """Return the validated configuration of a mapping with the file's keys; relative paths and `.env` are those of the folder.

    Raises:
        ConfigError: As for `load_config`.

    """
    return _validated(Source(data=dict(data)), (folder or Path.cwd()).absolute(), "configuration", needs_credentials=True)


def _validated(source: Source, folder: Path, name: str, *, needs_credentials: bool) -> Config:
    if not isinstance(source.data, dict):
        state = "is empty" if source.data is None else "is not a mapping of keys"
        raise ConfigError(f"the configuration {name} {state}", hint="`st-export init` writes one to start from")
    problems = _key_problems(source)

    def complain(place: Place, text: str, hint: str | None) -> None:
        if needs_credentials or not _names_the_account(place):
            problems.append(Problem(place_text(place), text, hint, source.line_of(place)))

    variables = Variables(os.environ, folder, complain)
    data = variables.fill(source.data)
    if problems:
        raise config_error(problems, name)
    if not needs_credentials:
        data = _with_placeholders(data)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise config_error(validation_problems(error, Config, source.line_of, frozenset(variables.filled)), name) from None
    found = [one for one in contradictions(config) if needs_credentials or one[0] != ("tenants",)]
    wrong = [Problem(place_text(place), text, hint, source.line_of(place)) for place, text, hint in found]
    if wrong:
        raise config_error(wrong, name)
    return config.in_folder(folder)


def _key_problems(source: Source) -> list[Problem]:
    """Return the keys that stand twice, and those that are no text (YAML takes `on` and `no` for true and false)."""
    problems: list[Problem] = []
    for place, line, first in source.repeated:
        problems.append(Problem(place_text(place), f"stands twice, first on line {first}", "keep one of the two", line))
    for place, line in source.not_text:
        problems.append(Problem(place_text(place), "is a key that is not text", "write it in quotes", line))
    return problems


def _names_the_account(place: Place) -> bool:
    """Whether a value is a credential or a tenant's id: what a command that only reads the lake can do without."""
    return bool(place) and (place[-1] in _CREDENTIAL_KEYS or (place[0] == "tenants" and place[-1] == "id"))


def _with_placeholders(data: dict[str, Json]) -> dict[str, Json]:
    """Fill in the credentials that are lacking and leave out tenants without an id, for a command that never asks the service."""
    filled: dict[str, Json] = {"app_key": _NOT_NEEDED, "hash_key": _NOT_NEEDED} | _without_empty(data)
    tenants = data.get("tenants")
    if isinstance(tenants, list):
        missing = {"client_id": _NOT_NEEDED, "client_secret": _NOT_NEEDED}
        filled["tenants"] = [
            missing | _without_empty(tenant) if isinstance(tenant, dict) else tenant for tenant in tenants if _has_id(tenant)
        ]
    return filled


def _without_empty(data: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in data.items() if value is not None}


def _has_id(tenant: Json) -> bool:
    return not isinstance(tenant, dict) or "id" not in tenant or tenant["id"] is not None

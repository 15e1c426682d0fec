"""The examples in `configs/` and the starter are valid, and the starter leaves no key out."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from st_export.catalog.load import load_catalog
from st_export.catalog.select import is_glob, select
from st_export.config.load import load_config
from st_export.config.model import Config

EXAMPLES = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
VARIABLE = re.compile(r"\$\{([A-Z_]+)\}")


def starter(name: str) -> str:
    return resources.files("st_export.commands").joinpath(name).read_text(encoding="utf-8")


def set_variables(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLE.findall(text):
        monkeypatch.setenv(name, "1001" if name.endswith("TENANT_ID") else f"value-of-{name}")


def uncommented(text: str) -> str:
    """Return the starter with every key in force: `# key: …` and what belongs below it."""
    lines = [re.sub(r"^(\s*)# (?=\s*(- )?[a-z_.*]+:( |$))", r"\1", line) for line in text.splitlines()]
    return "\n".join(lines)


def test_there_are_the_examples_that_the_readme_names() -> None:
    assert {path.stem for path in EXAMPLES} >= {"nightly", "backfill", "demo", "many-tenants", "s3", "gcs", "azure"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = path.read_text(encoding="utf-8")
    set_variables(text, monkeypatch)
    for secret in re.findall(r"\$\{file:(\S+)\}", text):
        (tmp_path / secret).parent.mkdir(exist_ok=True)
        (tmp_path / secret).write_text("a-secret\n")
    copy = tmp_path / path.name
    copy.write_text(text, encoding="utf-8")
    assert load_config(copy).tenants


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_entities_that_exist(path: Path) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    overrides = [name for name in data.get("entities", {}) if not is_glob(name)]
    chosen = select(load_catalog(), select=data.get("select", ["*"]), exclude=data.get("exclude", []), kinds=("feed", "list", "plain"))
    assert chosen.names
    assert [name for name in overrides if load_catalog().get(name) is None] == []


def test_the_starter_is_valid_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "st-export.yaml").write_text(starter("starter.yaml"))
    set_variables(starter("starter.yaml"), monkeypatch)
    config = load_config(tmp_path / "st-export.yaml")
    assert (config.tenants[0].id, config.output.url) == (1001, str(tmp_path / "lake"))


def test_the_starter_with_every_key_in_force_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = uncommented(starter("starter.yaml"))
    (tmp_path / "st-export.yaml").write_text(text)
    set_variables(text, monkeypatch)
    assert load_config(tmp_path / "st-export.yaml").reports[0].parameters == {"From": "{day}", "To": "{day}", "DateType": 1}


def test_the_starter_has_every_key() -> None:
    data = yaml.safe_load(uncommented(starter("starter.yaml")))
    assert sorted(missing_keys(Config, data)) == []


def test_the_defaults_in_the_starter_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = uncommented(starter("starter.yaml"))
    set_variables(text, monkeypatch)
    (tmp_path / "st-export.yaml").write_text(text)
    config = load_config(tmp_path / "st-export.yaml")
    assert (config.limits, config.capacity) == (type(config.limits)(), type(config.capacity)())
    assert (config.kinds, config.select, config.recent_changes) == (("feed", "list", "plain", "report"), ("*",), False)
    assert config.output == type(config.output)(url=config.output.url)


def test_the_example_of_variables_has_every_variable_of_the_starter() -> None:
    names = set(VARIABLE.findall(starter("starter.yaml"))) - {"NAME"}
    assert names == set(re.findall(r"^(?:# )?([A-Z_]+)=", starter("env.example"), re.MULTILINE))


def missing_keys(model: type[BaseModel], data: dict[str, Any], place: str = "") -> list[str]:
    """Return the keys of a model that no entry of the data has, sections inside included."""
    missing: list[str] = []
    for name, field in model.model_fields.items():
        values = [entry[name] for entry in entries(data) if name in entry]
        if not values:
            missing.append(f"{place}{name}")
        section = next((found for found in (field.annotation, *get_args(field.annotation)) if is_section(found)), None)
        if section is not None:
            missing += missing_keys(section, values[0] if values else {}, f"{place}{name}.")
    return missing


def entries(data: Any) -> list[dict[str, Any]]:
    """Return the mappings of a section, of a list of them, or of a mapping of names to them."""
    if isinstance(data, list):
        return data
    values = list(data.values())
    return values if values and all(isinstance(value, dict) for value in values) else [data]


def is_section(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)

"""CHANGELOG.md is in the format that it claims, and speaks of commands that exist."""

from __future__ import annotations

import re
import tomllib

from st_export.commands.app import COMMANDS
from tests.docs.documents import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_its_headings_are_versions_with_dates_the_newest_first() -> None:
    versions = re.findall(r"^## \[(.+?)\](.*)$", TEXT, re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert [rest for _, rest in versions[1:] if not re.fullmatch(r" - \d{4}-\d\d-\d\d", rest)] == []
    numbers = [tuple(map(int, name.split("."))) for name, _ in versions[1:]]
    assert numbers == sorted(numbers, reverse=True)


def test_its_sections_are_the_kinds_of_the_format_and_each_has_entries() -> None:
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        parts = re.split(r"^### (.+)$", section, flags=re.MULTILINE)[1:]
        kinds, bodies = parts[::2], parts[1::2]
        assert set(kinds) <= KINDS
        assert len(kinds) == len(set(kinds))
        assert [kind for kind, body in zip(kinds, bodies, strict=True) if not re.search(r"^- \S", body, re.MULTILINE)] == []


def test_the_version_of_the_package_stands_in_it() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"(?<![\d.]){re.escape(version)}(?![\d.]\d)", TEXT)


def test_every_command_is_told_of() -> None:
    assert [name for name in COMMANDS if not re.search(rf"`{name}[ `]", TEXT)] == []

"""What ships: the types marker and every data file, none lost to an ignore rule."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.docs.documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOT_SHIPPED = ("__pycache__", ".pyc")


def package_files(root: Path) -> set[str]:
    found = (path for path in (root / "st_export").rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix() for path in found if not any(part in str(path) for part in NOT_SHIPPED)}


def test_the_package_is_typed_and_its_data_lies_in_it() -> None:
    files = package_files(ROOT)
    assert {"st_export/py.typed", "st_export/commands/starter.yaml", "st_export/catalog/data/jpm.json"} <= files
    assert {"st_export/observe/templates/report.html.j2", "st_export/simulate/data/jpm.json"} <= files


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="not a clone")
def test_no_file_of_the_package_is_ignored() -> None:
    """What git ignores, the build leaves out of the wheel."""
    command = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "--others",
        "--ignored",
        "--exclude-standard",
        "st_export",
        "tests",
        "configs",
        "benchmarks",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [name for name in shown.stdout.splitlines() if not any(part in name for part in NOT_SHIPPED)] == []


@pytest.mark.heavy
def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "st_export", source / "st_export", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert package_files(ROOT) - names == set()

"""What a crash, a full or torn disk or a careless hand leaves of the state: never taken for a first run without a word."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.crash.program import run
from tests.crash.runs import ENTITIES, KILLED, Runs, data_files
from tests.storage.mounts import remount_read_only, tmpfs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TORN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda body: bytes(len(body)),
    "cut": lambda body: body[: len(body) // 2],
    "newer": lambda body: body.replace(b'"version": 1', b'"version": 2'),
}


@pytest.mark.parametrize("how", TORN)
def test_a_damaged_checkpoint_ends_with_a_hint_and_is_rebuilt_when_moved_away(runs: Runs, how: str) -> None:
    runs.entities = ("jpm.jobs", "settings.user-roles")
    assert runs.run().code == 0
    before, files = runs.checkpoint.read_bytes(), data_files(runs.lake)
    runs.checkpoint.write_bytes(TORN[how](before))
    assert runs.checkpoint.read_bytes() != before
    code, _, stderr = run(runs, "run")
    assert (code, "hint: " in stderr, "Traceback" in stderr) == (2, True, False), stderr
    assert data_files(runs.lake) == files

    runs.checkpoint.rename(runs.folder / "damaged.json")
    code, _, stderr = run(runs, "run")
    assert (code, "rebuilt from the manifests" in stderr) == (0, True), stderr
    assert (runs.compare(), data_files(runs.lake)) == ([], files)


def test_a_lost_checkpoint_is_rebuilt_and_feeds_go_on_from_their_tokens(runs: Runs) -> None:
    runs.entities = ("jpm.jobs", "crm.contacts")
    assert runs.run().code == 0
    runs.checkpoint.unlink()
    runs.look_alike.control("reset_stats")
    assert runs.run().rows == 0
    asked = [seen["query"] for seen in runs.look_alike.stats(log=True)["log"] if seen["path"].endswith("/export/jobs")]
    assert (len(asked), "from" in asked[0], runs.compare()) == (1, True, [])


def test_a_lost_checkpoint_in_the_middle_of_a_pass(runs: Runs) -> None:
    runs.entities, runs.more = ("crm.contacts",), {"entities": {"crm.contacts": {"page_size": 2}}}
    assert runs.run(kill=("crm.contacts", "checkpoint", 3)).code == KILLED
    runs.checkpoint.unlink()
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over()) == (0, [], []), resumed.stderr
    assert runs.run().rows == 0


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_power_loss_leaves_torn_files_of_what_was_not_committed(runs: Runs, keep: int) -> None:
    """After a power loss an uncommitted file may have any length, under its temporary name or its final one."""
    runs.entities = ("jpm.jobs",)
    assert runs.run(kill=("jpm.jobs", "files", 1)).code == KILLED
    torn = data_files(runs.lake)
    for path in torn:
        os.truncate(path, keep if keep >= 0 else path.stat().st_size - 1)
    (torn[0].parent / "run-0001-tdeadbeef-00.parquet").write_bytes(b"PAR1")
    state = runs.lake / "_st_export"
    for folder in (*(state / "tmp").glob("*-*"), state / "intents" / "1001"):
        (folder / "torn.json").write_bytes(b'{"version": 1, "fi')
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over()) == (0, [], []), resumed.stderr


def test_a_folder_that_cannot_be_written_is_refused(runs: Runs) -> None:
    runs.entities = ("jpm.jobs",)
    with tmpfs(runs.lake, "20m") as lake:
        assert runs.run().code == 0
        files = data_files(lake)
        remount_read_only(lake)
        code, _, stderr = run(runs, "run")
        assert (code, "hint: " in stderr, "Traceback" in stderr, data_files(lake)) == (2, True, False, files), stderr


def test_a_full_disk_fails_the_run_and_space_lets_it_complete(runs: Runs) -> None:
    with tmpfs(runs.lake, "8m") as lake:
        runs.entities = ("jpm.jobs",)
        assert runs.run().code == 0
        fill(lake / "filling")
        runs.entities = ENTITIES
        code, _, stderr = run(runs, "run")
        assert (code in (1, 2, 4), "no space" in stderr.lower(), "Traceback" in stderr) == (True, True, False), stderr
        runs.check_readable()
        assert json.loads(runs.checkpoint.read_bytes())["version"] == 1
        (lake / "filling").unlink()
        code, _, stderr = run(runs, "run", "-v")
        assert (code, runs.compare(), runs.left_over()) == (0, [], []), stderr


def fill(path: Path) -> None:
    """Take all the space that is left."""
    with path.open("wb", buffering=0) as filling, suppress(OSError):
        while filling.write(bytes(4096)):
            pass

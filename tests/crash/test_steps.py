"""A real process is killed at every labelled step of a commit, kind by kind of entity; the same command then ends as if nothing
had happened."""

from __future__ import annotations

import pytest

from tests.crash.runs import ENTITIES, KILLED, KINDS, Runs

STEPS = ("intent", "file", "files", "manifest", "checkpoint", "cleared")
BEFORE_THE_COMMIT = ("intent", "file", "files")


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_each_step(runs: Runs, kind: str) -> None:
    runs.entities = (KINDS[kind],)
    for step in STEPS:
        runs.look_alike.control("add", where=KINDS[kind])
        before = runs.committed()
        assert runs.run(kill=(KINDS[kind], step, 1)).code == KILLED, step
        runs.check_readable()
        assert runs.committed() - before == (0 if step in BEFORE_THE_COMMIT else 1), step
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over()) == (0, [], []), resumed.stderr
    assert runs.run().rows == 0


@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize("step", ["file", "manifest"])
def test_killed_between_the_windows_of_a_list(runs: Runs, step: str, number: int) -> None:
    runs.entities, runs.more = ("crm.contacts",), {"entities": {"crm.contacts": {"page_size": 2}}}
    assert runs.run(kill=("crm.contacts", step, number)).code == KILLED
    done = runs.committed()
    assert done >= (number if step == "manifest" else 0)  # windows are committed side by side
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over()) == (0, [], []), resumed.stderr
    assert runs.committed() > done


def test_killed_in_one_entity_while_others_commit(runs: Runs) -> None:
    for entity in ENTITIES:
        runs.look_alike.control("add", where=entity)
        assert runs.run(kill=(entity, "files", 1)).code == KILLED
        runs.check_readable()
    resumed = runs.run()
    assert (resumed.code, runs.compare(), runs.left_over()) == (0, [], []), resumed.stderr

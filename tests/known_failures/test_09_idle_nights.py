"""Case 9: an idle night saves the new token; a token that is refused twice leads to a date, not to failing for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lookalike import Service, service
from tests.truth import same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NAME, PATH = "jpm.jobs", "/jpm/v2/tenant/1001/export/jobs"


def page(token: str, *, has_more: bool = False) -> dict[str, Any]:
    return {"hasMore": has_more, "continueFrom": token, "data": []}


async def test_each_idle_run_asks_with_the_token_of_the_one_before(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        for number in range(1, 5):
            running.look_alike.simulation.answer_with(PATH, page(f"t{number}"))
            ended = await running.run(NAME)
            assert (ended.exit_code, ended.rows, ended.files) == (0, 0, 0)
            assert [seen.query.get("from") for seen in ended.log] == [None if number == 1 else f"t{number - 1}"]
        assert running.lake.files() == []


async def test_a_service_that_honours_only_its_newest_token_is_never_asked_with_an_older_one(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {NAME: 60}, "newest_token_only": True}) as running:
        for number in range(6):
            ended = await running.run(NAME)
            assert (ended.exit_code, ended.rows) == (0, 0 if number else 60)
        assert running.look_alike.stats.by_status[400] == 0


def stuck(running: Service, times: int) -> None:
    """Refuse what is asked by a token, so many times."""
    simulation, inner = running.look_alike.simulation, running.look_alike.simulation.answer
    left = times

    async def answer(method: str, path: str, query: dict[str, str], *rest: Any) -> Any:
        nonlocal left
        if path == PATH and left and not query.get("from", "2").startswith("2"):
            left -= 1
            simulation.tokens.refuse(f"1001{'/jpm/v2/tenant/{tenant}/export/jobs'}")
        return await inner(method, path, query, *rest)

    simulation.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("refusals", [1, 3])
async def test_a_refused_token_is_replaced_by_a_date(tmp_path: Path, refusals: int) -> None:
    async with service(tmp_path, {"row_counts": {NAME: 40}, "feed_page_rows": 15}) as running:
        await running.run(NAME)
        running.changes.add(NAME)
        stuck(running, refusals)
        ended = await running.run(NAME)
        assert (ended.exit_code, ended.rows, ended.bad()) == (0, 1, {})
        assert same(running.lake, running.look_alike, [NAME]) == 41


async def test_tokens_that_are_always_refused_fail_the_feed_and_the_next_run_brings_it(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {NAME: 40}, "feed_page_rows": 1}) as running:
        await running.run(NAME)
        running.changes.add(NAME)
        answers = running.look_alike.simulation.answer
        stuck(running, 1_000)
        ended = await running.run(NAME)
        assert (ended.exit_code, ended.statuses()) == (4, {NAME: "failed"})
        assert len(ended.log) < 20
        running.look_alike.simulation.answer = answers  # type: ignore[method-assign]
        again = await running.run(NAME)
        assert (again.exit_code, same(running.lake, running.look_alike, [NAME])) == (0, 41)


async def test_the_same_token_again_and_again_ends_in_an_error_that_keeps_the_position(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.look_alike.simulation.answer_with(PATH, page("same", has_more=True))
        ended = await running.run(NAME)
        assert (ended.exit_code, len(ended.log) <= 6) == (4, True)
        assert "continueFrom" in ended.entities()[NAME]["error"]
        running.look_alike.simulation.clear_answers()
        assert (await running.run(NAME)).exit_code == 0


async def test_empty_pages_with_more_behind_them_are_passed(tmp_path: Path) -> None:
    async with service(tmp_path, {"row_counts": {NAME: 10}}) as running:
        running.look_alike.simulation.answer_with(PATH, page("a", has_more=True), query="")
        running.look_alike.simulation.answer_with(PATH, page("2026-01-01", has_more=True), query="from=a")
        running.look_alike.simulation.answer_with(PATH, page("b"), query="from=2026-01-01")
        ended = await running.run(NAME)
        assert ([seen.query.get("from") for seen in ended.log], ended.exit_code) == ([None, "a", "2026-01-01"], 0)

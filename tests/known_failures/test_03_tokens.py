"""Case 3: a token that dies during a wait; odd answers of the token endpoint."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import Fault
from tests.lookalike import service
from tests.truth import same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NAME = "jpm.jobs"


async def test_a_token_that_died_during_a_wait_is_not_sent(tmp_path: Path) -> None:
    wait = Fault("rate-limited", seconds=3.0, after=20, times=1)
    options = {"row_counts": {NAME: 200}, "feed_page_rows": 5, "token_life_seconds": 2.0, "faults": (wait,), "retry_after": "header"}
    async with service(tmp_path, options) as running:
        began = time.monotonic()
        ended = await running.run(NAME)
        elapsed = time.monotonic() - began
        assert (ended.exit_code, same(running.lake, running.look_alike, [NAME])) == (0, 200)
        assert running.look_alike.stats.by_status[401] == 0
        assert 2 <= running.look_alike.stats.token_requests <= elapsed / 2 + 2


@pytest.mark.parametrize(
    "answers", [("no-expiry",), ("text-expiry",), ("zero-expiry",), ("reset", "html503"), ("throttle",)], ids=lambda answers: answers[0]
)
async def test_odd_answers_are_borne(tmp_path: Path, answers: tuple[str, ...]) -> None:
    options = {"row_counts": {NAME: 40}, "feed_page_rows": 10, "token_answers": answers}
    async with service(tmp_path, options) as running:
        ended = await running.run(NAME)
        assert (ended.exit_code, same(running.lake, running.look_alike, [NAME])) == (0, 40)
        assert not any("client_id" in note.text for note in ended.notes)

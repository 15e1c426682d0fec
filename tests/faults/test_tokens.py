"""Tokens that end in mid-run, are revoked, or come with odd answers; a token endpoint out of order is never called wrong credentials."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest

from st_export.simulate.options import Fault
from tests.faults.conftest import ENTITIES
from tests.truth import same

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

pytestmark = pytest.mark.anyio

ODD: tuple[tuple[str, ...], ...] = (
    ("reset", "reset", "html503"), ("no-expiry",), ("text-expiry",), ("zero-expiry",), ("throttle",), ("html503", "no-expiry"),
)  # fmt: skip


@pytest.mark.parametrize("answers", ODD, ids="-".join)
async def test_odd_answers_of_the_token_endpoint(faulty: Faulty, answers: tuple[str, ...]) -> None:
    async with faulty(token_answers=answers) as service:
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, ended.bad()) == (0, {})
        assert service.look_alike.stats.token_requests <= len(answers) + 2
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_token_that_ends_in_mid_run_is_renewed_ahead(faulty: Faulty) -> None:
    life = 1.0
    async with faulty(token_life_seconds=life, latency_seconds=(0.2, 0.4)) as service:
        began = time.monotonic()
        ended = await service.run(*ENTITIES)
        stats, seconds = service.look_alike.stats, time.monotonic() - began
        assert (ended.exit_code, ended.bad()) == (0, {})
        assert 2 <= stats.token_requests <= seconds / life + 2
        same(service.lake, service.look_alike, ENTITIES)


async def test_no_dead_token_is_replayed_after_a_wait(faulty: Faulty) -> None:
    throttled = Fault("rate-limited", rate=0.05, seconds=1.5)
    async with faulty(throttled, token_life_seconds=1) as service:
        began = time.monotonic()
        ended = await service.run(*ENTITIES)
        stats, seconds = service.look_alike.stats, time.monotonic() - began
        assert (ended.exit_code, stats.rate_limited > 0) == (0, True)
        assert stats.token_requests <= seconds / 1.0 + 2
        assert stats.by_status[401] <= stats.token_requests, "one 401 a token at most: those at the wire when it ended"
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_revoked_token_is_renewed_once_for_all(faulty: Faulty) -> None:
    async with faulty(latency_seconds=(0.02, 0.02)) as service:
        simulation = service.look_alike.simulation
        simulation.faults.add(Fault("unauthorized", after=5, times=1))
        simulation.faults.add(Fault("unauthorized", after=40, times=1))
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, ended.bad(), service.look_alike.stats.token_requests) == (0, {}, 3)
        same(service.lake, service.look_alike, ENTITIES)


async def test_all_tokens_die_in_mid_run(faulty: Faulty) -> None:
    async with faulty(latency_seconds=(0.02, 0.02)) as service, anyio.create_task_group() as tasks:

        async def revoke() -> None:
            for requests in (10, 30):
                while service.look_alike.stats.requests < requests:  # noqa: ASYNC110 -- the look-alike tells nobody
                    await anyio.sleep(0.005)
                service.look_alike.simulation.auth.expire_tokens()

        tasks.start_soon(revoke)
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, ended.bad(), service.look_alike.stats.token_requests) == (0, {}, 3)
        same(service.lake, service.look_alike, ENTITIES)


async def test_a_service_that_takes_no_token_refuses_the_entity(faulty: Faulty) -> None:
    async with faulty(Fault("unauthorized", path="*/settings/*")) as service:
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, list(ended.bad())) == (4, ["settings.user-roles"])
        assert service.look_alike.stats.token_requests <= 3


async def test_wrong_credentials_end_the_run_at_once(faulty: Faulty) -> None:
    async with faulty(token_answers=("invalid-client",) * 10) as service:
        ended = await service.run(*ENTITIES)
        error = ended.summary["tenants"][0].get("error") or next(iter(ended.bad().values()))
        assert (ended.exit_code, "client_secret" in error, service.look_alike.stats.token_requests) == (3, True, 1)
        assert ended.log == []

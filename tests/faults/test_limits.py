"""The rate limit and its refusals: kept where it is known, waited out where the service tells, shared by the whole tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from st_export.simulate.options import Fault
from tests.faults.conftest import ENTITIES
from tests.truth import same

if TYPE_CHECKING:
    from st_export.simulate.stats import Seen
    from tests.faults.conftest import Faulty

pytestmark = pytest.mark.anyio

LIMIT = 25

JITTER = 1
"""Client and service share a loop and a loaded machine here: one call may arrive so late that it falls into the next one's second. Exactly
counted, with both in processes of their own, is `python -m benchmarks rate`."""


async def test_no_rolling_second_exceeds_the_limit(faulty: Faulty) -> None:
    async with faulty(requests_per_second=LIMIT + JITTER) as service:
        ended = await service.run(*ENTITIES, limits={"requests_per_second": LIMIT})
        stats = service.look_alike.stats
        assert (ended.exit_code, stats.worst_second <= LIMIT + JITTER, stats.rate_limited) == (0, True, 0), stats.worst_second
        same(service.lake, service.look_alike, ENTITIES)


async def test_retries_count_within_the_limit_too(faulty: Faulty) -> None:
    broken = (Fault("error-json", rate=0.1), Fault("reset", rate=0.1), Fault("rate-limited", rate=0.1, seconds=0.1))
    async with faulty(*broken, rows=100) as service:
        ended = await service.run(*ENTITIES, limits={"requests_per_second": LIMIT})
        assert (ended.exit_code, service.look_alike.stats.worst_second <= LIMIT + JITTER) == (0, True)
        same(service.lake, service.look_alike, ENTITIES)


@pytest.mark.parametrize("place", ["header", "body", "both", "none"])
async def test_a_storm_of_429_ends(faulty: Faulty, place: Literal["header", "body", "both", "none"]) -> None:
    """The service allows far less than the configuration believes."""
    async with faulty(requests_per_second=8, retry_after=place, rows=60) as service:
        ended = await service.run(*ENTITIES[:4], limits={"requests_per_second": 60, "max_in_flight": 16})
        assert (ended.exit_code, ended.bad(), service.look_alike.stats.rate_limited > 0) == (0, {}, True)
        same(service.lake, service.look_alike, ENTITIES[:4])


async def test_a_429_holds_the_whole_tenant_back(faulty: Faulty) -> None:
    wait = 1.0
    async with faulty(Fault("rate-limited", after=20, times=1, seconds=wait), latency_seconds=(0.01, 0.03)) as service:
        ended = await service.run(*ENTITIES)
        [refused] = [seen for seen in ended.log if seen.status == 429]
        during = [seen for seen in ended.log if refused.at < seen.at < refused.at + wait]
        assert (ended.exit_code, ended.summary["totals"]["rate_limited"]) == (0, 1)
        assert len(during) <= len(ENTITIES) * 4, "only what was at the wire already"
        assert late(during, refused) == []


def late(during: list[Seen], refused: Seen) -> list[Seen]:
    """Return what left long after the refusal had come."""
    return [seen for seen in during if seen.at > refused.at + 0.5]


async def test_a_wait_that_is_too_long_fails_what_asked_and_says_so(faulty: Faulty) -> None:
    async with faulty(Fault("rate-limited", path="*/settings/*", seconds=3_000)) as service:
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, list(ended.bad())) == (4, ["settings.user-roles"])
        assert "3,000 seconds" in ended.bad()["settings.user-roles"]

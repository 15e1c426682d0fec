"""The rate limit and its refusals: kept where it is known, waited out where the service tells, shared by the whole tenant."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from st_export.config.model import Config
from st_export.exporter import ExportRequest, export
from st_export.simulate.options import Fault, SimulateOptions
from st_export.simulate.process import start_in_process
from tests.faults.conftest import ENTITIES, SETTINGS
from tests.soak.compare import compare
from tests.truth import same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from st_export.simulate.process import RemoteLookAlike
    from st_export.simulate.stats import Seen
    from tests.faults.conftest import Faulty

pytestmark = pytest.mark.anyio

LIMIT = 25


@contextmanager
def apart(folder: Path, *faults: Fault, **options: Any) -> Iterator[tuple[RemoteLookAlike, Config]]:
    """Run the look-alike of `faulty` in a process of its own, so that it counts arrivals on a loop of its own."""
    defaults: dict[str, Any] = {
        "rows": 200, "years": 0.03, "requests_per_second": 0, "feed_lag_seconds": 0, "feed_page_rows": 20, "faults": faults,
    }  # fmt: skip
    with start_in_process(SimulateOptions(**{**defaults, **options})) as look_alike:
        access = look_alike.tenants[0]
        tenant = {"id": access.id, "client_id": access.client_id, "client_secret": access.client_secret, "app_key": access.app_key}
        config = {
            "api_url": look_alike.api_url, "auth_url": look_alike.auth_url, "tenants": [tenant], "output": {"url": str(folder)},
            "limits": {"requests_per_second": LIMIT}, **SETTINGS,
        }  # fmt: skip
        yield look_alike, Config.model_validate(config)


async def test_no_rolling_second_exceeds_the_limit(tmp_path: Path) -> None:
    with apart(tmp_path, requests_per_second=LIMIT) as (look_alike, config):
        summary = await export(config, ExportRequest(select=ENTITIES))
        stats = look_alike.stats()
        assert (summary["exit_code"], stats["worst_second"] <= LIMIT, stats["rate_limited"]) == (0, True, 0), stats["worst_second"]
        assert compare(tmp_path, look_alike, look_alike.tenants[0].id, ENTITIES).differences == []


async def test_retries_count_within_the_limit_too(tmp_path: Path) -> None:
    broken = (Fault("error-json", rate=0.1), Fault("reset", rate=0.1), Fault("rate-limited", rate=0.1, seconds=0.1))
    with apart(tmp_path, *broken, rows=100) as (look_alike, config):
        summary = await export(config, ExportRequest(select=ENTITIES))
        assert (summary["exit_code"], look_alike.stats()["worst_second"] <= LIMIT) == (0, True)
        assert compare(tmp_path, look_alike, look_alike.tenants[0].id, ENTITIES).differences == []


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

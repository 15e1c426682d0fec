"""Each fault of the look-alike alone, at rates of 5 to 20 percent, and all of them mixed: the export ends complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import Fault
from tests.faults.conftest import ENTITIES
from tests.truth import same

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

pytestmark = pytest.mark.anyio

ALONE = (
    Fault("error-json", rate=0.15),
    Fault("error-json", rate=0.1, status=502),
    Fault("error-html", rate=0.15),
    Fault("rate-limited", rate=0.15, seconds=0.05),
    Fault("reset", rate=0.15),
    Fault("reset-in-body", rate=0.15),
    Fault("reset-in-body", rate=0.1, size=0),
    Fault("cut", rate=0.1),
    Fault("slow-body", rate=0.2, seconds=0.2),
    Fault("empty-page", rate=0.2),
    Fault("repeat-token", rate=0.2, times=3),  # a feed that repeats it four times in a row is stuck
    Fault("mislabelled-gzip", rate=0.1),
    Fault("unlabelled-gzip"),
    Fault("unlabelled-gzip", rate=0.2),
    Fault("gzip-members", rate=0.2),
    Fault("bom"),
    Fault("bom", rate=0.2),
    Fault("no-content-type", rate=0.2),
    Fault("wrong-content-type", rate=0.2),
    Fault("wrong-charset", rate=0.2),
)
MIXED = tuple(
    Fault(kind, rate=0.03, seconds=0.05)
    for kind in (
        "error-json", "error-html", "rate-limited", "reset", "reset-in-body", "cut", "slow-body", "empty-page", "repeat-token",
        "mislabelled-gzip", "unlabelled-gzip", "gzip-members", "bom", "no-content-type", "wrong-content-type", "wrong-charset",
    )
)  # fmt: skip


@pytest.mark.parametrize("fault", ALONE, ids=lambda fault: f"{fault.kind}-{fault.rate}")
async def test_a_fault_alone_costs_no_row(faulty: Faulty, fault: Fault) -> None:
    async with faulty(fault) as service:
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, ended.bad()) == (0, {})
        assert service.look_alike.stats.faults[fault.kind] > 0
        same(service.lake, service.look_alike, ENTITIES)


@pytest.mark.parametrize("seed", [1, 2])
async def test_all_faults_mixed_cost_no_row(faulty: Faulty, seed: int) -> None:
    async with faulty(*MIXED, seed=seed, churn_every=10) as service:
        ended = await service.run(*ENTITIES)
        assert (ended.exit_code, ended.bad()) == (0, {})
        struck = service.look_alike.stats.faults.total()
        service.look_alike.simulation.set_options(churn_every=0)
        assert (struck > 10, (await service.run(*ENTITIES)).exit_code) == (True, 0)
        same(service.lake, service.look_alike, ENTITIES)

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import start_in_process
from tests.crash.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from st_export.simulate.process import RemoteLookAlike

TENANT = SimulateOptions(rows=240, years=0.2, requests_per_second=0, feed_lag_seconds=0, feed_page_rows=20)


@pytest.fixture(scope="module")
def look_alike() -> Iterator[RemoteLookAlike]:
    with start_in_process(TENANT) as running:
        yield running


@pytest.fixture
def runs(look_alike: RemoteLookAlike, tmp_path: Path) -> Runs:
    look_alike.control("faults", faults=[])
    look_alike.control("options", latency_seconds=[0.0, 0.0])
    look_alike.control("reset_stats")
    return Runs(look_alike, tmp_path)

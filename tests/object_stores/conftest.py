from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import SimulateOptions
from st_export.simulate.process import start_in_process
from tests.object_stores.buckets import BucketRuns
from tests.object_stores.server import BUCKET, S3, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from st_export.simulate.process import RemoteLookAlike

TENANT = SimulateOptions(rows=120, years=0.1, requests_per_second=0, feed_lag_seconds=0, feed_page_rows=20)


@pytest.fixture(scope="package")
def server() -> Iterator[S3]:
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(server: S3) -> S3:
    server.before = server.after = None
    server.asked.clear()
    return server


@pytest.fixture(scope="package")
def running_look_alike() -> Iterator[RemoteLookAlike]:
    with start_in_process(TENANT) as running:
        yield running


@pytest.fixture
def look_alike(running_look_alike: RemoteLookAlike) -> RemoteLookAlike:
    running_look_alike.control("faults", faults=[])
    running_look_alike.control("options", latency_seconds=[0.0, 0.0])
    running_look_alike.control("reset_stats")
    return running_look_alike


@pytest.fixture
def runs(s3: S3, look_alike: RemoteLookAlike, tmp_path: Path) -> BucketRuns:
    return BucketRuns(look_alike, tmp_path, url=f"s3://{BUCKET}/{tmp_path.name}", options=s3.options())

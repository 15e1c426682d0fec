"""The suite against every store that runs here: a folder, the memory, S3."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from st_export.storage.open import open_store
from tests.storage.servers import BUCKET, s3_options, s3_server
from tests.storage.suite import RaceSuite, StoreSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from st_export.commit.store import Store


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


class TestFolder(StoreSuite, RaceSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store("./the lake", {}, tmp_path)


class TestMemory(StoreSuite, RaceSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store("memory://", {}, tmp_path)


class TestS3(StoreSuite):
    @pytest.fixture
    def store(self, endpoint: str, tmp_path: Path) -> Store:
        return open_store(f"s3://{BUCKET}/{uuid.uuid4().hex}", s3_options(endpoint), tmp_path)

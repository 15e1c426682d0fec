"""Stores for the tests of commits: the memory where the store does not matter, an S3 server where it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.storage.open import open_store
from tests.storage.servers import s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from st_export.commit.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store("memory://", {}, tmp_path)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint

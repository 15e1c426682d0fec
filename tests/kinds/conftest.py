"""A look-alike, and exports of it into a lake of the test's own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.lookalike import service

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.lookalike import Service


@pytest.fixture
def serving(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Service]]:
    """Return a context: a look-alike with the options given, and exports of it."""

    def run(options: dict[str, Any] | None = None, **settings: Any) -> AbstractAsyncContextManager[Service]:
        return service(tmp_path / "lake", options, **{"output": {"partition": "none"}, **settings})

    return partial(run)

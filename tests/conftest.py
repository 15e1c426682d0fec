"""What every test may use."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, not about the code.
settings.register_profile("st-export", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("st-export")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"

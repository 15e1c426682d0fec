"""What every test may use."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, not about the code.
settings.register_profile("st-export", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time, so that a change is judged by what it changes; HYPOTHESIS_RANDOM=1 looks for new ones.
settings.register_profile("repeatable", settings.get_profile("st-export"), derandomize=True)
settings.load_profile("st-export" if os.environ.get("HYPOTHESIS_RANDOM") else "repeatable")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"

"""Records put together from blocks read as if they had been written by themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from st_export.simulate.clock import ticks_of
from st_export.simulate.options import SimulateOptions
from st_export.simulate.routes import all_routes
from st_export.simulate.tenant import Tenant

LISTS = [route for route in all_routes() if route.kind == "list"]


@pytest.mark.parametrize("route", LISTS[::10], ids=lambda route: route.collection)
def test_a_small_page_has_the_texts_of_a_large_one(route: object) -> None:
    tenant = Tenant(1001, SimulateOptions(rows=300), ticks_of(datetime(2026, 1, 1, tzinfo=UTC)))
    count = tenant.rows(route.collection).count  # type: ignore[attr-defined]
    large = tenant.write(route, np.concatenate([np.arange(count), np.zeros(101, dtype=np.int64)]))  # type: ignore[arg-type]
    assert [text for row in range(count) for text in tenant.write(route, np.array([row]))] == large[:count]  # type: ignore[arg-type]

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lookalike import Service, service

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Protocol

    from st_export.simulate.options import Fault

    class Faulty(Protocol):
        def __call__(self, *faults: Fault, **options: Any) -> AbstractAsyncContextManager[Service]: ...


ENTITIES = (
    "jpm.jobs", "crm.customers", "accounting.payments", "crm.contacts", "taskmanagement.tasks", "settings.user-roles", "forms.submissions",
)  # fmt: skip
"""Feeds, lists, and lists that are read whole."""

SETTINGS = {"entities": {"*": {"page_size": 10}}}


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    """Return what runs a look-alike that makes this trouble, with small pages so that there is much to spoil."""

    def start(*faults: Fault, **options: Any) -> AbstractAsyncContextManager[Service]:
        return service(tmp_path / "lake", {"faults": faults, "feed_page_rows": 20, "rows": 200, **options}, **SETTINGS)

    return start

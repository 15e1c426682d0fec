"""Case 12: answers whose compression or text encoding is mislabelled are read all the same, or asked again; none is cut in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.simulate.options import Fault
from tests.lookalike import service
from tests.truth import same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NAMES = ("jpm.jobs", "inventory.vendors")


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("mislabelled-gzip", 0.1),
        ("unlabelled-gzip", 1.0),
        ("gzip-members", 1.0),
        ("bom", 1.0),
        ("wrong-content-type", 1.0),
        ("wrong-charset", 1.0),
        ("no-content-type", 1.0),
    ],
)
async def test_all_rows_come(tmp_path: Path, kind: str, rate: float) -> None:
    options = {"row_counts": dict.fromkeys(NAMES, 40), "feed_page_rows": 10, "faults": (Fault(kind, rate=rate),)}  # type: ignore[arg-type]
    async with service(tmp_path, options, entities={"*": {"page_size": 10}}) as running:
        ended = await running.run(*NAMES)
        assert (ended.exit_code, ended.bad()) == (0, {})
        assert same(running.lake, running.look_alike, NAMES) == 80
        assert running.look_alike.stats.faults[kind] > 0

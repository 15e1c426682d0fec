"""An export that also tells, twenty times a second, how many requests of each tenant were ready to leave.

    python -m benchmarks.rate_probe CONFIG.yaml SAMPLES.json

Ready is what has asked for a place and has not left yet: the only thing that is added to the exporter here is that count. Times are
the machine's monotonic seconds, which the look-alike uses as well.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from st_export.config.load import load_config
from st_export.exporter import ExportRequest, export
from st_export.fetch.limiter import Departure, Limiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVERY_SECONDS = 0.05


class Ready:
    """Counts, by tenant, the requests between their wish to leave and their departure."""

    def __init__(self) -> None:
        self.now: Counter[int] = Counter()
        self.samples: list[tuple[float, dict[int, int]]] = []

    def install(self) -> None:
        """Put the count around the limiter's two doors."""
        slot, leave, now = Limiter.slot, Departure.leave, self.now

        @asynccontextmanager
        async def counted_slot(limiter: Limiter, entity: str, most: int | None = None) -> AsyncIterator[Departure]:
            tenant = limiter._tenant  # noqa: SLF001 - the count looks where the exporter has no window
            now[tenant] += 1
            waits = True
            try:
                async with slot(limiter, entity, most) as departure:
                    try:
                        yield departure
                    finally:
                        waits = departure.left_at is None
            finally:
                now[tenant] -= waits

        async def counted_leave(departure: Departure) -> None:
            await leave(departure)
            now[departure._limiter._tenant] -= 1  # noqa: SLF001 - as above

        Limiter.slot, Departure.leave = counted_slot, counted_leave  # type: ignore[method-assign,assignment]

    async def sample(self) -> None:
        """Note the count until cancelled."""
        while True:
            self.samples.append((time.monotonic(), dict(self.now)))
            await anyio.sleep(EVERY_SECONDS)


async def main(config: Path) -> list[tuple[float, dict[int, int]]]:
    """Export, and return the samples."""
    ready = Ready()
    ready.install()
    async with anyio.create_task_group() as group:
        group.start_soon(ready.sample)
        summary = await export(load_config(config), ExportRequest())
        group.cancel_scope.cancel()
    assert summary["outcome"] == "complete", summary
    return ready.samples


if __name__ == "__main__":
    found = anyio.run(main, Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps([[at, list(counts.items())] for at, counts in found]))

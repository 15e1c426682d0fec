"""One call under way: who asks what, of which tenant's data; and the pages kept for the next one who asks the same."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.simulate.answers import Answer
    from st_export.simulate.clock import SimulatedClock
    from st_export.simulate.options import Fault, SimulateOptions
    from st_export.simulate.routes import Match
    from st_export.simulate.rows import Rows
    from st_export.simulate.tenant import Tenant
    from st_export.simulate.values import Array

IN_THREAD_FROM_ROWS = 100
"""Pages of more rows are written in a thread, so that arrivals are counted when they arrive."""


_SELECTIONS_KEPT = 64


class PageCache:
    """Keeps finished answers within a limit of bytes, the least used go first; and which rows the last filters left."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[Any, Answer] = OrderedDict()
        self._bytes = 0
        self._selections: OrderedDict[Any, Array] = OrderedDict()

    def selection(self, key: Any, select: Callable[[], Array]) -> Array:
        """Return the rows that filters leave, found once for all pages of a list."""
        if key not in self._selections:
            self._selections[key] = select()
            if len(self._selections) > _SELECTIONS_KEPT:
                self._selections.popitem(last=False)
        self._selections.move_to_end(key)
        return self._selections[key]

    def get(self, key: Any) -> Answer | None:
        """Return the answer kept under a key."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Any, answer: Answer) -> None:
        """Keep an answer; its size is counted twice, as it may be packed later."""
        if len(answer.body) * 2 > self._limit:
            return
        self._kept[key] = answer
        self._bytes += len(answer.body) * 2
        while self._bytes > self._limit and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body) * 2


@dataclass(slots=True)
class Call:
    """A call that has passed the gate. `query` has lower-case names; `faults` are those that strike it, by kind."""

    match: Match
    query: dict[str, str]
    tenant: Tenant
    options: SimulateOptions
    clock: SimulatedClock
    cache: PageCache
    faults: dict[str, Fault] = field(default_factory=dict)
    body: bytes = b""

    @property
    def rows(self) -> Rows:
        """Return the rows of the collection that is asked for."""
        return self.tenant.rows(self.match.route.collection)

    def asked(self, name: str) -> str | None:
        """Return a parameter that this call knows; one it does not know is ignored."""
        value = self.query.get(name.lower())
        if value is None or all(name.lower() != known.lower() for known in self.match.route.operation.query):
            return None
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean parameter."""
        return (self.asked(name) or "").lower() == "true"


async def written(count: int, write: Callable[[], Answer]) -> Answer:
    """Write a page of so many rows: a small one at once, a large one in a thread."""
    if count <= IN_THREAD_FROM_ROWS:
        return write()
    return await anyio.to_thread.run_sync(write)

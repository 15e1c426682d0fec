"""The checkpoint scope of a command: the nightly `run`, or one backfill's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from st_export.flow import Window, utc_text

if TYPE_CHECKING:
    from datetime import datetime

NIGHTLY = "run"


@dataclass(frozen=True, slots=True)
class Scope:
    """`name` stands in the checkpoint and in file names; a backfill has its `[from, to)`, `end` None meaning until its first start.

    `full_children`: all parents are visited; `split`: a feed's first pass is read from so many dates side by side.
    """

    name: str
    start: datetime | None = None
    end: datetime | None = None
    full_children: bool = False
    split: int | None = None

    @property
    def is_backfill(self) -> bool:
        """Whether this is a backfill's scope."""
        return self.name != NIGHTLY

    def window(self, started: datetime) -> Window | None:
        """Return the window asked for, its end frozen at the pass's start; None for the nightly scope."""
        if self.start is None:
            return None
        return Window(self.start, self.end or started)


def backfill_scope(start: datetime, end: datetime | None) -> Scope:
    """Return the scope of `backfill --from START [--to END]`: the same arguments give the same scope, hence resume."""
    text = f"{utc_text(start)}/{utc_text(end) if end else ''}"
    return Scope("b" + hashlib.sha256(text.encode()).hexdigest()[:8], start, end)

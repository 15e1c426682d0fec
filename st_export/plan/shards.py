"""Splitting a feed into date starts that are read side by side, and why the parts together are the whole.

A feed has no upper bound and gives its records in the order of their modification, as a rule only. A **shard** `[a, b)` is asked
`from=a` and read until well past `b`; of what it brings the rows modified in `[a, b)` are its own. The shards of a pass end a day
before its start; from there a single chain, the **tail**, is read to the feed's end when all shards are done. A record
that is edited while the shards are read moves to the tail, at its newer version; one that becomes visible up to a day late too.

A row could be missed only if it came in its chain further behind its place than the reader goes past the shard's end. So

- every page is checked: a row before one that came earlier is **doubt**, wherever it is seen;
- a shard goes on until it has seen a row `MARGIN` past its end, or the feed's end;
- where the entity also has a list that tells a total, the distinct keys seen in all shards are at least that many.

On doubt the feed is read again in one chain from the start, which drops what the lake has already. The feed's own tokens do not
enter the position until the tail: a window that is still to be read is asked by its date again.

Dates are dense where people worked much, so an idle reader takes over the second half of what another has before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from st_export.flow import Window
from st_export.plan.watermark import SETTLING, TOKEN_OVERLAP

MARGIN = SETTLING
"""How far past its end a shard is read."""

SHORTEST = timedelta(hours=12)
"""A shard is no shorter than this when it begins: each costs a page beyond its end."""

WORTH_PAGES = 3
"""A shard with so many pages before it is shared with an idle reader."""


class Doubt(Exception):
    """The shards cannot be shown to be the whole; says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Closed windows to read side by side, and the date from which the tail goes on."""

    shards: tuple[Window, ...]
    tail: datetime


def plan_shards(first: datetime, end: datetime | None, started: datetime, count: int) -> Plan | None:
    """Return how to split a feed, None where it is too short for that.

    Args:
        first: the date to begin with.
        end: where the interest ends, None for the pass's start.
        started: the pass's start, by the service's clock.
        count: how many shards.

    """
    tail = (started - TOKEN_OVERLAP).replace(microsecond=0)
    last = min(end or tail, tail)
    parts = min(count, (last - first) // SHORTEST)
    if parts < 2:
        return None
    step = (last - first) / parts
    cuts = [first, *((first + step * number).replace(microsecond=0) for number in range(1, parts)), last]
    return Plan(tuple(Window(start, stop) for start, stop in pairwise(cuts)), tail)


def is_past(newest: datetime | None, end: datetime) -> bool:
    """Whether a reader whose newest row was modified then is well past the end of its shard."""
    return newest is not None and newest >= end + MARGIN


def pages_left(began: datetime, newest: datetime | None, end: datetime, pages: int) -> float:
    """Return how many pages a shard has before it, by the time that those it has read came forward."""
    if newest is None or pages == 0 or newest <= began or newest >= end:
        return 0.0
    return (end - newest) / ((newest - began) / pages)


def share(newest: datetime, end: datetime) -> datetime | None:
    """Return where to cut what a shard has before it, None where that is too little."""
    middle = (newest + (end - newest) / 2).replace(microsecond=0)
    return middle if newest + MARGIN < middle < end else None


def disorder(moments: np.ndarray, newest: int | None) -> int | None:
    """Return by how much the first row that is out of order lies before one that came earlier, None where all are in order.

    Args:
        moments: times of the rows of a page, in the order they came, in microseconds.
        newest: the greatest time of the pages before.

    """
    if not len(moments):
        return None
    before = np.maximum.accumulate(np.append(np.int64(moments[0] if newest is None else newest), moments))[:-1]
    behind = before - moments
    found = np.flatnonzero(behind > 0)
    return int(behind[found[0]]) if len(found) else None

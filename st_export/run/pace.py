"""When an open unit is committed: often enough that a kill costs little, seldom enough that days do not fall into many files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from st_export.clock import Clock

UNIT_BYTES = 64 * 1024 * 1024
"""JSON bytes of a unit at most: what a kill can cost one entity, and what its open partitions may hold."""

UNIT_SECONDS = 30.0
"""Seconds that a unit stays open at most; what is left to the next one waits so long once more."""

UNIT_ROW_BYTES = 4 << 20
"""Bytes of rows of a unit that leaves no day, or few, to two files: more makes no better files, only takes more memory."""

LEAST_ROW_BYTES = 2 << 20
"""The same while all units together hold much: a smaller one costs more to commit than it frees."""

WHOLE_DAYS = 12
"""A unit that ends in the middle of a day leaves that day in two files; over so many days that is less than a tenth more."""

DAYS_BEFORE_NEWEST = 6
"""Days of a unit that leaves the one under way to the next: no day lies in two files where rows come in the order of their days, and so
many are worth a commit."""

SHARE_OF_RUN = 0.05
"""A unit with enough days is committed when it has been open for this share of the run so far: what a kill costs is then a
twentieth of what was done."""

SHORTEST_SECONDS = 0.25

SHARE_OF_RUN_WITHIN_DAYS = 0.1
"""The share for a unit with fewer days. The pauses grow with the run, so that the files more are few, however long it takes."""

SHORTEST_SECONDS_WITHIN_DAYS = 2.0


class Measured(Protocol):
    """What the pace looks at in an open unit."""

    @property
    def json_bytes(self) -> int:
        """Return the bytes of JSON taken."""

    @property
    def row_bytes(self) -> int:
        """Return the bytes of rows taken."""

    @property
    def is_room_short(self) -> bool:
        """Return whether all units together hold much."""

    @property
    def open_seconds(self) -> float:
        """Return the seconds since the unit was opened."""

    @property
    def partitions(self) -> int:
        """Return the partitions that have rows."""

    @property
    def can_leave_newest(self) -> bool:
        """Return whether the day under way can be left to the next unit."""

    @property
    def lies_in_days(self) -> bool:
        """Return whether a partition is a day; else a file more or less is of no account."""


class Pace:
    """Decides when units are due, from how long the run has been going."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic_seconds()

    def due(self, unit: Measured) -> bool:
        """Whether the unit should be committed now."""
        if unit.json_bytes >= UNIT_BYTES or unit.open_seconds >= UNIT_SECONDS:
            return True
        enough = LEAST_ROW_BYTES if unit.is_room_short else UNIT_ROW_BYTES
        if unit.row_bytes >= enough and unit.lies_in_days and (unit.can_leave_newest or unit.partitions >= WHOLE_DAYS):
            return True
        elapsed = self._clock.monotonic_seconds() - self._began
        days = DAYS_BEFORE_NEWEST if unit.can_leave_newest else WHOLE_DAYS
        if unit.partitions >= days or not unit.lies_in_days:
            return unit.open_seconds >= max(SHORTEST_SECONDS, SHARE_OF_RUN * elapsed)
        return unit.open_seconds >= max(SHORTEST_SECONDS_WITHIN_DAYS, SHARE_OF_RUN_WITHIN_DAYS * elapsed)

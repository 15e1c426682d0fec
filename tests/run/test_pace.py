"""When units are due, and when pages wait for units that are being written."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import pytest

from st_export.run.pace import DAYS_BEFORE_NEWEST, LEAST_ROW_BYTES, UNIT_BYTES, UNIT_ROW_BYTES, UNIT_SECONDS, WHOLE_DAYS, Pace
from st_export.run.shared import ENOUGH_ROWS_BYTES, Shared


@dataclass
class Open:
    """An open unit as the pace sees it."""

    json_bytes: int = 0
    row_bytes: int = 0
    open_seconds: float = 0.0
    partitions: int = 1
    lies_in_days: bool = True
    can_leave_newest: bool = False
    is_room_short: bool = False


class Still:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("unit", "is_due"),
    [
        (Open(), False),
        (Open(json_bytes=UNIT_BYTES), True),
        (Open(open_seconds=UNIT_SECONDS), True),
        (Open(row_bytes=UNIT_ROW_BYTES), False),
        (Open(row_bytes=UNIT_ROW_BYTES, can_leave_newest=True), True),
        (Open(row_bytes=UNIT_ROW_BYTES, partitions=WHOLE_DAYS), True),
        (Open(row_bytes=UNIT_ROW_BYTES, partitions=WHOLE_DAYS, lies_in_days=False), False),
        (Open(row_bytes=LEAST_ROW_BYTES, can_leave_newest=True), False),
        (Open(row_bytes=LEAST_ROW_BYTES, can_leave_newest=True, is_room_short=True), True),
        (Open(row_bytes=LEAST_ROW_BYTES - 1, can_leave_newest=True, is_room_short=True), False),
        (Open(row_bytes=LEAST_ROW_BYTES, is_room_short=True), False),
        (Open(open_seconds=5.0, partitions=WHOLE_DAYS), True),
        (Open(open_seconds=4.9, partitions=WHOLE_DAYS), False),
        (Open(open_seconds=5.0, partitions=DAYS_BEFORE_NEWEST), False),
        (Open(open_seconds=5.0, partitions=DAYS_BEFORE_NEWEST, can_leave_newest=True), True),
        (Open(open_seconds=5.0, lies_in_days=False), True),
        (Open(open_seconds=10.0), True),
    ],
)
def test_a_unit_is_due_by_size_and_time_where_days_stay_whole(unit: Open, is_due: bool) -> None:
    clock = Still()
    pace = Pace(clock)  # type: ignore[arg-type]
    clock.seconds = 100.0
    assert pace.due(unit) is is_due


@pytest.mark.anyio
async def test_pages_wait_while_much_is_held_and_a_unit_is_being_written() -> None:
    shared = Shared()
    shared.rows_budget.take(ENOUGH_ROWS_BYTES + 1)
    await shared.rows_room()  # nothing is being written, so that waiting would free nothing
    passed = anyio.Event()

    async def page() -> None:
        await shared.rows_room()
        passed.set()

    async with anyio.create_task_group() as tasks:
        with shared.frees_rows():
            tasks.start_soon(page)
            await anyio.wait_all_tasks_blocked()
            assert not passed.is_set()
            shared.rows_budget.give(2)
        await anyio.wait_all_tasks_blocked()
        assert passed.is_set()
    with shared.frees_rows():
        await shared.rows_room()  # little is held

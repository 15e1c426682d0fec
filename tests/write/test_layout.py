"""Every path of a data file, by whole strings, and what must never become one."""

from __future__ import annotations

import pytest

from st_export.write.layout import data_path, entity_folder, partition_folder


def test_a_day_is_a_folder_below_the_tenant() -> None:
    path = data_path("jpm.jobs", 1001, "day", "2026-11-23", "run-0001-20261101T000000Z-open", 0)
    assert path == "jpm.jobs/tenant_id=1001/day=2026-11-23/run-0001-20261101T000000Z-open-00.parquet"


def test_a_month_is_called_year_month() -> None:
    path = data_path("crm.customers.contacts", 7, "month", "2026-11", "b0a1b2c3d-0002-t0123456789abcdef", 12)
    assert path == "crm.customers.contacts/tenant_id=7/year_month=2026-11/b0a1b2c3d-0002-t0123456789abcdef-12.parquet"


def test_without_partition_files_lie_below_the_tenant() -> None:
    assert data_path("report.my_own-1", 1, "none", None, "run-0001-all", 100) == "report.my_own-1/tenant_id=1/run-0001-all-100.parquet"


def test_the_year_one_is_a_year() -> None:
    assert partition_folder("jpm.jobs", 1001, "day", "0001-01-01") == "jpm.jobs/tenant_id=1001/day=0001-01-01"


def test_a_folder_of_an_entity() -> None:
    assert entity_folder("telecom.calls-v3", 1001) == "telecom.calls-v3/tenant_id=1001"


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/b", "a\\b", "../x", "a..b", "a b", "a\x00", "-a", ".a", "a.", "a=b", "ä", "x" * 201, "a\n"]
)
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        entity_folder(name, 1)
    with pytest.raises(ValueError, match="not a name"):
        data_path("jpm.jobs", 1, "none", None, name, 0)


@pytest.mark.parametrize(
    ("kind", "partition"),
    [("day", None), ("none", "2026-11-23"), ("day", "2026-11"), ("month", "2026-11-23"), ("day", "2026-13-01"), ("day", "2026-11-2/")],
)
def test_a_partition_that_does_not_fit_is_refused(kind: str, partition: str | None) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the text is of several kinds
        partition_folder("jpm.jobs", 1, kind, partition)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", [-1, 10_000])
def test_a_part_has_a_limit(part: int) -> None:
    with pytest.raises(ValueError, match="not a part"):
        data_path("jpm.jobs", 1, "none", None, "run-0001-all", part)


def test_a_tenant_is_positive() -> None:
    with pytest.raises(ValueError, match="not a tenant"):
        entity_folder("jpm.jobs", 0)

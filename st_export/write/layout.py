"""Where every data file of the lake lies, as pure functions; nothing here touches a disk.

    <entity>/tenant_id=<tenant>/day=2026-11-23/<unit>-<part>.parquet        partition: day
    <entity>/tenant_id=<tenant>/year_month=2026-11/<unit>-<part>.parquet    partition: month
    <entity>/tenant_id=<tenant>/<unit>-<part>.parquet                       partition: none
    <entity>/tenant_id=<tenant>/files/<words>~<unit>-<part>.mp3             binaries; <words> say what it is

A file is named after its unit, so a repeated attempt writes the same names. Names are checked here, where a path is
made: nothing that came over the network forms a path unchecked. Leaves out the state below `_st_export/`.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

PartitionKind = Literal["day", "month", "none"]

LONGEST_NAME = 200
"""Characters of one part of a path; file systems allow 255 bytes, temporary names need some of them."""

LONGEST_WORDS = 80

MOST_PARTS = 10_000
"""Files of one unit in one partition; more is a mistake in the target size."""

_COLUMNS: dict[PartitionKind, str] = {"day": "day", "month": "year_month"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_HARMFUL = re.compile(r"[^A-Za-z0-9.-]+|\.{2,}")
_ENDING = re.compile(r"[a-z0-9]{1,8}")


def entity_folder(entity: str, tenant: int) -> str:
    """Return the folder of an entity's data files: `jpm.jobs/tenant_id=1001`.

    Raises:
        ValueError: the name cannot be a part of a path, or the tenant is not positive.

    """
    if tenant <= 0:
        raise ValueError(f"not a tenant: {tenant}")
    return f"{_checked(entity)}/tenant_id={tenant}"


def partition_folder(entity: str, tenant: int, kind: PartitionKind, partition: str | None) -> str:
    """Return the folder of one partition: `jpm.jobs/tenant_id=1001/day=2026-11-23`.

    Args:
        entity: its name in the catalog.
        tenant: its id.
        kind: how the entity is partitioned.
        partition: `2026-11-23` for days, `2026-11` for months, None for none.

    Raises:
        ValueError: a name cannot be a part of a path, or the value does not fit the kind.

    """
    folder = entity_folder(entity, tenant)
    _check_partition(kind, partition)
    return folder if partition is None else f"{folder}/{_COLUMNS[kind]}={partition}"


def data_path(entity: str, tenant: int, kind: PartitionKind, partition: str | None, unit: str, part: int) -> str:
    """Return the path of a data file: `jpm.jobs/tenant_id=1001/day=2026-11-23/run-0001-open-00.parquet`.

    Args:
        entity: its name in the catalog.
        tenant: its id.
        kind: how the entity is partitioned.
        partition: the partition's value, None for `none`.
        unit: the unit's name (`flow.Unit.name`).
        part: which of the unit's files in this partition, from 0.

    Raises:
        ValueError: a name cannot be a part of a path, the value does not fit the kind, or the part is out of range.

    """
    if not 0 <= part < MOST_PARTS:
        raise ValueError(f"not a part of a unit: {part}")
    folder = partition_folder(entity, tenant, kind, partition)
    name = f"{_checked(unit)}-{part:02d}.parquet"
    if len(name) > LONGEST_NAME:
        raise ValueError(f"too long for a file name: {name!r}")
    return f"{folder}/{name}"


def binary_path(entity: str, tenant: int, unit: str, part: int, *, words: str, ending: str) -> str:
    """Return the path of a binary: `telecom.calls.recording/tenant_id=1001/files/4711~run-0001-p3f2a-00.mp3`.

    Args:
        entity: its name in the catalog.
        tenant: its id.
        unit: the unit's name (`flow.Unit.name`).
        part: which of the unit's binaries, from 0.
        words: what the file is, for people; any text, of which only what is harmless in a path is kept.
        ending: of the name, without the dot; `bin` stands for what is none.

    Raises:
        ValueError: a name cannot be a part of a path, or the part is out of range.

    """
    if not 0 <= part < MOST_PARTS:
        raise ValueError(f"not a part of a unit: {part}")
    plain = _HARMFUL.sub("_", words)[:LONGEST_WORDS].strip("._-") or "file"
    safe_ending = ending if _ENDING.fullmatch(ending) and ending != "parquet" else "bin"
    return f"{entity_folder(entity, tenant)}/files/{plain}~{_checked(unit)}-{part:02d}.{safe_ending}"


def _check_partition(kind: PartitionKind, partition: str | None) -> None:
    if (kind == "none") != (partition is None):
        raise ValueError(f"partition {partition!r} does not fit the kind {kind!r}")
    if partition is None:
        return
    if not (_DAY if kind == "day" else _MONTH).fullmatch(partition):
        raise ValueError(f"not a {kind}: {partition!r}")
    date.fromisoformat(partition if kind == "day" else f"{partition}-01")


def _checked(name: str) -> str:
    if len(name) > LONGEST_NAME or ".." in name or name.endswith(".") or not _NAME.fullmatch(name):
        raise ValueError(f"not a name for a path: {name!r}")
    return name

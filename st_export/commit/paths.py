"""Every path of the state below `_st_export/`, as pure functions, and how a data file's name tells its unit.

Names that form a path are checked here, so that nothing from the network can leave its folder. This module leaves out where in an
entity's folder a data file lies: that is the writer's to know.
"""

from __future__ import annotations

import re

STATE = "_st_export"
LAKE = f"{STATE}/lake.json"
TEMPORARY = f"{STATE}/tmp"  # noqa: S108 -- a folder of the lake, not the machine's
MANIFESTS = f"{STATE}/manifests"
CURRENT = "current"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,199}")
_DATA_FILE = re.compile(r"(?P<unit>.+)-(?P<part>\d{2,})\.[a-z0-9.]+")
_MANIFEST = re.compile(r"(?P<ordinal>\d{8,})-(?P<unit>.+)\.json")


def checked_name(name: str) -> str:
    """Return the name if it may be a part of a path: letters, digits and `._=+-`, at most 200. Raises `ValueError`."""
    if not is_name(name):
        raise ValueError(f"not a name for a path in the lake: {name!r}")
    return name


def checkpoint(tenant: int) -> str:
    """Return the path of a tenant's checkpoint."""
    return f"{STATE}/checkpoint/{tenant}.json"


def lock(tenant: int) -> str:
    """Return the path of a tenant's lock."""
    return f"{STATE}/locks/{tenant}.json"


def run_summary(run: str) -> str:
    """Return the path of a run's summary."""
    return f"{STATE}/runs/{checked_name(run)}.json"


def manifests(entity: str, tenant: int) -> str:
    """Return the folder of an entity's manifests."""
    return f"{MANIFESTS}/{checked_name(entity)}/{tenant}"


def manifest(entity: str, tenant: int, ordinal: int, unit: str) -> str:
    """Return the path of a unit's manifest; names sort in the order of the commits."""
    return f"{manifests(entity, tenant)}/{ordinal:08d}-{checked_name(unit)}.json"


def manifest_parts(name: str) -> tuple[int, str] | None:
    """Return the ordinal and the unit's name of a manifest's file name, None for a file that is no manifest."""
    match = _MANIFEST.fullmatch(name)
    return (int(match["ordinal"]), match["unit"]) if match else None


def intents(tenant: int) -> str:
    """Return the folder of the commits that a tenant has under way."""
    return f"{STATE}/intents/{tenant}"


def intent(entity: str, tenant: int, unit: str) -> str:
    """Return the path of the intent of one commit."""
    return f"{intents(tenant)}/{checked_name(unit)}-{checked_name(entity)}.json"


def rejects(entity: str, tenant: int) -> str:
    """Return the folder of what could not be read of an entity."""
    return f"{STATE}/rejects/{checked_name(entity)}/{tenant}"


def data_folder(entity: str, tenant: int) -> str:
    """Return the folder that holds all data files of an entity of a tenant."""
    return f"{checked_name(entity)}/tenant_id={tenant}"


def unit_of(path: str) -> str | None:
    """Return the name of the unit that a data file belongs to, None where the name is none of ours.

    A binary has words of its own before the unit's name, which end with `~`.
    """
    match = _DATA_FILE.fullmatch(path.rpartition("/")[2].rpartition("~")[2])
    return match["unit"] if match else None


def scope_of(unit: str) -> str:
    """Return the scope of a unit's name: `run`, or a backfill's."""
    return unit.partition("-")[0]


def is_name(name: str) -> bool:
    """Return whether a name may be a part of a path in the lake; what else lies there is not ours."""
    return _NAME.fullmatch(name) is not None and ".." not in name

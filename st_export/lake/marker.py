"""The marker of `compact`: up to which commit the files below `current/` hold an entity of a tenant, and how they were made.

It lies at `_st_export/current/<entity>/<tenant>.json` and is written last, so a compact that died leaves the old one: readers then
compute the current rows from the log, and the next compact repeats the work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from st_export.commit import paths
from st_export.commit.store import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from st_export.commit.store import Store
    from st_export.lake.index import Columns
    from st_export.lake.shape import Shape

VERSION = 2
"""Version 1 stood for parts that had the log's partition as a column."""

_PART = re.compile(r"part-(?P<part>\d{4})-of-(?P<parts>\d{4})\.parquet")
HASH = "md5_number_lower"
"""The fixed function of a key's part: DuckDB's MD5, the same in every version of it (its `hash` is not)."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What stands below `current/` for one entity of one tenant.

    `ordinal` is the last commit that is in, `manifests` how many there were; `parts` how many parts the keys are spread over,
    fixed for ever, since readers of a folder cannot see two spreadings change over at once (so each part's name tells it);
    `has_tombstones` says that some key was once found gone; `rows` are the current ones of each part.
    """

    ordinal: int
    manifests: int
    parts: int
    key: tuple[str, ...]
    modified: str | None
    columns: Columns
    has_tombstones: bool
    rows: tuple[int, ...]

    def is_for(self, shape: Shape) -> bool:
        """Return whether the parts were made with the entity's key and order of versions as they are now."""
        return self.key == shape.group and self.modified == shape.modified

    def is_fresh(self, ordinals: Mapping[int, str]) -> bool:
        """Return whether every commit of the tenant is in: by the manifests' ordinals."""
        return self.ordinal == max(ordinals, default=0) and self.manifests == len(ordinals)


def marker_path(entity: str, tenant: int) -> str:
    """Return the path of a marker in the lake."""
    return f"{paths.STATE}/{paths.CURRENT}/{paths.checked_name(entity)}/{tenant}.json"


def part_path(entity: str, tenant: int, part: int, parts: int) -> str:
    """Return the path of a part in the lake: `current/jpm.jobs/tenant_id=1001/part-0003-of-0016.parquet`."""
    return f"{paths.CURRENT}/{paths.data_folder(entity, tenant)}/part-{part:04d}-of-{parts:04d}.parquet"


async def parts_there(store: Store, entity: str, tenant: int) -> tuple[int | None, dict[int, int]]:
    """Return how many parts the keys are spread over, by the files' names (None: nothing is there yet), and each one's bytes."""
    parts, found = None, dict[int, int]()
    async for entry in store.list(f"{paths.CURRENT}/{paths.data_folder(entity, tenant)}"):
        match = _PART.fullmatch(entry.path.rpartition("/")[2])
        if match:
            parts = int(match["parts"])
            found[int(match["part"])] = entry.bytes
    return parts, found


async def read_marker(store: Store, entity: str, tenant: int) -> Marker | None:
    """Return the marker, None where there is none, or one that this version does not read: then all is computed anew."""
    try:
        document = orjson.loads(await store.read(marker_path(entity, tenant)))
        return _marker_from(document)
    except (Missing, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


async def write_marker(store: Store, entity: str, tenant: int, marker: Marker) -> None:
    """Replace the marker, in one atomic put."""
    document = {
        "version": VERSION,
        "entity": entity,
        "tenant": tenant,
        "ordinal": marker.ordinal,
        "manifests": marker.manifests,
        "hash": HASH,
        "parts": marker.parts,
        "key": list(marker.key),
        "modified": marker.modified,
        "has_tombstones": marker.has_tombstones,
        "rows": list(marker.rows),
        "columns": [list(column) for column in marker.columns],
    }
    await store.write(marker_path(entity, tenant), orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _marker_from(document: Mapping[str, Any]) -> Marker | None:
    if document["version"] != VERSION or document["hash"] != HASH:
        return None
    return Marker(
        ordinal=int(document["ordinal"]),
        manifests=int(document["manifests"]),
        parts=int(document["parts"]),
        key=tuple(document["key"]),
        modified=document["modified"],
        columns=tuple((str(name), str(kind)) for name, kind in document["columns"]),
        has_tombstones=bool(document["has_tombstones"]),
        rows=tuple(int(rows) for rows in document["rows"]),
    )

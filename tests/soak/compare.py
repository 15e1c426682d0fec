"""Holds a lake against the truth of a look-alike that runs in a process of its own, after any number of runs, kills and changes.

For every entity: each row of the lake is a version that the service once showed, none stands there twice, and the current row of
each key, by the contract's meaning of it, is the service's last version. What is read whole has exactly the service's keys; a
snapshot exactly its rows. What a row and a record look like for comparison, `tests.truth` knows.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.truth import Lake, entities, record_text, row_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from st_export.catalog.entity import Entity
    from st_export.simulate.process import RemoteLookAlike
    from tests.truth import Row

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """A version as the service showed it: key and text, and whether it is the last one of a record that is still shown."""

    key: str
    text: str
    is_present: bool
    is_last: bool


@dataclass(slots=True)
class Compared:
    """What a comparison found: rows of the lake that were looked at, records of the service, and every difference in words."""

    rows: int = 0
    records: int = 0
    differences: list[str] = field(default_factory=list)


def compare(folder: Path, look_alike: RemoteLookAlike, tenant: int, names: Iterable[str]) -> Compared:
    """Return how entities of the lake differ from what the service showed."""
    found, lake = Compared(), Lake(folder)
    for name in names:
        entity = entities()[name]
        rows, shown = lake.rows(name, tenant), _shown(entity, look_alike, tenant)
        found.rows += len(rows)
        found.records += sum(version.is_present for version in shown)
        differences = _keyed(entity, rows, shown) if entity.key else _snapshots(entity, rows, shown)
        found.differences += [f"{name}: {difference}" for difference in differences]
    return found


def _shown(entity: Entity, look_alike: RemoteLookAlike, tenant: int) -> list[Shown]:
    shown = []
    for one in look_alike.truth(str(entity.name), tenant=tenant):
        record = json.loads(json.dumps(one["record"]), parse_float=Decimal)
        is_present = one["current"] and (one["listed"] or entity.kind == "feed")
        shown.append(Shown(_key(entity, record), record_text(entity, record), is_present, one["current"]))
    return shown


def _key(entity: Entity, values: dict[str, Any]) -> str:
    return "/".join(str(values.get(name)) for name in entity.key)


def _keyed(entity: Entity, rows: list[Row], shown: list[Shown]) -> list[str]:
    known, present, gone = defaultdict(set), {}, set()
    for version in shown:
        known[version.key].add(version.text)
        if version.is_present:
            present[version.key] = version.text
        elif version.is_last:
            gone.add(version.key)
    there: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.values["_exported_at"]):
        there[_key(entity, row.values)].append(row)
    wrong = [f"{key} is missing" for key in present.keys() - there.keys()]
    for key, ordered in there.items():
        texts = [None if row.is_tombstone else row_text(entity, row) for row in ordered]
        wrong += [f"{key}: never shown: {text}" for text in texts if text is not None and text not in known[key]]
        wrong += [f"{key}: twice: {text}" for text in _repeated(entity, texts)]
        current = _current(entity, ordered)
        if key in present and current != present[key]:
            wrong.append(f"{key}: current is {current}, not {present[key]}")
        if key not in present and current is not None and entity.whole:
            wrong.append(f"{key} is gone but has a current row")
    return wrong


def _repeated(entity: Entity, texts: Sequence[str | None]) -> list[str | None]:
    """Return what stands twice: anywhere, or, where keys may go and return, right after itself."""
    if entity.whole:
        return [text for before, text in itertools.pairwise(texts) if before == text]
    return [text for text, count in Counter(texts).items() if count > 1]


def _current(entity: Entity, ordered: Sequence[Row]) -> str | None:
    """Return the current row by the contract: newest by modification, then by export; none if a tombstone was found after all of them."""
    alive = [row for row in ordered if not row.is_tombstone]
    if not alive or ordered[-1].is_tombstone:
        return None
    return row_text(entity, max(alive, key=lambda row: (_at(row.values, entity.modified) or _LONG_AGO, row.values["_exported_at"])))


def _at(values: dict[str, Any], column: str | None) -> Any:
    value: Any = values
    for name in column.split(".") if column else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value if column else None


def _snapshots(entity: Entity, rows: list[Row], shown: list[Shown]) -> list[str]:
    """Hold the last snapshot against the present records, and each snapshot against the one before."""
    by_time: dict[datetime, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_time[row.values["_exported_at"]].update([] if row.is_tombstone else [row_text(entity, row)])
    snapshots = [by_time[moment] for moment in sorted(by_time)]
    wrong = ["an unchanged snapshot was written again" for one, other in itertools.pairwise(snapshots) if one == other]
    present, last = Counter(version.text for version in shown if version.is_present), snapshots[-1] if snapshots else Counter()
    wrong += [f"the last snapshot lacks {text}" for text in present - last]
    return wrong + [f"the last snapshot has a row too many: {text}" for text in last - present]

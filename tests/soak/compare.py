"""Holds a lake against the look-alike's truth, field by field, without any code of the exporter but the names of keys.

For every entity: each row of the lake is a version that the service once showed, none stands there twice, and the current row of
each key is the service's last version. What is read whole has exactly the service's keys; a snapshot exactly its rows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from st_export.catalog.load import load_catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from st_export.simulate.process import RemoteLookAlike

Row = dict[str, Any]
OURS = ("_tenant_id", "_exported_at", "_run_id", "_deleted")
"""Columns that are no part of a version."""

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """A version as the service showed it: `current` the last one of its record, `listed` whether calls still show the record."""

    record: Row
    current: bool = True
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """How an entity is read, as far as it decides what the lake must hold."""

    key: tuple[str, ...]
    modified: str | None
    whole: bool
    feed: bool


@dataclass(slots=True)
class Compared:
    """What a comparison found: rows of the lake that were looked at, records of the service, and every difference in words."""

    rows: int = 0
    records: int = 0
    differences: list[str] = field(default_factory=list)

    def differ(self, text: str) -> None:
        if len(self.differences) < _MOST_TOLD:
            self.differences.append(text)

    def add(self, other: Compared) -> None:
        self.rows += other.rows
        self.records += other.records
        self.differences += other.differences


def data_files(lake: Path) -> list[Path]:
    """Return every Parquet file that a reader of the lake sees."""
    return sorted(path for path in lake.rglob("*.parquet") if "_st_export" not in path.relative_to(lake).parts)


def read_rows(lake: Path, entity: str, tenant: int) -> tuple[pa.Schema | None, list[Row]]:
    """Return schema and rows of an entity, as all of its files hold them."""
    tables = [pq.read_table(path, partitioning=None) for path in sorted((lake / entity / f"tenant_id={tenant}").rglob("*.parquet"))]
    return (tables[0].schema, [row for table in tables for row in table.to_pylist()]) if tables else (None, [])


def compare(lake: Path, entity: str, tenant: int, reading: Reading, shown: Iterable[Shown]) -> Compared:
    """Return how the lake's rows of an entity differ from what the service showed."""
    found = Compared()
    schema, rows = read_rows(lake, entity, tenant)
    versions = list(shown)
    found.rows, found.records = len(rows), sum(version.current for version in versions)
    if schema is None:
        if any(version.current and (version.listed or reading.feed) for version in versions):
            found.differ(f"{entity}: nothing is in the lake")
        return found
    if not reading.key:
        _compare_snapshots(found, entity, schema, rows, versions)
        return found
    truth: dict[tuple[str, ...], list[Shown]] = defaultdict(list)
    for version in versions:
        truth[tuple(str(version.record.get(name)) for name in reading.key)].append(version)
    there: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        there[tuple(str(row[name]) for name in reading.key)].append(row)
    for key in truth.keys() | there.keys():
        _compare_key(found, f"{entity} {'/'.join(key)}", schema, reading, there.get(key, []), truth.get(key, []))
    return found


def _compare_key(found: Compared, name: str, schema: pa.Schema, reading: Reading, rows: list[Row], versions: list[Shown]) -> None:
    ordered = sorted(rows, key=lambda row: row["_exported_at"])
    alive = [row for row in ordered if not row["_deleted"]]
    for row in alive:
        if not any(_is_version(schema, row, version.record) for version in versions):
            found.differ(f"{name}: the row {_brief(row)} was never shown")
    if reading.whole:
        again = [row for before, row in zip(ordered, ordered[1:], strict=False) if _content(before) == _content(row)]
    else:
        contents = [_content(row) for row in alive]
        again = [row for place, row in enumerate(alive) if contents[place] in contents[:place]]
    for row in again:
        found.differ(f"{name}: the version {_brief(row)} stands twice")
    current = _current(reading, ordered)
    last = next((version for version in versions if version.current), None)
    if last is not None and (last.listed or reading.feed):
        if current is None:
            found.differ(f"{name}: the record is missing")
        elif not _is_version(schema, current, last.record):
            found.differ(f"{name}: the current row is not the last version: {_brief(current)} for modifiedOn {last.record.get('modifiedOn')}")
    elif current is not None and reading.whole:
        found.differ(f"{name}: the record is gone but has a current row")


def _current(reading: Reading, ordered: Sequence[Row]) -> Row | None:
    """Return the current row by the contract: newest by modification, then by export; none if a tombstone came after all."""
    if not ordered or (ordered[-1]["_deleted"] and all(row["_exported_at"] < ordered[-1]["_exported_at"] for row in ordered[:-1])):
        return None
    alive = [row for row in ordered if not row["_deleted"]]
    if reading.modified is None:
        return alive[-1] if alive else None
    column = reading.modified
    return max(alive, key=lambda row: (_at(row, column) or _LONG_AGO, row["_exported_at"]), default=None)


def _at(row: Row, column: str) -> Any:
    value: Any = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _compare_snapshots(found: Compared, entity: str, schema: pa.Schema, rows: list[Row], versions: list[Shown]) -> None:
    by_time: dict[datetime, list[Row]] = defaultdict(list)
    for row in rows:
        by_time[row["_exported_at"]].append(row)
    moments = sorted(by_time)
    pictures = [sorted(repr(_content(row)) for row in by_time[moment]) for moment in moments]
    if any(one == next_one for one, next_one in zip(pictures, pictures[1:], strict=False)):
        found.differ(f"{entity}: an unchanged snapshot was written again")
    left = [row for row in by_time[moments[-1]] if not row["_deleted"]]
    for version in versions:
        if not (version.current and version.listed):
            continue
        match = next((place for place, row in enumerate(left) if _is_version(schema, row, version.record)), None)
        if match is None:
            found.differ(f"{entity}: the last snapshot lacks {str(version.record)[:120]}")
        else:
            left.pop(match)
    for row in left:
        found.differ(f"{entity}: the last snapshot has a row too many: {_brief(row)}")


def _content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in ("_tenant_id", "_exported_at", "_run_id")}


def _brief(row: Row) -> str:
    return ", ".join(f"{name}={row[name]}" for name in ("id", "modifiedOn", "_exported_at", "_run_id") if name in row)


# -- one record


def _is_version(schema: pa.Schema, row: Row, record: Row) -> bool:
    rescued = json.loads(row["_rescued"]) if row["_rescued"] else {}
    known = {one.name for one in schema}
    unknown = {name: value for name, value in record.items() if name not in known}
    if any(name not in rescued or not _same_json(rescued[name], value) for name, value in unknown.items()):
        return False
    return all(
        _same(one.type, row[one.name], record.get(one.name), one.name, rescued) for one in schema if not one.name.startswith("_")
    )


def _same(kind: pa.DataType, value: Any, sent: Any, path: str, rescued: Row) -> bool:
    if value is None or sent is None:
        return (value is None and sent is None) or (value is None and path in rescued and _same_json(rescued[path], sent))
    if pa.types.is_list(kind):
        return (
            isinstance(sent, list)
            and len(sent) == len(value)
            and all(
                _same(kind.value_type, one, other, f"{path}[{place}]", rescued)
                for place, (one, other) in enumerate(zip(value, sent, strict=True))
            )
        )
    if pa.types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        names = {one.name for one in fields}
        return (
            isinstance(sent, dict)
            and all(f"{path}.{name}" in rescued for name in sent if name not in names)
            and all(_same(one.type, value[one.name], sent.get(one.name), f"{path}.{one.name}", rescued) for one in fields)
        )
    return _same_scalar(kind, value, sent)


def _same_scalar(kind: pa.DataType, value: Any, sent: Any) -> bool:
    if pa.types.is_timestamp(kind):
        return isinstance(value, datetime) and _moment(str(sent)) == value
    if pa.types.is_date(kind):
        return isinstance(value, date) and value.isoformat() == str(sent)[:10]
    if pa.types.is_decimal(kind):
        with localcontext(prec=60):
            return bool(Decimal(str(sent)).quantize(Decimal(1).scaleb(-kind.scale), rounding=ROUND_HALF_EVEN) == value)
    if pa.types.is_floating(kind):
        return float(sent) == value
    if pa.types.is_integer(kind):
        return int(sent) == value
    if pa.types.is_string(kind) and not isinstance(sent, str):
        return _same_json(json.loads(value), sent)
    return bool(value == sent)


def _moment(text: str) -> datetime:
    """Return an RFC 3339 time, cut to microseconds."""
    head, _, rest = text.partition(".")
    digits = rest.rstrip("Zz").partition("+")[0].partition("-")[0]
    zone = text[len(head) + 1 + len(digits) :] if rest else ("Z" if head[-1] in "Zz" else "")
    clean = head.rstrip("Zz")
    moment = datetime.fromisoformat(clean + (zone if zone not in ("Z", "z", "") else ""))
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware + timedelta(microseconds=int((digits or "0")[:6].ljust(6, "0")))


def _same_json(one: Any, other: Any) -> bool:
    return bool(json.loads(json.dumps(one, default=str)) == json.loads(json.dumps(other, default=str)))


def reading_of(entity: str) -> Reading:
    """Return how an entity of the catalog is read."""
    one = load_catalog().entities[entity]
    return Reading(one.key, one.modified, one.whole, one.kind == "feed")


def compare_entities(lake: Path, look_alike: RemoteLookAlike, tenant: int, entities: Iterable[str]) -> Compared:
    """Return how entities of the lake differ from the truth of a look-alike in its own process."""
    found = Compared()
    for entity in entities:
        shown = [Shown(one["record"], one["current"], one["listed"]) for one in look_alike.truth(entity, tenant=tenant)]
        found.add(compare(lake, entity, tenant, reading_of(entity), shown))
    return found

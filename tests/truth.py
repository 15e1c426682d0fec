"""A lake held against the look-alike's truth: read by DuckDB, compared by rules written anew from the contract.

Nothing of the exporter's decoding, writing or reading is used here, only the catalog's types. A record of the truth and a row of the
lake are both brought into one canonical text; the texts are then counted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from st_export.catalog.load import load_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from st_export.catalog.entity import Column, Entity
    from st_export.simulate.server import LookAlike
    from st_export.simulate.truth import TruthVersion

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?")
_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_DIGITS = Context(prec=100, rounding=ROUND_HALF_EVEN)
_MISFIT = object()


@lru_cache(maxsize=1)
def _duckdb() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@lru_cache(maxsize=1)
def entities() -> dict[str, Entity]:
    """Return the catalog's entities by name."""
    return {str(name): entity for name, entity in load_catalog(None).entities.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the lake: the file it lies in, and its columns."""

    file: str
    values: dict[str, Any]

    @property
    def is_tombstone(self) -> bool:
        return bool(self.values["_deleted"])


class Lake:
    """A lake on disk, as a stranger sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, entity: str | None = None) -> list[str]:
        """Return the data files of an entity, or of all, relative to the lake; `current/` and the state are not data."""
        found = self.folder.glob(f"{entity or '*'}/tenant_id=*/**/*.parquet")
        names = sorted(str(path.relative_to(self.folder)) for path in found)
        return [name for name in names if not name.startswith(("current/", "_st_export/")) and entity in (None, name.split("/")[0])]

    def rows(self, entity: str, tenant: int | None = None) -> list[Row]:
        """Return all rows of an entity, in one scan of its files."""
        files = [name for name in self.files(entity) if tenant is None or f"/tenant_id={tenant}/" in name]
        if not files:
            return []
        sql = "select * from read_parquet($1, filename = '_file', hive_partitioning = false)"
        table = _duckdb().sql(sql, params=[[str(self.folder / name) for name in files]]).to_arrow_table()
        found = table.to_pylist()
        return [Row(str(Path(row.pop("_file")).relative_to(self.folder)), row) for row in found]

    def manifests(self) -> list[dict[str, Any]]:
        """Return every manifest."""
        return [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("_st_export/manifests/**/*.json"))]

    def checkpoint(self, tenant: int = 1001) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / f"_st_export/checkpoint/{tenant}.json").read_bytes())
        return document

    def problems(self) -> list[str]:
        """Return where files and manifests do not agree: each file is named once, with its rows and checksum, and nothing is left over."""
        named = [(file["path"], file) for manifest in self.manifests() for file in manifest["files"]]
        counts = Counter(path for path, _ in named)
        found = [f"{path} is named {count} times" for path, count in counts.items() if count > 1]
        on_disk = set(self.files())
        found += [f"{path} is named but is not there" for path in counts.keys() - on_disk]
        found += [f"{path} is named by no manifest" for path in on_disk - counts.keys()]
        for path, file in named:
            if path in on_disk and hashlib.sha256((self.folder / path).read_bytes()).hexdigest() != file["sha256"]:
                found.append(f"{path} has another checksum")
        return found + [f"{path} is left over" for path in self.folder.glob("_st_export/intents/**/*.json")]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: rows in the lake, versions of the truth, tombstones, and the differences."""

    rows: int
    versions: int
    tombstones: int
    differences: list[str]


def compare(
    lake: Lake,
    look_alike: LookAlike,
    name: str,
    *,
    tenant: int = 1001,
    only: Callable[[TruthVersion], bool] | None = None,
    every_version: bool = False,
    places: int | None = 9,
    partition: Callable[[Row], str | None] | None = None,
) -> Compared:
    """Hold an entity's rows against the truth.

    Every row is a version that the service had; no version is there twice; each record that is still shown is there at its present
    version (`every_version`: at all it ever had). For what is read whole, each key that is gone has a tombstone, and no other.

    Args:
        lake: where the rows are.
        look_alike: whose truth it is.
        name: the entity.
        tenant: whose rows.
        only: which versions are expected at all; a row that is none of them is an error.
        every_version: whether all of them are expected, not just the present ones.
        places: digits behind the point of decimals in the lake, None for doubles.
        partition: what a row's partition must be; by default its day as the contract says it.

    """
    entity = entities()[name]
    truth = [each for each in look_alike.truth(entity.path, tenant=tenant) if only is None or only(each)]
    is_shown = (lambda each: each.current) if entity.kind == "feed" else (lambda each: each.current and each.listed)
    known = Counter(_of_record(entity, each, places) for each in truth)
    needed = {_of_record(entity, each, places) for each in truth if every_version or is_shown(each)}
    rows = lake.rows(name, tenant)
    data = [row for row in rows if not row.is_tombstone]
    found = Counter(row_text(entity, row) for row in data)
    differences = [f"{count} times in the lake: {text}" for text, count in found.items() if count > 1]
    differences += [f"not in the truth: {text}" for text in found.keys() - known.keys()]
    differences += [f"not in the lake: {text}" for text in needed - found.keys()]
    differences += _ours(rows, tenant, lambda row: _day(entity, row) if partition is None else partition(row))
    differences += _tombstones(entity, rows, {_key(entity, json.loads(each.record)) for each in truth if is_shown(each)})
    return Compared(len(data), len(known), len(rows) - len(data), differences)


def behind(lake: Lake, name: str, before: Iterable[TruthVersion], after: Iterable[TruthVersion], *, tenant: int = 1001) -> list[str]:
    """Return the records that were shown `before` a run and of which the lake has neither that version nor a newer one.

    A record that is no longer shown `after` the run may have gone before its page was asked.
    """
    entity = entities()[name]
    is_shown = (lambda each: each.current) if entity.kind == "feed" else (lambda each: each.current and each.listed)
    found = {row_text(entity, row) for row in lake.rows(name, tenant) if not row.is_tombstone}
    later = list(after)
    still = {each.id for each in later if is_shown(each)}
    wrong = []
    for old in before:
        if is_shown(old) and old.id in still:
            wanted = {_of_record(entity, each, 9) for each in later if each.id == old.id and each.at >= old.at}
            wrong += [] if wanted & found else [f"{name} {old.id} is not there as it was or newer"]
    return wrong


def same(lake: Lake, look_alike: LookAlike, names: Iterable[str], **how: Any) -> int:
    """Assert that these entities are as the truth says, and the lake is whole; return how many rows were compared."""
    compared = {name: compare(lake, look_alike, name, **how) for name in names}
    wrong = {name: each.differences[:3] for name, each in compared.items() if each.differences}
    assert not wrong, wrong
    assert lake.problems() == []
    return sum(each.rows for each in compared.values())


def _ours(rows: list[Row], tenant: int, partition: Callable[[Row], str | None]) -> list[str]:
    wrong = []
    for row in rows:
        values = row.values
        if values["_tenant_id"] != tenant or not values["_run_id"] or values["_exported_at"] is None or values["_deleted"] is None:
            wrong.append(f"columns of ours: {values}")
        wanted = partition(row)
        middle = row.file.split("/")[2:-1]
        if not row.is_tombstone and middle != ([wanted] if wanted else []):
            wrong.append(f"{row.file} should lie in {wanted}")
    return wrong


def _day(entity: Entity, row: Row) -> str:
    asked = row.values.get("_window_from")
    moments = [asked] if asked is not None else [_at(row.values, column) for column in entity.partition_by]
    moment = next((each for each in moments if each is not None), row.values["_exported_at"])
    return f"day={moment.date() if isinstance(moment, datetime) else moment}"


def _at(values: dict[str, Any], column: str) -> Any:
    value: Any = values
    for part in column.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _tombstones(entity: Entity, rows: list[Row], shown: set[str]) -> list[str]:
    if not entity.key:
        return []
    last: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row.values["_exported_at"], row.is_tombstone)):
        last[_key(entity, row.values)] = row
    stones = {key for key, row in last.items() if row.is_tombstone}
    wrong = [f"a tombstone for {key}, which is still shown" for key in stones & shown]
    if entity.whole and entity.kind in ("list", "plain"):
        wrong += [f"no tombstone for {key}" for key in last.keys() - shown - stones]
    return wrong


def _key(entity: Entity, values: dict[str, Any]) -> str:
    return json.dumps([values.get(name) for name in entity.key])


# -- canonical texts


def _of_record(entity: Entity, version: TruthVersion, places: int | None) -> str:
    record = json.loads(version.record, parse_float=lambda text: Decimal(repr(float(text))))
    return record_text(entity, record, places, parent=version.parent if _has_parent(entity) else None)


def _has_parent(entity: Entity) -> bool:
    return entity.kind == "child" and not entity.batch_ids


def record_text(entity: Entity, record: Any, places: int | None = 9, parent: str | None = None) -> str:
    """Return the canonical text of a record as it was sent, by the contract's rules; `parent` is the nearest id in its path."""
    rescued: dict[str, Any] = {}
    columns = _struct(entity.columns, record, "", rescued, places)
    return _text(columns, rescued or None, parent)


def row_text(entity: Entity, row: Row) -> str:
    """Return the canonical text of a row of the lake."""
    columns = {column.name: _canonical(column, row.values[column.name]) for column in entity.columns}
    text = row.values["_rescued"]
    rescued = json.loads(text, parse_float=lambda each: Decimal(repr(float(each)))) if text is not None else None
    return _text(columns, rescued, str(row.values["_parent_id"]) if _has_parent(entity) else None)


def _text(columns: Any, rescued: Any, parent: str | None) -> str:
    return json.dumps({"row": columns, "rescued": rescued, "parent": parent}, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize(_DIGITS):f}" if value else "0"
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return str(value)


def _canonical(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type == "struct":
        return {field.name: _canonical(field, value[field.name]) for field in column.fields}
    if column.item is not None:
        return [_canonical(column.item, each) for each in value]
    if column.type == "json":
        return {"json": json.loads(value, parse_float=lambda each: Decimal(repr(float(each))))}
    return value


def _struct(columns: Iterable[Column], record: Any, path: str, rescued: dict[str, Any], places: int | None) -> dict[str, Any]:
    known = {column.name: column for column in columns}
    for name in record.keys() - known.keys():
        rescued[f"{path}{name}"] = record[name]
    return {name: _fitted(column, record.get(name), f"{path}{name}", rescued, places) for name, column in known.items()}


def _fitted(column: Column, value: Any, path: str, rescued: dict[str, Any], places: int | None) -> Any:
    """Return what the column holds of a value as it was sent, and note in `rescued` what it cannot hold."""
    if value is None:
        return None
    if column.type == "struct" and isinstance(value, dict):
        return _struct(column.fields, value, f"{path}.", rescued, places)
    if column.item is not None and isinstance(value, list):
        return [_fitted(column.item, each, f"{path}[{number}]", rescued, places) for number, each in enumerate(value)]
    held, fits = _scalar(column.type, value, places)
    if not fits:
        rescued[path] = value
    return held


def _scalar(kind: str, value: Any, places: int | None) -> tuple[Any, bool]:  # noqa: PLR0911 - one line a type
    if kind == "json":
        return {"json": value}, True
    if kind == "string":
        return (value, True) if isinstance(value, str) else (None, False)
    if kind == "bool":
        return (value, True) if isinstance(value, bool) else (None, False)
    if isinstance(value, bool) or kind in ("struct", "list"):
        return None, False
    if kind == "int64":
        whole = value if isinstance(value, int) else int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None
        return (whole, True) if whole is not None and -(2**63) <= whole < 2**63 else (None, False)
    if kind == "timestamp":
        moment = _moment(value)
        return moment, moment is not None
    if kind == "date":
        moment = _moment(value)
        return (date.fromisoformat(value[:10]), moment.time().isoformat() == "00:00:00") if moment else (None, False)
    return _number(kind, value, places)


def _number(kind: str, value: Any, places: int | None) -> tuple[Any, bool]:
    try:
        number = Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        return None, False
    if kind == "double" or places is None:
        return float(number) + 0.0, True
    rounded = number.quantize(Decimal(1).scaleb(-places), context=_DIGITS)
    return rounded, rounded == number


def _moment(value: Any) -> datetime | None:
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    moment = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{'+00:00' if zone in (None, 'Z') else zone}")
    return moment.astimezone(UTC) + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))

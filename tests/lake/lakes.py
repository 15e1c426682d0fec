"""Small lakes of the documented layout, made of real Parquet and real manifests, without the exporter."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from st_export.catalog.schema import OWN_COLUMNS, arrow_text
from st_export.flow import EntityName
from st_export.lake.shape import Partition, Shape
from st_export.storage.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

MONEY = pa.decimal128(38, 9)
MOMENT = pa.timestamp("us", "UTC")
OWN = (
    pa.field("_tenant_id", pa.int64()),
    pa.field("_exported_at", MOMENT),
    pa.field("_run_id", pa.string()),
    pa.field("_deleted", pa.bool_()),
    pa.field("_rescued", pa.string()),
)
assert tuple(field.name for field in OWN) == OWN_COLUMNS


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shape(
    name: str, key: tuple[str, ...], modified: str | None, columns: list[tuple[str, pa.DataType]], partition: Partition = "day"
) -> Shape:
    fields = [pa.field(column, kind, nullable=column not in key) for column, kind in columns]
    return Shape(EntityName(name), key, modified, pa.schema([*fields, *OWN]), partition)


JOBS = shape("jpm.jobs", ("id",), "modifiedOn", [("id", pa.int64()), ("modifiedOn", MOMENT), ("end", pa.string()), ("total", MONEY)])
ROLES = shape("settings.user-roles", ("id",), None, [("id", pa.int64()), ("name", pa.string())], partition="none")
REVENUE = shape("report.revenue", (), None, [("Name", pa.string()), ("Total", MONEY), ("_window_from", MOMENT), ("_window_to", MOMENT)])


class Lake:
    """A lake under a folder, with a helper for each thing that a run leaves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = LocalStore(root)
        self._ordinals: dict[tuple[str, int], int] = {}

    def commit(
        self,
        entity: Shape,
        rows: list[dict[str, Any]],
        *,
        at: str = "2026-11-23T02:00:00",
        partition: str | None = "2026-11-22",
        tenant: int = 1001,
        scope: str = "run",
    ) -> str:
        """Write rows as one file and its manifest; returns the file's path in the lake."""
        ordinal = self._ordinals[entity.name, tenant] = self._ordinals.get((entity.name, tenant), 0) + 1
        unit = f"{scope}-0001-u{ordinal:04d}"
        level = {"day": f"day={partition}/", "month": f"year_month={partition}/", "none": ""}[entity.partition]
        path = f"{entity.name}/tenant_id={tenant}/{level}{unit}-00.parquet"
        own = {"_tenant_id": tenant, "_exported_at": moment(at), "_run_id": f"r{ordinal}", "_deleted": False, "_rescued": None}
        self.write(path, pa.Table.from_pylist([{**own, **row} for row in rows], entity.schema))
        self.manifest(entity, tenant, ordinal, unit, path, rows=len(rows), partition=None if entity.partition == "none" else partition)
        return path

    def write(self, path: str, table: pa.Table) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.root / path, compression="zstd")

    def manifest(self, entity: Shape, tenant: int, ordinal: int, unit: str, path: str, *, rows: int, partition: str | None) -> None:
        data = (self.root / path).read_bytes()
        file = {"path": path, "partition": partition, "rows": rows, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        document = {
            "version": 1,
            "tenant": tenant,
            "entity": entity.name,
            "scope": unit.split("-", maxsplit=1)[0],
            "unit": unit,
            "ordinal": ordinal,
            "run_id": f"r{ordinal}",
            "committed_at": "2026-11-23T02:00:00Z",
            "window": None,
            "files": [file],
            "rows": rows,
            "columns": [[field.name, arrow_text(field.type)] for field in entity.schema],
            "rescued": 0,
            "rejected": 0,
            "position": {"epoch": 1, "token": f"t{ordinal}"},
        }
        target = self.manifest_path(entity, tenant, ordinal, unit)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))

    def manifest_path(self, entity: Shape, tenant: int, ordinal: int, unit: str) -> Path:
        return self.root / f"_st_export/manifests/{entity.name}/{tenant}/{ordinal:08d}-{unit}.json"


def job(key: int, modified: str | None, end: str, total: str = "0") -> dict[str, Any]:
    return {"id": key, "modifiedOn": moment(modified) if modified else None, "end": end, "total": Decimal(total)}


def tombstone(key: int) -> dict[str, Any]:
    return {"id": key, "_deleted": True}

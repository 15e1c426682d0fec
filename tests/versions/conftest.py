"""A lake of committed files in a folder, written and read with the real writer."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from st_export.flow import EntityName, TenantId
from st_export.write.parquet import FileFormat, ParquetFiles, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from st_export.flow import DataFile
    from st_export.write.layout import PartitionKind


class LakeFolder:
    """The reader of a lake, and what puts files there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spool = root / "spool"
        self.spool.mkdir()
        self.opened: list[str] = []
        self._files: list[DataFile] = []

    def files(self, entity: str, tenant: int, partition: str | None) -> list[DataFile]:
        folder = f"{entity}/tenant_id={tenant}/"
        return [file for file in self._files if file.path.startswith(folder) and partition in (None, file.partition)]

    def open(self, path: str) -> Any:
        self.opened.append(path)
        return pa.OSFile(str(self.root / path))

    def put(
        self,
        tables: Iterable[tuple[str | None, pa.Table]],
        schema: pa.Schema,
        order: tuple[str, ...] = (),
        kind: PartitionKind = "day",
        entity: str = "jpm.jobs",
    ) -> tuple[DataFile, ...]:
        place = Place(EntityName(entity), TenantId(1001), kind, f"run-{secrets.token_hex(4)}")
        writer = ParquetFiles(place, schema, order, FileFormat(), self.spool)
        for partition, table in tables:
            writer.write(partition, table)
        written = writer.finish()
        for file in written:
            target = self.root / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(str(file.local)).rename(target)
        self._files += written
        return written

    def rows(self) -> list[dict[str, Any]]:
        return [row for file in self._files for row in pq.ParquetFile(self.root / file.path).read().to_pylist()]


@pytest.fixture(scope="session")
def lake_folder() -> type[LakeFolder]:
    return LakeFolder


@pytest.fixture
def lake(tmp_path: Path) -> LakeFolder:
    return LakeFolder(tmp_path)

"""Where the rows of one entity go in one tenant's lake: schema, decoder, partitions, and what the lake already holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from st_export.catalog.schema import arrow_text, entity_schema
from st_export.commit.versions import RowColumns, VersionFilter
from st_export.decode.controls import Controls
from st_export.decode.decoder import Decoder
from st_export.write.partition import Partitioning, partitioning

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from st_export.catalog.entity import Entity
    from st_export.config.model import Config
    from st_export.run.lakefiles import LakeFiles
    from st_export.write.layout import PartitionKind


class Shelf:
    """One entity's place in the lake for the length of a run; made when its first page comes."""

    def __init__(self, entity: Entity, config: Config, tenant: int, lake: LakeFiles, spool: Path, run_day: date) -> None:
        options = config.options_for(entity.name)
        key = config.hash_key
        controls = Controls(
            frozenset(options.drop_columns), frozenset(options.hash_columns), key.get_secret_value().encode() if key is not None else b""
        )
        self.entity = entity
        self.partition_kind: PartitionKind = options.partition or config.output.partition
        self.schema = entity_schema(entity, config.output.numbers, options.drop_columns, options.hash_columns)
        self.decoder = Decoder(entity, self.schema, controls=controls)
        self.column_texts = tuple((field.name, arrow_text(field.type)) for field in self.schema)
        self.order = tuple(name for name in (*entity.key, entity.modified) if name)
        self.key_order = self.order if entity.key else ()
        self.whole_lock = anyio.Lock()
        self._options = options
        self._run_day = run_day
        placing = self.partitioning(None)
        self.columns = RowColumns(
            entity.name, tenant, self.schema, entity.key, entity.modified, () if placing.kind == "none" else placing.columns
        )
        self.versions = VersionFilter(self.columns, lake, spool)

    def partitioning(self, asked_day: date | None) -> Partitioning:
        """Return how rows are spread over partitions; `asked_day` for what was asked for a day."""
        return partitioning(
            self.entity, self.partition_kind, run_day=self._run_day, partition_by=self._options.partition_by, asked_day=asked_day
        )

    def partition_of(self, asked_day: date | None) -> str | None:
        """Return the partition that all rows asked for a day lie in; None without a day, or without partitions."""
        if asked_day is None or self.partition_kind == "none":
            return None
        return asked_day.isoformat() if self.partition_kind == "day" else f"{asked_day:%Y-%m}"

    def close(self) -> None:
        """Free what the version filter holds."""
        self.versions.close()

"""The work on one part of `current/` in DuckDB: which keys fall into it, its versions, and its file of current rows.

Blocking; runs in a thread. It leaves out where the files end up and what is committed.
"""

# ruff: noqa: S608 - names are quoted and paths are literals

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from st_export.lake.marker import HASH, part_path
from st_export.lake.origins import KEY, PartitionRuns, partition_column
from st_export.lake.views import DUCKDB, FILE, HIVE_TYPES, PLACE, current_select, scan, typed_select

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import duckdb

    from st_export.lake.shape import Shape

ROW_GROUP_BYTES = 32 * 1024 * 1024
"""Rows held, in Arrow's size, before they are written: what a part's writing needs of memory."""

BATCH_ROWS = 8192
SPREAD_ROWS = 16_384
"""Rows that DuckDB gathers for a part and thread before it writes them out; its own default holds half a million."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Where DuckDB finds an entity's files: every version, the new ones, and the lake."""

    log: tuple[str, ...]
    new: tuple[str, ...]
    lake: str
    tenant: int
    there: frozenset[int]


@dataclass(frozen=True, slots=True)
class PartSource:
    """The versions of one part: a relation with the columns of the part's file, and where each row stands."""

    relation: str

    @staticmethod
    def of_spread(shape: Shape, spool: Path, part: int) -> PartSource:
        """Return the versions that `spread` has put aside for a part."""
        folder = spool / "versions" / f"_part={part}"
        if not folder.is_dir():
            return PartSource(_nothing(shape))
        relation = scan(shape, [f"{folder}/*.parquet"], hive=(), row_numbers=True)
        return PartSource(f"(SELECT {_part_columns(shape)}, {FILE}, {PLACE} FROM {relation})")


def _folder_columns(shape: Shape) -> tuple[str, ...]:
    return tuple(name for name in shape.hive_columns if name != "tenant_id")


def _part_columns(shape: Shape) -> str:
    return ", ".join(DUCKDB.identifier(name) for name in (*shape.schema.names, *_folder_columns(shape)))


def _nothing(shape: Shape) -> str:
    typed = [f"CAST(NULL AS {DUCKDB.type(field.type)}) AS {DUCKDB.identifier(field.name)}" for field in shape.schema]
    typed += [f"CAST(NULL AS {HIVE_TYPES[name]}) AS {DUCKDB.identifier(name)}" for name in _folder_columns(shape)]
    return f"(SELECT {', '.join(typed)}, '' AS {FILE}, 0::BIGINT AS {PLACE} LIMIT 0)"


def part_expression(shape: Shape, parts: int) -> str:
    """Return the part of a row: the fixed hash of its key (or of what its snapshot was asked for) modulo the number of parts."""
    group = [name for name in shape.group if name != "_tenant_id"]
    if parts == 1 or not group:
        return "0"
    text = ", ".join(f"CAST({DUCKDB.identifier(name)} AS VARCHAR)" for name in group)
    return f"CAST({HASH}(concat_ws(chr(31), {text})) % {parts} AS INTEGER)"


def has_tombstones(database: duckdb.DuckDBPyConnection, shape: Shape, urls: Sequence[str]) -> bool:
    """Return whether some of the files' rows say that a key was found gone."""
    if not urls:
        return False
    return bool(database.execute(f"SELECT 1 FROM {scan(shape, urls)} WHERE {DUCKDB.identifier('_deleted')} LIMIT 1").fetchall())


def changed_parts(database: duckdb.DuckDBPyConnection, shape: Shape, new: Sequence[str], parts: int) -> tuple[int, ...]:
    """Return the parts of the keys in the new files, in order."""
    if not new:
        return ()
    found = database.execute(f"SELECT DISTINCT {part_expression(shape, parts)} FROM {scan(shape, new)} ORDER BY 1").fetchall()
    return tuple(int(row[0]) for row in found)


def spread(
    database: duckdb.DuckDBPyConnection,
    shape: Shape,
    log: Sequence[str],
    written: Collection[str],
    *,
    parts: int,
    wanted: Collection[int],
    spool: Path,
) -> None:
    """Put every version of the wanted parts aside on local disk, a folder a part: one pass over the log."""
    part = part_expression(shape, parts)
    some = "" if len(wanted) == parts else f" WHERE _part IN ({', '.join(map(str, sorted(wanted)))})"
    relation = f"({typed_select(shape, scan(shape, log), written)})"
    database.execute(f"SET partitioned_write_flush_threshold = {SPREAD_ROWS}")
    database.execute(
        f"COPY (SELECT * FROM (SELECT {_part_columns(shape)}, {part} AS _part FROM {relation}){some}) "
        f"TO {DUCKDB.literal(str(spool / 'versions'))} (FORMAT parquet, COMPRESSION lz4_raw, PARTITION_BY (_part))"
    )


def merge_source(shape: Shape, urls: Urls, part: int, parts: int, written: Collection[str]) -> PartSource:
    """Return the rows of the part that is there together with the new versions of its keys."""
    columns = _part_columns(shape)
    new = typed_select(shape, scan(shape, urls.new, row_numbers=True), written, (*shape.hive_columns, FILE, PLACE))
    relations = [f"SELECT {columns}, {FILE}, {PLACE} FROM ({new}) WHERE {part_expression(shape, parts)} = {part}"]
    if part in urls.there:
        old = f"{urls.lake}/{part_path(shape.name, urls.tenant, part, parts)}"
        names = [DUCKDB.identifier(name) for name in shape.schema.names] + [partition_column(name) for name in _folder_columns(shape)]
        relations.append(f"SELECT {', '.join(names)}, {FILE}, {PLACE} FROM {scan(shape, [old], hive=(), row_numbers=True)}")
    return PartSource(f"({' UNION ALL '.join(relations)})")


def write_part(database: duckdb.DuckDBPyConnection, shape: Shape, source: PartSource, local: Path) -> int:
    """Write the current rows of a part's versions into one Parquet file, with the columns of the log's files. Returns their number.

    The rows are ranked by key and times alone; then the whole rows are streamed and those kept that stand at a winner's place. Which
    folder of the log each comes from stands in the footer.
    """
    winners = current_select(shape, source.relation, columns=(FILE, PLACE))
    reader = database.sql(
        f"SELECT {_part_columns(shape)} FROM {source.relation} AS versions SEMI JOIN ({winners}) AS winners USING ({FILE}, {PLACE})"
    ).to_arrow_reader(BATCH_ROWS)
    schema, rows = shape.schema, 0
    folders, partitions = _folder_columns(shape), PartitionRuns()
    with pq.ParquetWriter(local, schema, compression="zstd") as writer:
        held: list[pa.RecordBatch] = []
        for batch in reader:
            held.append(batch)
            for name in folders:
                partitions.add(batch.column(name))
            rows += batch.num_rows
            if sum(one.nbytes for one in held) >= ROW_GROUP_BYTES:
                writer.write_table(_cast(held, schema))
                held = []
        if held:
            writer.write_table(_cast(held, schema))
        if folders:
            writer.add_key_value_metadata({KEY: partitions.encoded()})
    return rows


def _cast(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Return the batches as one table of the file's own columns and types.

    DuckDB names list items otherwise and forgets what is not null; behind the file's columns stand those of the folders.
    """
    table = pa.Table.from_batches(batches)
    return pa.table([table.column(index).cast(field.type) for index, field in enumerate(schema)], schema=schema)

"""Rows of a query as a table, CSV, JSON or Parquet, batch by batch; numbers exact, times in UTC with `Z`, nested values as JSON."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TextIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OutputFormat = Literal["table", "csv", "json", "parquet"]

MAX_TABLE_ROWS = 1000
"""Rows shown in a table: it must be held to be aligned, and nobody reads more; the other formats have no limit."""

MAX_CELL_LETTERS = 80


def write_table(reader: pa.RecordBatchReader, sink: TextIO) -> int:
    """Write the first rows aligned in columns, then how many there are. Returns the number of rows."""
    names, cells, count = list(reader.schema.names), list[list[str]](), 0
    for batch in reader:
        room = MAX_TABLE_ROWS - len(cells)
        cells.extend([_shortened(cell_text(value)) for value in row] for row in _rows(batch.slice(0, max(room, 0))))
        count += batch.num_rows
    widths = [max(len(name), *(len(row[index]) for row in cells), 0) for index, name in enumerate(names)]
    right = [_is_number(field.type) for field in reader.schema]
    sink.write(_line(names, widths, right) + "\n")
    sink.write("  ".join("-" * width for width in widths) + "\n")
    sink.writelines(_line(row, widths, right) + "\n" for row in cells)
    more = f", the first {len(cells):,} shown; --csv, --json and --parquet give all" if count > len(cells) else ""
    sink.write(f"({count:,} row{'' if count == 1 else 's'}{more})\n")
    return count


def write_csv(reader: pa.RecordBatchReader, sink: TextIO) -> int:
    """Write a header and all rows as CSV (RFC 4180 quoting, null as nothing). Returns the number of rows."""
    writer, count = csv.writer(sink, lineterminator="\n"), 0
    writer.writerow(reader.schema.names)
    for batch in reader:
        writer.writerows([cell_text(value) for value in row] for row in _rows(batch))
        count += batch.num_rows
    return count


def write_json(reader: pa.RecordBatchReader, sink: TextIO) -> int:
    """Write all rows as one JSON list of objects, an object a line. Returns the number of rows."""
    names, count = reader.schema.names, 0
    sink.write("[")
    for batch in reader:
        for row in _rows(batch):
            sink.write(("\n" if count == 0 else ",\n") + json_text(dict(zip(names, row, strict=True))))
            count += 1
    sink.write("\n]\n")
    return count


def write_parquet(reader: pa.RecordBatchReader, path: Path) -> int:
    """Write all rows into one Parquet file (zstd). Returns the number of rows."""
    count = 0
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def cell_text(value: Any) -> str:
    """Return a value as text: nothing for null, numbers exact, times in UTC, nested values as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date | str | int | float):
        return str(value)
    return json_text(value)


def json_text(value: Any) -> str:
    """Return a value as JSON, decimals as numbers with their digits."""
    return orjson.dumps(value, default=_json_default, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS).decode()


def decimal_text(value: Decimal) -> str:
    """Return a decimal without the zeros that its column's scale adds, never with an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json_default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_text(value))
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat(sep=" ")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as tuples: names may repeat, so no dict."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _shortened(text: str) -> str:
    flat = text.replace("\r", " ").replace("\n", " ")
    return flat if len(flat) <= MAX_CELL_LETTERS else flat[: MAX_CELL_LETTERS - 1] + "…"


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    aligned = (cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(cells, widths, right, strict=True))
    return "  ".join(aligned).rstrip()


def text_of(reader: pa.RecordBatchReader, output: OutputFormat) -> str:
    """Return all rows as one text; for results that are known to be small."""
    sink = io.StringIO()
    {"table": write_table, "csv": write_csv, "json": write_json}[output](reader, sink)
    return sink.getvalue()

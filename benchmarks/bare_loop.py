"""The yardstick: aiohttp, orjson and pyarrow, and nothing else. Five feeds side by side into one Parquet file each.

No types but those that the catalog gives in the JSON's own terms, no dates, no decimals, no `_rescued`, no partitions, no commits, no
checkpoint, no retries. As fast as we can make it: a known struct type, rows gathered to large batches, zstd, decoding and writing
in threads while the next page is under way.

Run as a process of its own: `python -m benchmarks.bare_loop INFO.json FOLDER feed …`; prints JSON with rows, bytes and peak memory.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from st_export.catalog.load import load_catalog

if TYPE_CHECKING:
    from st_export.catalog.entity import Column

BATCH_BYTES = 16 << 20


def wire_type(column: Column) -> pa.DataType:
    """Return the type of a column as JSON has it: text stays text, a number with a fraction is a double."""
    if column.type == "list":
        assert column.item is not None
        return pa.list_(wire_type(column.item))
    if column.type == "struct":
        return pa.struct([(field.name, wire_type(field)) for field in column.fields])
    return {"int64": pa.int64(), "bool": pa.bool_(), "decimal": pa.float64(), "double": pa.float64()}.get(column.type, pa.string())


def text_money(rows: list, type_: pa.StructType) -> pa.StructType:
    """Return the type with the fields as text that the service sends as text: seen in the first rows, once."""
    fields = []
    for field in type_:
        values = [row.get(field.name) for row in rows[:50] if isinstance(row, dict)]
        fields.append(pa.field(field.name, adapted(values, field.type)))
    return pa.struct(fields)


def adapted(values: list, type_: pa.DataType) -> pa.DataType:
    """Return `type_` as the values need it."""
    present = [value for value in values if value is not None]
    if pa.types.is_floating(type_) and any(isinstance(value, str) for value in present):
        return pa.string()
    if pa.types.is_struct(type_):
        return text_money(present, type_)
    if pa.types.is_list(type_):
        return pa.list_(adapted([item for value in present if isinstance(value, list) for item in value], type_.value_type))
    return type_


class FeedFile:
    """One feed's Parquet file."""

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self.type = pa.struct([(column.name, wire_type(column)) for column in columns])
        self.path, self.writer, self.waiting, self.bytes, self.rows, self.known = path, None, [], 0, 0, False

    def take(self, body: bytes) -> tuple[bool, str | None]:
        page = orjson.loads(body)
        rows = page["data"]
        if not self.known and rows:
            self.type, self.known = text_money(rows, self.type), True
        self.waiting.append(pa.RecordBatch.from_struct_array(pa.array(rows, self.type)))
        self.bytes += len(body)
        self.rows += len(rows)
        if self.bytes >= BATCH_BYTES:
            self.flush()
        return page["hasMore"], page["continueFrom"]

    def flush(self) -> None:
        if not self.waiting:
            return
        table = pa.Table.from_batches(self.waiting)
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        self.writer.write_table(table)
        self.waiting, self.bytes = [], 0


async def read_feed(session: aiohttp.ClientSession, url: str, headers: dict, file: FeedFile) -> int:
    token, has_more, total = None, True, 0
    while has_more:
        query = f"?from={quote(token, safe='')}" if token else ""
        async with session.get(aiohttp.client.URL(url + query, encoded=True), headers=headers) as response:
            body = await response.read()
        total += len(body)
        has_more, token = await asyncio.to_thread(file.take, body)
    await asyncio.to_thread(file.flush)
    if file.writer is not None:
        file.writer.close()
    return total


async def main(info: dict, folder: Path, feeds: list[str]) -> dict:
    began = time.perf_counter()
    tenant = info["tenants"][0]
    catalog = load_catalog()
    async with aiohttp.ClientSession(read_bufsize=1 << 20) as session:
        form = {"grant_type": "client_credentials", "client_id": tenant["client_id"], "client_secret": tenant["client_secret"]}
        async with session.post(info["auth_url"], data=form) as response:
            token = (await response.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "ST-App-Key": tenant["app_key"]}
        files = {name: FeedFile(folder / f"{name}.parquet", catalog.entities[name].columns) for name in feeds}
        urls = {name: info["api_url"] + catalog.entities[name].path.replace("{tenant}", str(tenant["id"])) for name in feeds}
        sizes = await asyncio.gather(*(read_feed(session, urls[name], headers, files[name]) for name in feeds))
    return {
        "rows": sum(file.rows for file in files.values()),
        "json_bytes": sum(sizes),
        "seconds": time.perf_counter() - began,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "cpu_seconds": time.process_time(),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), sys.argv[3:]))))

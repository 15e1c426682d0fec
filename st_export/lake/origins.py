"""Which folder of the log a row below `current/` comes from: its day, or month, which is a column of no file.

A part holds rows of any day. Their days stand in its footer, in runs of rows, so that one put replaces both. SQL gets them by a
function of a row's file and place, which costs nothing where nobody asks for the day.
"""

from __future__ import annotations

import base64
import threading
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from st_export.lake.views import DUCKDB, FILE, HIVE_TYPES, PLACE

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from st_export.lake.files import LakeFiles

KEY = b"st_export.partitions"
"""The footer's entry: `{values: [text…], runs: base64 of zlib of int32 pairs (which value, how many rows)}`."""

FUNCTION = "st_export_partition"


class PartitionRuns:
    """The partitions of a part's rows, gathered in the order in which the rows are written."""

    def __init__(self) -> None:
        self._codes: dict[str | None, int] = {}
        self._runs: list[np.ndarray] = []

    def add(self, partitions: pa.Array) -> None:
        """Take the partitions (days or texts) of the rows that come next."""
        if not len(partitions):
            return
        encoded = pc.dictionary_encode(partitions.cast(pa.string()), null_encoding="encode")
        codes = np.array([self._codes.setdefault(value, len(self._codes)) for value in encoded.dictionary.to_pylist()], dtype=np.int32)
        of_rows = codes[encoded.indices.to_numpy(zero_copy_only=False)]
        starts = np.flatnonzero(np.diff(of_rows, prepend=-1))
        lengths = np.diff(starts, append=len(of_rows))
        self._runs.append(np.stack([of_rows[starts], lengths], axis=1).astype(np.int32))

    def encoded(self) -> bytes:
        """Return the footer's entry."""
        runs = np.concatenate(self._runs) if self._runs else np.zeros((0, 2), dtype=np.int32)
        packed = base64.b64encode(zlib.compress(runs.astype("<i4").tobytes())).decode()
        return orjson.dumps({"values": list(self._codes), "runs": packed})


class Partitions:
    """Tells the partition of any row of any part; a part's footer is read when the first of its rows is asked for."""

    def __init__(self, remote: LakeFiles | None = None) -> None:
        self._open: Callable[[str], Any] = remote.open if remote is not None else str
        self._known: dict[str, tuple[np.ndarray, pa.Array]] = {}
        self._reading = threading.Lock()

    def of_rows(self, files: pa.ChunkedArray, places: pa.ChunkedArray) -> pa.Array:
        """Return the partition of each row, given by file and place in it, as a text; null where the file tells none."""
        rows = np.asarray(places)
        encoded = pc.dictionary_encode(files)
        chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
        found, start = [], 0
        for chunk in chunks:
            names, which = chunk.dictionary.to_pylist(), np.asarray(chunk.indices)
            found.append(self._of_chunk(names, which, rows[start : start + len(which)]))
            start += len(which)
        return pa.concat_arrays(found) if found else pa.nulls(0, pa.string())

    def _of_chunk(self, names: list[str], which: np.ndarray, rows: np.ndarray) -> pa.Array:
        values: list[pa.Array] = []
        taken = np.zeros(len(rows), dtype=np.int64)
        offset = 0
        for number, name in enumerate(names):
            ends, texts = self._runs_of(name)
            mask = which == number
            taken[mask] = offset + np.minimum(np.searchsorted(ends, rows[mask], side="right"), len(ends))
            values.append(texts)
            offset += len(texts)
        return pa.concat_arrays(values).take(pa.array(taken)) if values else pa.nulls(len(rows), pa.string())

    def _runs_of(self, name: str) -> tuple[np.ndarray, pa.Array]:
        """Return behind which row each run of a part ends, and its text; one null more stands for rows that no run has."""
        with self._reading:
            if name not in self._known:
                with pq.ParquetFile(self._open(name)) as file:
                    self._known[name] = _decoded((file.metadata.metadata or {}).get(KEY))
            return self._known[name]


def _decoded(entry: bytes | None) -> tuple[np.ndarray, pa.Array]:
    if entry is None:
        return np.zeros(0, dtype=np.int64), pa.nulls(1, pa.string())
    document = orjson.loads(entry)
    runs = np.frombuffer(zlib.decompress(base64.b64decode(document["runs"])), dtype="<i4").reshape(-1, 2)
    values = pa.array([*document["values"], None], pa.string())
    return np.cumsum(runs[:, 1], dtype=np.int64), values.take(pa.array([*runs[:, 0], len(values) - 1], pa.int64()))


def register(database: duckdb.DuckDBPyConnection, remote: LakeFiles | None = None) -> None:
    """Give a DuckDB the function that `partition_column` names."""
    look_up = Partitions(remote)
    database.create_function(FUNCTION, look_up.of_rows, ["VARCHAR", "BIGINT"], "VARCHAR", type="arrow")


def partition_column(name: str) -> str:
    """Return the SQL of a folder's column (`day`, `year_month`) for a row of a part that is scanned with its file and place."""
    return f"CAST({FUNCTION}({FILE}, {PLACE}) AS {HIVE_TYPES[name]}) AS {DUCKDB.identifier(name)}"

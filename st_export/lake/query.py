"""SQL over the lake: DuckDB with a view for each entity, of the current rows (`jpm.jobs`) and of every version (`jpm.jobs_log`).

Only the views that a statement names are made, so that it starts fast with two hundred entities. The lake is only read.
"""

# ruff: noqa: S608 - names are quoted, numbers are numbers; a user's SQL is checked to only read

from __future__ import annotations

import difflib
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, TextIO, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import duckdb

from st_export.commit import paths
from st_export.errors import ConfigError, StExportError, StoreError
from st_export.flow import utc_text
from st_export.lake import origins
from st_export.lake import output as formats
from st_export.lake.files import LakeFiles, connection
from st_export.lake.index import read_catalog
from st_export.lake.ranges import local_folder
from st_export.lake.relations import Relation, relation
from st_export.lake.shape import Shape, by_view
from st_export.lake.statement import checked_statement, lists_relations, named_relations, sql_error
from st_export.lake.views import DUCKDB, empty_select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from st_export.commit.store import Store

    Views = Mapping[tuple[str, str], Shape]
    RowsTaker = Callable[[pa.RecordBatchReader], int]

T = TypeVar("T")
Bound = tuple[str, Literal["<", ">=", "=", "IS DISTINCT FROM"], "datetime | str | bool"]
BATCH_ROWS = 10_000


async def query(
    store: Store,
    shapes: Iterable[Shape],
    sql: str,
    *,
    output: formats.OutputFormat = "table",
    sink: TextIO | None = None,
    file: Path | None = None,
    memory_limit_mb: int | None = None,
) -> int:
    """Run one reading SQL statement over the lake and write its rows.

    Args:
        store: the lake.
        shapes: all entities that shall have views.
        sql: one SELECT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN.
        output: `table`, `csv` and `json` go to `sink`; `parquet` to `file`.
        sink: where text goes.
        file: the Parquet file to write, outside the lake.
        memory_limit_mb: for DuckDB, default its own; it spills to the system's temporary folder.

    Returns:
        The number of rows.

    Raises:
        ConfigError: the SQL is wrong, would write, or the file lies inside the lake.
        EntityFailed: an entity's files have schemas that no one schema holds.
        StoreError: the lake or the file cannot be read or written.

    """
    write = _writer(store, output, sink, file)
    views = by_view(shapes)
    # Not the store's spool: a lake on a read-only mount can be queried too.
    with TemporaryDirectory(prefix="st-export-") as spool:
        database = connection(Path(spool), memory_limit_mb=memory_limit_mb)
        try:
            checked_statement(database, sql)
            return await _run(store, views, database, sql, write)
        finally:
            database.close()


async def current_keys(store: Store, shape: Shape, tenant: int, *, bounds: Sequence[Bound] = ()) -> int:
    """Return how many keys of an entity of a tenant are current: for `verify --api`.

    Args:
        store: the lake.
        shape: the entity.
        tenant: the tenant.
        bounds: only rows for which all these hold: column (dotted for a nested one), comparison, value.

    """
    found: list[int] = []

    def take(reader: pa.RecordBatchReader) -> int:
        found.extend(row for batch in reader for row in batch.column(0).to_pylist())
        return len(found)

    name = DUCKDB.qualified(*shape.view)
    conditions = [f"{DUCKDB.identifier('_tenant_id')} = {int(tenant)}"]
    conditions += [_condition(*bound) for bound in bounds]
    sql = f"SELECT count(*) AS keys FROM {name} WHERE {' AND '.join(conditions)}"
    with TemporaryDirectory(prefix="st-export-") as spool:
        database = connection(Path(spool))
        try:
            await _run(store, by_view([shape]), database, sql, take)
        finally:
            database.close()
    return found[0]


def _condition(column: str, comparison: str, value: datetime | str | bool) -> str:
    place = ".".join(DUCKDB.identifier(name) for name in column.split("."))
    if isinstance(value, bool):
        return f"{place} {comparison} {value}"
    if isinstance(value, str):
        return f"{place} {comparison} {DUCKDB.literal(value)}"
    return f"{place} {comparison} TIMESTAMPTZ {DUCKDB.literal(utc_text(value))}"


async def _run(store: Store, views: Views, database: duckdb.DuckDBPyConnection, sql: str, write: RowsTaker) -> int:
    named = _named(views, sql)
    relations = await _relations(store, named.values())
    remote = LakeFiles(store, await _listed(store, relations)) if relations and local_folder(store) is None else None
    rest = [shape for view, shape in views.items() if view not in named] if lists_relations(sql) else []

    def work() -> int:
        if remote is not None:
            database.register_filesystem(remote)
        if any(one.fresh for one in relations):
            origins.register(database, remote)
        try:
            _create_views(database, relations, rest)
        except duckdb.Error as error:
            # The user's statement has not been run yet: it is the lake's files that cannot be read.
            raise _unreadable(error) from error
        return write(database.sql(sql).to_arrow_reader(BATCH_ROWS))

    try:
        return await interruptible(database, work)
    except duckdb.Error as error:
        raise _explained(error, remote, views, sql) from error


async def interruptible(database: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Run DuckDB work in a thread; a cancellation interrupts the statement and waits for the thread, so nothing is left running."""
    outcome: list[T | duckdb.Error | StExportError | OSError] = []

    async def interrupt_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            if not outcome:
                database.interrupt()

    def guarded() -> None:
        try:
            outcome.append(work())
        except (duckdb.Error, StExportError, OSError) as error:
            outcome.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(interrupt_when_cancelled)
        await anyio.to_thread.run_sync(guarded)
        group.cancel_scope.cancel()
    await anyio.lowlevel.checkpoint()
    result = outcome[0]
    if isinstance(result, duckdb.Error | StExportError | OSError):
        raise result
    return result


def _writer(store: Store, output: formats.OutputFormat, sink: TextIO | None, file: Path | None) -> Callable[[pa.RecordBatchReader], int]:
    """Return what takes the rows. Raises `ConfigError` where they have nowhere to go."""
    if output == "parquet":
        if file is None:
            raise ConfigError("no file to write to", hint="give `--parquet FILE`")
        folder, target = local_folder(store), file
        if folder is not None and target.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{target} lies inside the lake, which `query` never writes", hint="write the file elsewhere")
        return lambda reader: formats.write_parquet(reader, target)
    if sink is None:
        raise ConfigError(f"nowhere to write {output} to")
    stream, write = sink, {"table": formats.write_table, "csv": formats.write_csv, "json": formats.write_json}[output]
    return lambda reader: write(reader, stream)


def _explained(error: duckdb.Error, remote: LakeFiles | None, views: Views, sql: str) -> StExportError:
    """Return DuckDB's error as ours: the store's own where a read failed, else a mistake in the SQL, with the nearest names."""
    if remote is not None and remote.failure is not None:
        return remote.failure
    if isinstance(error, duckdb.OutOfMemoryException):
        return sql_error(error, hint="ask for fewer columns or rows, or run where there is more memory and disk for temporary files")
    if isinstance(error, duckdb.IOException):
        return StoreError(
            f"the lake could not be read: {error}", hint="run `st-export verify`; a `compact` under way may be the cause: try again"
        )
    if isinstance(error, duckdb.CatalogException):
        return sql_error(error, hint=_nearest_views(views, sql))
    return sql_error(error)


def _unreadable(error: duckdb.Error) -> StoreError:
    hint = "try again if a `compact` was under way, else run `st-export verify`"
    return StoreError(f"the lake cannot be read: {error}", hint=hint)


def _nearest_views(views: Views, sql: str) -> str:
    known = [f"{module}.{name}" for module, name in views]
    asked = [f"{module}.{name}" for module, name in named_relations(sql) - set(views)] or re.findall(r"(?:from|join)\s+(\w+)", sql.lower())
    near = [name for one in asked for name in difflib.get_close_matches(one, known, n=2, cutoff=0.6)]
    near += [name for one in asked for name in known if name.partition(".")[2] == one]
    return (
        f"did you mean {' or '.join(dict.fromkeys(near))}?"
        if near
        else "`SHOW ALL TABLES` lists the views; entities are views as `jpm.jobs`"
    )


def _named(views: Views, sql: str) -> dict[tuple[str, str], Shape]:
    names = named_relations(sql)
    return {view: shape for view, shape in views.items() if names & {_lowered(view), _lowered((view[0], f"{view[1]}_log"))}}


def _lowered(view: tuple[str, str]) -> tuple[str, str]:
    return view[0].lower(), view[1].lower()


async def _relations(store: Store, shapes: Iterable[Shape]) -> list[Relation]:
    wanted = list(shapes)
    catalog = await read_catalog(store) if wanted else {}
    return [await relation(store, shape, catalog) for shape in wanted]


async def _listed(store: Store, relations: Iterable[Relation]) -> dict[str, int]:
    """Return path and size of every file that the relations may read."""
    files: dict[str, int] = {}
    for one in relations:
        for folder in (one.shape.name, f"{paths.CURRENT}/{one.shape.name}"):
            files.update({entry.path: entry.bytes async for entry in store.list(folder)})
    return files


def _create_views(database: duckdb.DuckDBPyConnection, relations: Iterable[Relation], rest: Iterable[Shape]) -> None:
    for one in relations:
        _create(database, one.shape, one.log_query(), one.current_query())
    for shape in rest:
        _create(database, shape, empty_select(shape), empty_select(shape))


def _create(database: duckdb.DuckDBPyConnection, shape: Shape, log: str, current: str) -> None:
    module, name = shape.view
    database.execute(f"CREATE SCHEMA IF NOT EXISTS {DUCKDB.identifier(module)}")
    database.execute(f"CREATE VIEW {DUCKDB.qualified(module, f'{name}_log')} AS {log}")
    database.execute(f"CREATE VIEW {DUCKDB.qualified(module, name)} AS {current}")

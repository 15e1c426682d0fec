"""The SQL of an entity's two relations, every version (`jpm.jobs_log`) and the current rows (`jpm.jobs`), for four engines.

Pure text: what stands in the lake is handed in. One statement of the contract's "current row" serves all engines, so that they
and `compact` never differ: rank the rows of a key with tombstones last, and keep the first unless a tombstone was found after
all rows of its key.
"""

# ruff: noqa: S608 - this module is the SQL: names are quoted and paths are literals, no text of a user enters it

from __future__ import annotations

from typing import TYPE_CHECKING

from st_export.lake.dialects import DIALECTS, Dialect, dialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from st_export.lake.shape import Shape

HIVE_TYPES = {"tenant_id": "BIGINT", "day": "DATE", "year_month": "VARCHAR"}
DUCKDB = DIALECTS["duckdb"]
FILE, PLACE = "_file", "file_row_number"
"""Where a row stands, in a scan with row numbers (a row's own `fileName` would be taken for `filename`)."""


def columns_of(shape: Shape) -> tuple[str, ...]:
    """Return the columns of both relations: those of the files, then what the folders give (`tenant_id`, `day`)."""
    return (*shape.schema.names, *shape.hive_columns)


def current_select(shape: Shape, log: str, spelling: Dialect = DUCKDB, *, columns: Sequence[str] | None = None) -> str:
    """Return the query of the current rows over a relation of every version.

    Args:
        shape: the entity.
        log: the relation: a quoted name or a query in parentheses.
        spelling: the engine's dialect.
        columns: what to return, default all of the files and the folders.

    """
    names = ", ".join(spelling.identifier(name) for name in (columns_of(shape) if columns is None else columns))
    return _keyed(shape, log, names, spelling) if shape.key else _snapshots(shape, log, names, spelling)


def _keyed(shape: Shape, log: str, names: str, spelling: Dialect) -> str:
    group = ", ".join(spelling.identifier(name) for name in shape.group)
    # BigQuery and Trino need the direction and the nulls spelt out; so nothing is left to an engine's default.
    newest = f"{spelling.path(shape.modified)} DESC NULLS LAST, " if shape.modified else ""
    exported, deleted = spelling.identifier("_exported_at"), spelling.identifier("_deleted")
    return (
        f"SELECT {names} FROM (\n"
        f"  SELECT *,\n"
        f"    row_number() OVER (PARTITION BY {group} ORDER BY {deleted} ASC, {newest}{exported} DESC) AS _rank,\n"
        f"    max(CASE WHEN {deleted} THEN {exported} END) OVER (PARTITION BY {group}) AS _gone_at,\n"
        f"    max(CASE WHEN NOT {deleted} THEN {exported} END) OVER (PARTITION BY {group}) AS _seen_at\n"
        f"  FROM {log}\n"
        f") AS versions\n"
        f"WHERE _rank = 1 AND NOT {deleted} AND (_gone_at IS NULL OR _gone_at <= _seen_at)"
    )


def _snapshots(shape: Shape, log: str, names: str, spelling: Dialect) -> str:
    group = ", ".join(spelling.identifier(name) for name in shape.group)
    exported, deleted = spelling.identifier("_exported_at"), spelling.identifier("_deleted")
    return (
        f"SELECT {names} FROM (\n"
        f"  SELECT *, max({exported}) OVER (PARTITION BY {group}) AS _last_at\n"
        f"  FROM {log}\n"
        f") AS versions\n"
        f"WHERE {exported} = _last_at AND NOT {deleted}"
    )


def empty_select(shape: Shape, spelling: Dialect = DUCKDB) -> str:
    """Return a query with the right columns and no rows, for an entity without files."""
    typed = [(field.name, spelling.type(field.type)) for field in shape.schema]
    typed += [(name, _hive_type(name, spelling)) for name in shape.hive_columns]
    return "SELECT " + ", ".join(f"CAST(NULL AS {kind}) AS {spelling.identifier(name)}" for name, kind in typed) + " LIMIT 0"


def glob_of(shape: Shape, url: str) -> str:
    """Return the glob of an entity's data files below a lake's URL: only the folders of the layout, no foreign ones."""
    level = f"{shape.partition_column}=*/" if shape.partition_column else ""
    return f"{escaped_glob(url.rstrip('/'))}/{shape.name}/tenant_id=*/{level}*.parquet"


def current_glob_of(shape: Shape, url: str) -> str:
    """Return the glob of an entity's files of current rows below a lake's URL."""
    return f"{escaped_glob(url.rstrip('/'))}/current/{shape.name}/tenant_id=*/*.parquet"


def escaped_glob(path: str) -> str:
    """Return a path whose characters all mean themselves in DuckDB's globs."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)


def scan(shape: Shape, globs: Sequence[str], *, hive: Sequence[str] | None = None, row_numbers: bool = False) -> str:
    """Return DuckDB's `read_parquet(…)` over an entity's files, in one scan whatever catalog wrote them.

    Args:
        shape: the entity.
        globs: paths or globs.
        hive: the columns that these folders give, default those of the log.
        row_numbers: add FILE and PLACE.

    """
    paths = ", ".join(DUCKDB.literal(path) for path in globs)
    # Left on, folders called like a column of the files would take its place without a word.
    names = hive if hive is not None else () if shape.hides_folders else shape.hive_columns
    options = ["union_by_name = true"]
    if names:
        typed = ", ".join(f"{DUCKDB.literal(name)}: {HIVE_TYPES[name]}" for name in names)
        options += ["hive_partitioning = true", f"hive_types = {{{typed}}}"]
    else:
        options.append("hive_partitioning = false")
    if row_numbers:
        options += [f"filename = {DUCKDB.literal(FILE)}", f"{PLACE} = true"]
    return f"read_parquet([{paths}], {', '.join(options)})"


def typed_select(shape: Shape, relation: str, written: Iterable[str], hive: Sequence[str] | None = None) -> str:
    """Return a DuckDB query of a scan's rows in the entity's own columns and types: what no file has yet is null.

    Args:
        shape: the entity, with the unified schema.
        relation: a scan or a name.
        written: the columns that at least one file has.
        hive: the columns that the folders give, default those of the log.

    """
    has = set(written)
    parts = [_typed_column(field.name, DUCKDB.type(field.type), present=field.name in has) for field in shape.schema]
    names = shape.hive_columns if hive is None else tuple(hive)
    parts += [_folder_column(shape, name) for name in names]
    return f"SELECT {', '.join(parts)} FROM {relation}"


def _folder_column(shape: Shape, name: str) -> str:
    quoted = DUCKDB.identifier(name)
    return f"{DUCKDB.identifier('_tenant_id')} AS {quoted}" if name == "tenant_id" and shape.hides_folders else quoted


def _typed_column(name: str, kind: str, *, present: bool) -> str:
    quoted = DUCKDB.identifier(name)
    return f"CAST({quoted} AS {kind}) AS {quoted}" if present else f"CAST(NULL AS {kind}) AS {quoted}"


def _hive_type(name: str, spelling: Dialect) -> str:
    if spelling.name == "bigquery" and name == "tenant_id":
        return "INT64"
    return {"spark": "STRING", "bigquery": "STRING"}.get(spelling.name, "VARCHAR") if name == "year_month" else HIVE_TYPES[name]


def definitions(shapes: Iterable[Shape], dialect_name: str, url: str, *, with_files: frozenset[str] | None = None) -> str:
    """Return the statements that give another engine the names of this lake, ready to be piped into its shell.

    Args:
        shapes: the entities.
        dialect_name: `duckdb`, `spark`, `trino` or `bigquery`.
        url: the lake's URL as that engine spells it.
        with_files: names of the entities that have files; the others become views without rows. None: all have.

    Raises:
        ConfigError: no such dialect.

    """
    spelling = dialect(dialect_name)
    ordered = sorted(shapes, key=lambda shape: shape.view)
    lines = [_create_schema(module, spelling) for module in dict.fromkeys(shape.view[0] for shape in ordered)]
    for shape in ordered:
        has_files = with_files is None or shape.name in with_files
        lines += _log_statements(shape, spelling, url.rstrip("/")) if has_files else [_empty_log(shape, spelling)]
        module, name = shape.view
        log = spelling.qualified(module, f"{name}_log")
        lines.append(f"CREATE OR REPLACE VIEW {spelling.qualified(module, name)} AS\n{current_select(shape, log, spelling)};")
    return "\n".join(lines) + "\n"


def _create_schema(module: str, spelling: Dialect) -> str:
    return f"CREATE SCHEMA IF NOT EXISTS {spelling.identifier(module)};"


def _empty_log(shape: Shape, spelling: Dialect) -> str:
    module, name = shape.view
    return f"CREATE OR REPLACE VIEW {spelling.qualified(module, f'{name}_log')} AS {empty_select(shape, spelling)};"


def _log_statements(shape: Shape, spelling: Dialect, url: str) -> list[str]:
    module, name = shape.view
    relation = spelling.qualified(module, f"{name}_log")
    folder = f"{url}/{shape.name}"
    columns = [f"{spelling.identifier(field.name)} {spelling.type(field.type)}" for field in shape.schema]
    hive = [f"{spelling.identifier(column)} {_hive_type(column, spelling)}" for column in shape.hive_columns]
    if spelling.name == "duckdb":
        every = ", ".join(("*", *(_folder_column(shape, name) for name in shape.hive_columns if shape.hides_folders)))
        return [f"CREATE OR REPLACE VIEW {relation} AS SELECT {every} FROM {scan(shape, [glob_of(shape, url)])};"]
    names = [spelling.identifier(column) for column in shape.hive_columns]
    if spelling.name == "spark":
        table = (
            f"CREATE TABLE IF NOT EXISTS {relation} ({', '.join([*columns, *hive])})\n"
            f"  USING parquet PARTITIONED BY ({', '.join(names)}) LOCATION {spelling.literal(folder)};"
        )
        return [table, f"MSCK REPAIR TABLE {relation};  -- again after each run: it finds the new days"]
    if spelling.name == "trino":
        keys = ", ".join(spelling.literal(column) for column in shape.hive_columns)
        table = (
            f"CREATE TABLE IF NOT EXISTS {relation} ({', '.join([*columns, *hive])})\n"
            f"  WITH (format = 'PARQUET', external_location = {spelling.literal(folder)}, partitioned_by = ARRAY[{keys}]);"
        )
        where = f"{spelling.literal(module)}, {spelling.literal(f'{name}_log')}"
        return [table, f"CALL system.sync_partition_metadata({where}, 'FULL');  -- again after each run: it finds the new days"]
    table = (
        f"CREATE OR REPLACE EXTERNAL TABLE {relation} ({', '.join(columns)})\n"
        f"  WITH PARTITION COLUMNS ({', '.join(hive)})\n"
        f"  OPTIONS (format = 'PARQUET', uris = [{spelling.literal(folder + '/*')}],\n"
        f"    hive_partition_uri_prefix = {spelling.literal(folder)}, enable_list_inference = true);"
    )
    return [table]

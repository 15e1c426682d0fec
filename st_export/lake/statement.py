"""What a user's SQL may be: one statement that only reads; and which views it names.

DuckDB 2 takes `COPY … TO` and `INSERT` inside a `WITH` of a select, so the kind of a statement says too little: every node of its
syntax tree must be one that reads.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import duckdb
import orjson

from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
READ_ONLY_HINT = "`query` only reads the lake: write one SELECT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN; `--parquet FILE` keeps a result"

_EXPLAIN = re.compile(r"\s*explain(\s+analyze)?\s+(?=\w|\()(?!\(\s*(analyze|format))", re.IGNORECASE)
_DOTTED = re.compile(r"\w+(?:\.\w+)+")
_LISTING = re.compile(r"\bshow\b|\binformation_schema\b|\bduckdb_(?:views|tables|columns)\b|\bpg_catalog\b", re.IGNORECASE)


def checked_statement(database: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the statement if it is one that only reads.

    Raises:
        ConfigError: it does not parse, is none or several, or would write or change something.

    """
    try:
        statements = database.extract_statements(sql)
    except duckdb.Error as error:
        raise sql_error(error) from error
    if len(statements) != 1:
        raise ConfigError(f"one SQL statement is expected, {len(statements)} came", hint=READ_ONLY_HINT)
    statement = statements[0]
    if statement.type == duckdb.StatementType.EXPLAIN:
        explained = _EXPLAIN.match(sql)
        if explained is None:
            raise ConfigError("this form of EXPLAIN is not taken", hint="write `EXPLAIN SELECT …` or `EXPLAIN ANALYZE SELECT …`")
        checked_statement(database, sql[explained.end() :])
        return sql
    if statement.type == duckdb.StatementType.MULTI:
        raise ConfigError("a PIVOT without its values is several statements", hint="name the values: `PIVOT … ON column IN ('a', 'b')`")
    if statement.type != duckdb.StatementType.SELECT or not _only_reads(database, sql):
        raise ConfigError("the statement would write or change something", hint=READ_ONLY_HINT)
    return sql


def _only_reads(database: duckdb.DuckDBPyConnection, sql: str) -> bool:
    [row] = database.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = orjson.loads(row[0])
    return not tree["error"] and all(kind in READING_NODES for kind in _nodes(tree))


def _nodes(tree: Any) -> Iterator[str]:
    """Yield the kinds of all query nodes of a syntax tree."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            kind = value.get("type")
            if isinstance(kind, str) and kind.endswith("_NODE"):
                yield kind
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def named_relations(sql: str) -> frozenset[tuple[str, str]]:
    """Return every `schema.name` that may stand in the SQL, in lower case: a superset of the views that it reads."""
    text = re.sub(r"\s*\.\s*", ".", sql.replace('"', "").lower())
    found: set[tuple[str, str]] = set()
    for dotted in _DOTTED.findall(text):
        parts = dotted.split(".")
        found.update(itertools.pairwise(parts))
    return frozenset(found)


def lists_relations(sql: str) -> bool:
    """Return whether the SQL asks what relations there are, so that all must be made."""
    return _LISTING.search(sql) is not None


def sql_error(error: duckdb.Error, hint: str | None = None) -> ConfigError:
    """Return DuckDB's complaint as a user's mistake: its first paragraph, without its own prefix."""
    text = str(error).strip().split("\n\n")[0]
    text = re.sub(r"^(\w+ Error: )+", "", text)
    return ConfigError(f"SQL: {text}", hint=hint)

"""How four SQL engines spell names, types and casts: DuckDB, Spark, Trino, BigQuery. Pure text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

DialectName = Literal["duckdb", "spark", "trino", "bigquery"]

DUCKDB_SCALARS = {
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
    pa.null(): "VARCHAR",
}
SPARK_SCALARS = {
    **DUCKDB_SCALARS,
    pa.string(): "STRING",
    pa.large_string(): "STRING",
    pa.null(): "STRING",
    pa.timestamp("us", "UTC"): "TIMESTAMP",
}
# Trino's Hive connector has no timestamp with a zone; the values are UTC.
TRINO_SCALARS = {**DUCKDB_SCALARS, pa.timestamp("us", "UTC"): "TIMESTAMP(6)"}
BIGQUERY_SCALARS = {
    **SPARK_SCALARS,
    pa.int64(): "INT64",
    pa.int32(): "INT64",
    pa.bool_(): "BOOL",
    pa.float64(): "FLOAT64",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One engine's spelling: the quote of a name, its scalar types, and how it writes lists, structs and decimals."""

    name: DialectName
    quote: str
    scalars: dict[pa.DataType, str]
    listed: Callable[[str], str]
    struct: str
    field: str

    def identifier(self, name: str) -> str:
        """Return a name quoted, so that `end`, `group` and `order` are names."""
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def literal(self, text: str) -> str:
        """Return a text as a literal: Spark and BigQuery read a backslash as an escape and two quotes as none."""
        if self.name in ("spark", "bigquery"):
            return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return "'" + text.replace("'", "''") + "'"

    def path(self, dotted: str) -> str:
        """Return the expression of a column or of a field inside a struct: `leadCall.modifiedOn`."""
        return ".".join(self.identifier(part) for part in dotted.split("."))

    def qualified(self, *names: str) -> str:
        """Return a schema's and a relation's name, quoted, with a dot between."""
        return ".".join(self.identifier(name) for name in names)

    def type(self, arrow: pa.DataType) -> str:
        """Return the engine's name of an Arrow type, nested ones included.

        Raises:
            ConfigError: the lake holds a type that this exporter never writes.

        """
        if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
            return self.listed(self.type(arrow.value_type))
        if pa.types.is_struct(arrow):
            fields = (arrow.field(index) for index in range(arrow.num_fields))
            inner = ", ".join(self.field.format(name=self.identifier(field.name), type=self.type(field.type)) for field in fields)
            return self.struct.format(inner)
        if pa.types.is_decimal(arrow):
            return self._decimal(arrow)
        if arrow in self.scalars:
            return self.scalars[arrow]
        raise ConfigError(f"no {self.name} type for {arrow}", hint="the lake holds files that st-export did not write; move them away")

    def _decimal(self, arrow: pa.DataType) -> str:
        if self.name != "bigquery":
            return f"DECIMAL({arrow.precision}, {arrow.scale})"
        # BigQuery's NUMERIC is decimal(38, 9); what has more places needs BIGNUMERIC.
        return "NUMERIC" if arrow.scale <= 9 and arrow.precision - arrow.scale <= 29 else "BIGNUMERIC"


DIALECTS: dict[str, Dialect] = {
    "duckdb": Dialect("duckdb", '"', DUCKDB_SCALARS, "{}[]".format, "STRUCT({})", "{name} {type}"),
    "spark": Dialect("spark", "`", SPARK_SCALARS, "ARRAY<{}>".format, "STRUCT<{}>", "{name}: {type}"),
    "trino": Dialect("trino", '"', TRINO_SCALARS, "ARRAY({})".format, "ROW({})", "{name} {type}"),
    "bigquery": Dialect("bigquery", "`", BIGQUERY_SCALARS, "ARRAY<{}>".format, "STRUCT<{}>", "{name} {type}"),
}


def dialect(name: str) -> Dialect:
    """Return an engine's spelling by its name.

    Raises:
        ConfigError: no such dialect.

    """
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigError(f"unknown dialect `{name}`", hint=f"known ones are {', '.join(DIALECTS)}") from None

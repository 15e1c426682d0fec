"""The printed definitions: names, types and the current rows in each engine's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from st_export.errors import ConfigError
from st_export.lake.dialects import DIALECTS
from st_export.lake.shape import view_name
from st_export.lake.views import definitions, escaped_glob
from tests.lake.lakes import JOBS, MOMENT, MONEY, REVENUE, ROLES, Lake, job, shape

if TYPE_CHECKING:
    from pathlib import Path

CALLS = shape("telecom.calls-v3", ("id",), "leadCall.modifiedOn", [("id", pa.int64()), ("leadCall", pa.struct([("modifiedOn", MOMENT)]))])


@pytest.mark.parametrize(
    ("entity", "view"),
    [
        ("jpm.jobs", ("jpm", "jobs")),
        ("crm.customers.contacts", ("crm", "customers_contacts")),
        ("customer-interactions.technician-ratings", ("customer_interactions", "technician_ratings")),
        ("report.revenue", ("report", "revenue")),
    ],
)
def test_names(entity: str, view: tuple[str, str]) -> None:
    assert view_name(entity) == view


def test_duckdb_runs_what_is_printed(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "a lake's [1]")
    lake.commit(JOBS, [job(1, "2026-11-20", "old"), job(1, "2026-11-21", "new")])
    text = definitions([JOBS, ROLES, REVENUE], "duckdb", str(lake.root), with_files=frozenset({"jpm.jobs"}))
    database = duckdb.connect()
    database.execute(text)
    assert database.sql('select id, "end", tenant_id from jpm.jobs').fetchall() == [(1, "new", 1001)]
    assert database.sql("select count(*) from jpm.jobs_log").fetchall() == [(2,)]
    assert database.sql('select "Total", day from report.revenue').fetchall() == []


def test_spark() -> None:
    assert definitions([CALLS], "spark", "s3a://lake/") == (
        "CREATE SCHEMA IF NOT EXISTS `telecom`;\n"
        "CREATE TABLE IF NOT EXISTS `telecom`.`calls_v3_log` (`id` BIGINT, `leadCall` STRUCT<`modifiedOn`: TIMESTAMP>, "
        "`_tenant_id` BIGINT, `_exported_at` TIMESTAMP, `_run_id` STRING, `_deleted` BOOLEAN, `_rescued` STRING, "
        "`tenant_id` BIGINT, `day` DATE)\n"
        "  USING parquet PARTITIONED BY (`tenant_id`, `day`) LOCATION 's3a://lake/telecom.calls-v3';\n"
        "MSCK REPAIR TABLE `telecom`.`calls_v3_log`;  -- again after each run: it finds the new days\n"
        "CREATE OR REPLACE VIEW `telecom`.`calls_v3` AS\n"
        "SELECT `id`, `leadCall`, `_tenant_id`, `_exported_at`, `_run_id`, `_deleted`, `_rescued`, `tenant_id`, `day` FROM (\n"
        "  SELECT *,\n"
        "    row_number() OVER (PARTITION BY `_tenant_id`, `id` ORDER BY `_deleted` ASC, "
        "`leadCall`.`modifiedOn` DESC NULLS LAST, `_exported_at` DESC) AS _rank,\n"
        "    max(CASE WHEN `_deleted` THEN `_exported_at` END) OVER (PARTITION BY `_tenant_id`, `id`) AS _gone_at,\n"
        "    max(CASE WHEN NOT `_deleted` THEN `_exported_at` END) OVER (PARTITION BY `_tenant_id`, `id`) AS _seen_at\n"
        "  FROM `telecom`.`calls_v3_log`\n"
        ") AS versions\n"
        "WHERE _rank = 1 AND NOT `_deleted` AND (_gone_at IS NULL OR _gone_at <= _seen_at);\n"
    )


def test_trino_declares_the_folder_and_its_partitions() -> None:
    text = definitions([JOBS], "trino", "s3://lake")
    assert '"total" DECIMAL(38, 9)' in text
    assert '"_exported_at" TIMESTAMP(6)' in text
    assert "external_location = 's3://lake/jpm.jobs', partitioned_by = ARRAY['tenant_id', 'day']);" in text
    assert "CALL system.sync_partition_metadata('jpm', 'jobs_log', 'FULL');" in text


def test_bigquery_reads_decimals_as_numeric() -> None:
    text = definitions([JOBS], "bigquery", "gs://lake")
    assert "`total` NUMERIC" in text
    assert "WITH PARTITION COLUMNS (`tenant_id` INT64, `day` DATE)" in text
    assert "uris = ['gs://lake/jpm.jobs/*'],\n    hive_partition_uri_prefix = 'gs://lake/jpm.jobs', enable_list_inference = true" in text


def test_a_report_column_called_day_is_not_hidden_by_the_folder() -> None:
    report = shape("report.days", (), None, [("Day", pa.string()), ("Total", MONEY)])
    assert report.hive_columns == ("tenant_id",)
    assert "PARTITIONED BY (`tenant_id`)" in definitions([report], "spark", "s3a://lake")


def test_an_unknown_dialect_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        definitions([JOBS], "oracle", "/lake")
    assert caught.value.hint == "known ones are duckdb, spark, trino, bigquery"


def test_types_nest() -> None:
    nested = pa.list_(pa.struct([("a b", pa.list_(pa.int64())), ("c", pa.date32())]))
    assert {name: dialect.type(nested) for name, dialect in DIALECTS.items()} == {
        "duckdb": 'STRUCT("a b" BIGINT[], "c" DATE)[]',
        "spark": "ARRAY<STRUCT<`a b`: ARRAY<BIGINT>, `c`: DATE>>",
        "trino": 'ARRAY(ROW("a b" ARRAY(BIGINT), "c" DATE))',
        "bigquery": "ARRAY<STRUCT<`a b` ARRAY<INT64>, `c` DATE>>",
    }


def test_signs_of_a_glob_in_a_path_mean_themselves() -> None:
    assert escaped_glob("/a[1]/b*?") == "/a[[]1]/b[*][?]"

"""A configuration file: what it means, and the whole text of what is said where it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from st_export.config.load import find_config, load_config, parse_config
from st_export.config.model import Config, EntityOptions
from st_export.errors import ConfigError

SECRET = 'a+b/c=d&e%20f#g$h${HOME}"i'
TENANT = {"id": 1001, "client_id": "the-client", "client_secret": "the-secret"}
LEAST: dict[str, object] = {"app_key": "the-key", "tenants": [TENANT], "output": {"url": "./lake"}}
HEAD = "app_key: the-key\ntenants: [{id: 1001, client_id: the-client, client_secret: the-secret}]\noutput: {url: ./lake}\n"
DATE_FORMS = "write it as `2026-11-01` or `2026-11-01T06:00:00Z`"
NUMBER_FORMS = "`decimal`, `double` or `decimal(P,S)` with P from 1 to 38 and S from 0 to P"
NO_ZONE = "is not a time zone; write its name in the IANA list, such as `America/New_York`"
STARTER_HINT = "`st-export init` writes a starter configuration that explains every key"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ST_EXPORT_CONFIG", raising=False)
    return tmp_path


def load(text: str) -> Config:
    Path("st-export.yaml").write_text(text, encoding="utf-8")
    return load_config()


def refused(text: str) -> tuple[str, str | None]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.exit_code == 2
    return str(caught.value), caught.value.hint


def test_the_least_configuration_has_the_defaults_of_the_contract(folder: Path) -> None:
    config = load(HEAD)
    assert config.model_dump(exclude={"app_key", "tenants"}) == {
        "environment": "production",
        "api_url": "https://api.servicetitan.io",
        "auth_url": "https://auth.servicetitan.io/connect/token",
        "start": None,
        "kinds": ("feed", "list", "plain", "report"),
        "select": ("*",),
        "exclude": (),
        "entities": {},
        "hash_key": None,
        "reports": (),
        "recent_changes": False,
        "limits": {"requests_per_second": 55.0, "max_in_flight": 64, "timeout": 120.0, "report_interval": 60.0},
        "capacity": {"days_back": 0, "days_ahead": 14},
        "output": {
            "url": str(folder / "lake"),
            "format": "parquet",
            "partition": "day",
            "numbers": "decimal",
            "compression": "zstd",
            "target_file_mb": 128.0,
            "options": {},
        },
        "catalog": None,
        "feed_split": None,
        "decode_workers": None,
    }
    assert config.output.decimal == (38, 9)


def test_the_integration_environment_sets_both_urls() -> None:
    config = load("environment: integration\n" + HEAD)
    assert (config.api_url, config.auth_url) == (
        "https://api-integration.servicetitan.io",
        "https://auth-integration.servicetitan.io/connect/token",
    )


def test_relative_paths_start_at_the_file_not_at_the_working_folder(folder: Path) -> None:
    (folder / "conf").mkdir()
    (folder / "conf" / "a.yaml").write_text(HEAD + "catalog: ../c.json\n")
    config = load_config(Path("conf/a.yaml"))
    assert (config.output.url, config.catalog, config.folder) == (str(folder / "conf/lake"), folder / "conf/../c.json", folder / "conf")


@pytest.mark.parametrize(
    "url", ["s3://bucket/lake", "gs://b", "az://c/p", "abfss://c@a.dfs.core.windows.net/p", "file:///data/lake", "/data/lake"]
)
def test_other_places_stay_as_they_are(url: str) -> None:
    assert parse_config(LEAST | {"output": {"url": url}}).output.url == url


def test_options_come_key_by_key_from_the_full_name_then_from_the_longest_glob() -> None:
    overrides = {
        "*": {"page_size": 10, "max_in_flight": 1},
        "crm.*": {"page_size": 20, "drop_columns": ["a"]},
        "crm.cust*": {"page_size": 30},
        "crm.customers": {"max_in_flight": 4, "partition": "none"},
        "jpm.*": {"page_size": 99},
    }
    config = parse_config(LEAST | {"entities": overrides})
    expected = EntityOptions(page_size=30, max_in_flight=4, drop_columns=("a",), partition="none")
    assert config.options_for("crm.customers") == expected
    assert config.options_for("sales.estimates") == EntityOptions(page_size=10, max_in_flight=1, partition="day")


def test_an_override_can_be_emptied_for_one_entity() -> None:
    overrides = {"*": {"drop_columns": ["a"]}, "crm.customers": {"drop_columns": []}}
    assert parse_config(LEAST | {"entities": overrides}).options_for("crm.customers").drop_columns == ()


def test_keys_without_a_value_are_as_good_as_absent() -> None:
    config = load(HEAD + "entities:\nreports:\nlimits:\n  timeout:\nstart:\n")
    assert (config.entities, config.reports, config.limits.timeout, config.start) == ({}, (), 120.0, None)


def test_dates_durations_and_numbers_are_read_as_people_write_them() -> None:
    config = load(HEAD + "start: 2019-01-01\nlimits: {timeout: 2m, requests_per_second: 0.5, report_interval: 60s}\n")
    assert config.start == datetime(2019, 1, 1, tzinfo=UTC)
    assert config.limits.model_dump() == {"requests_per_second": 0.5, "max_in_flight": 64, "timeout": 120.0, "report_interval": 60.0}


@pytest.mark.parametrize(
    ("numbers", "decimal"),
    [("decimal", (38, 9)), ("decimal(18,4)", (18, 4)), ("decimal( 5 , 0 )", (5, 0)), ("decimal(38,38)", (38, 38)), ("double", None)],
)
def test_numbers_tell_precision_and_scale(numbers: str, decimal: tuple[int, int] | None) -> None:
    assert parse_config(LEAST | {"output": {"url": "x", "numbers": numbers}}).output.decimal == decimal


def test_report_parameters_stay_as_they_are_written() -> None:
    config = load(HEAD + 'reports: [{name: a-1, category: c, id: 5, parameters: {From: 2026-11-01, Day: "{day}", Ids: [1], None: null}}]\n')
    assert config.reports[0].parameters == {"From": "2026-11-01", "Day": "{day}", "Ids": [1], "None": None}
    assert config.reports[0].entity == "report.a-1"


def test_blanks_that_were_pasted_around_a_secret_are_left_out() -> None:
    config = load(HEAD.replace("the-secret", '" the-secret\\n"'))
    assert config.tenants[0].client_secret.get_secret_value() == "the-secret"


def test_no_secret_shows_in_the_text_of_a_configuration() -> None:
    config = parse_config(
        LEAST | {"hash_key": "the-hash-key", "output": {"url": "s3://b", "options": {"secret_access_key": "the-store-key"}}}
    )
    shown = f"{config!r} {config}"
    assert [secret for secret in ("the-secret", "the-key", "the-client", "the-hash-key", "the-store-key") if secret in shown] == []
    assert config.secrets() == ("the-store-key", "the-hash-key", "the-client", "the-secret", "the-key")


def test_a_lake_alone_is_a_configuration_without_tenants(folder: Path) -> None:
    config = Config.of_lake("demo-lake")
    assert (config.output.url, config.tenants, config.select, config.secrets()) == (str(folder / "demo-lake"), (), ("*",), ())


ONE_ERROR = {
    "limit: 3": ("`limit` is not a known key", "the nearest known key is `limits`; here there are: "),
    "limits: {request_per_second: 3}": ("`limits.request_per_second` is not a known key", "the nearest known key is `requests_per_second`"),
    "output: {url: x, part: day}": ("`output` stands twice, first on line 3", "keep one of the two"),
    "entities: {'crm.*': {drop_column: [a]}}": (
        "`entities.crm.*.drop_column` is not a known key",
        "the nearest known key is `drop_columns`",
    ),
    "reports: [{name: a, category: c, id: 1, parameter: {}}]": (
        "`reports[0].parameter` is not a known key",
        "the nearest known key is `parameters`",
    ),
    "environment: prod": ("`environment` must be `production` or `integration`, not `prod`", None),
    "api_url: http://api.example.com": (
        "`api_url` must begin with `https://`; plain http is for this machine only (127.0.0.1, localhost), not `http://api.example.com`",
        None,
    ),
    "start: 2019-02-30": (f"`start` is a day or time that does not exist; {DATE_FORMS} (it is `2019-02-30`)", None),
    "start: soon": ("`start` is not a date; write it as `2026-11-01` or `2026-11-01T06:00:00Z` (it is `soon`)", None),
    "kinds: [feed, reports]": (
        "`kinds[1]` must be `feed`, `list`, `plain`, `child`, `report`, `capacity` or `binary`, not `reports`",
        None,
    ),
    "kinds: []": ("`kinds` needs at least one entry", None),
    "select: jpm.jobs": ('`select` must be a list, such as ["a", "b"], not `jpm.jobs`', None),
    "recent_changes: maybe": ("`recent_changes` must be true or false, not `maybe`", None),
    "limits: {requests_per_second: 0}": ("`limits.requests_per_second` must be more than 0", None),
    "limits: {requests_per_second: .inf}": ("`limits.requests_per_second` must be a finite number, not `inf`", None),
    "limits: {max_in_flight: 2.5}": ("`limits.max_in_flight` must be a whole number, not `2.5`", None),
    "limits: {timeout: 5x}": ("`limits.timeout` is not a duration; write it as `90s`, `15m`, `26h`, `7d` or `1h 30m` (it is `5x`)", None),
    "limits: [1]": ("`limits` must be a mapping of keys", None),
    "capacity: {days_back: -1}": ("`capacity.days_back` must be at least 0, not `-1`", None),
    "feed_split: 1": ("`feed_split` must be at least 2, not `1`", None),
    "decode_workers: 0": ("`decode_workers` must be at least 1", None),
    "entities: {jpm.jobs: {partition: week}}": ("`entities.jpm.jobs.partition` must be `day`, `month` or `none`, not `week`", None),
    "entities: {jpm.jobs: {hash_columns: [a]}}": ("`entities.jpm.jobs.hash_columns` needs `hash_key`", "set `hash_key: ${ST_HASH_KEY}`"),
    "entities: {'jpm jobs': {}}": ("`entities.jpm jobs` is no name or glob of entities", "write a name such as `jpm.jobs`"),
    "reports: [{name: Revenue, category: c, id: 1}]": (
        "`reports[0].name` may have only small letters, digits, `-` and `_` (it is `Revenue`)",
        None,
    ),
    "reports: [{name: a, category: c, id: 1}, {name: a, category: c, id: 2}]": (
        "`reports[1].name` stands twice: `a`",
        "the name becomes the entity's: each report needs its own",
    ),
    "reports: [{name: a, category: c}]": ("`reports[0].id` is missing", STARTER_HINT),
    "1001: x": ("`1001` is a key that is not text", "write it in quotes"),
}


def test_an_empty_hash_key_is_none() -> None:
    message, hint = refused(HEAD + "hash_key: ''\nentities: {jpm.jobs: {hash_columns: [a]}}\n")
    assert message == "st-export.yaml:5: `entities.jpm.jobs.hash_columns` needs `hash_key`"
    assert hint is not None


def test_reports_may_follow_each_other_at_once() -> None:
    assert load(HEAD + "limits: {report_interval: 0}\n").limits.report_interval == 0


@pytest.mark.parametrize("line", ONE_ERROR)
def test_a_wrong_line_is_told_with_its_place_and_what_to_do(line: str) -> None:
    message, hint = refused(HEAD + line + "\n")
    text, begin_of_hint = ONE_ERROR[line]
    assert message == f"st-export.yaml:4: {text}"
    assert hint == begin_of_hint if begin_of_hint is None else hint and hint.startswith(begin_of_hint)


OUTPUT_ERRORS = {
    "format: delta": "`output.format` is `delta`, which comes later; until then the lake is `parquet`",
    "format: iceberg": "`output.format` is `iceberg`, which comes later; until then the lake is `parquet`",
    "format: csv": "`output.format` must be `parquet`, not `csv`",
    "numbers: decimal(40,2)": f"`output.numbers` must be {NUMBER_FORMS}, not `decimal(40,2)`",
    "numbers: decimal(2,3)": f"`output.numbers` must be {NUMBER_FORMS}, not `decimal(2,3)`",
    "partition: hour": "`output.partition` must be `day`, `month` or `none`, not `hour`",
    "compression: zip": "`output.compression` must be `zstd`, `snappy`, `gzip`, `lz4`, `brotli` or `none`, not `zip`",
    "target_file_mb: 0": "`output.target_file_mb` must be more than 0",
}


@pytest.mark.parametrize("line", OUTPUT_ERRORS)
def test_a_wrong_output_is_told(line: str) -> None:
    assert refused(HEAD.replace("{url: ./lake}", f"\n  url: ./lake\n  {line}"))[0] == f"st-export.yaml:5: {OUTPUT_ERRORS[line]}"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("ftp://x/y", "must be a folder or begin with `s3://`, `gs://`, `az://`, `abfss://` or `file://`, not `ftp://x/y`"),
        ("s3://", "names no bucket or folder (it is `s3://`)"),
        ('""', "is empty"),
    ],
)
def test_a_wrong_place_for_the_lake_is_told(url: str, text: str) -> None:
    assert refused(HEAD.replace("./lake", url))[0] == f"st-export.yaml:3: `output.url` {text}"


TENANT_ERRORS = {
    "{id: 0, client_id: c, client_secret: s}": "`tenants[0].id` must be more than 0",
    "{id: acme, client_id: c, client_secret: s}": "`tenants[0].id` must be a whole number, not `acme`",
    "{client_id: c, client_secret: s}": "`tenants[0].id` is missing",
    "{id: 1, client_id: c}": "`tenants[0].client_secret` is missing",
    '{id: 1, client_id: c, client_secret: " "}': "`tenants[0].client_secret` is empty",
    '{id: 1, client_id: c, client_secret: "hush\\nhush"}': "`tenants[0].client_secret` has a line break or a control character inside",
    "{id: 1, client_id: c, client_secret: [hush]}": "`tenants[0].client_secret` must be text",
    "{id: 1, client_id: c, client_secret: s, timezone: ../../etc/passwd}": f"`tenants[0].timezone` {NO_ZONE} (it is `../../etc/passwd`)",
    "{id: 1, client_id: c, client_secret: s}, {id: 1, client_id: d, client_secret: s}": "`tenants[1].id` stands twice: tenant 1",
}


@pytest.mark.parametrize("tenants", TENANT_ERRORS)
def test_a_wrong_tenant_is_told_and_no_secret_shown(tenants: str) -> None:
    message, _ = refused(f"app_key: k\noutput: {{url: x}}\ntenants: [{tenants}]\n")
    assert message == f"st-export.yaml:3: {TENANT_ERRORS[tenants]}"
    assert "hush" not in message


def test_no_tenants_and_no_app_key_are_told() -> None:
    assert refused("app_key: k\noutput: {url: x}\ntenants: []\n")[0] == "st-export.yaml:3: `tenants` needs at least one entry"
    message, hint = refused(HEAD.replace("app_key: the-key\n", ""))
    assert message == "st-export.yaml:1: `tenants[0].app_key` is missing, and there is no general `app_key`"
    assert hint == "write `app_key: ${ST_APP_KEY}` at the top of the file, or one in each tenant"


def test_all_errors_are_told_at_once() -> None:
    message, hint = refused(HEAD + "limits:\n  request_per_second: 3\n  timeout: 0\nstart: soon\n")
    assert message == (
        "st-export.yaml has 3 errors\n"
        "  st-export.yaml:5: `limits.request_per_second` is not a known key (the nearest known key is `requests_per_second`; "
        "here there are: max_in_flight, report_interval, requests_per_second, timeout)\n"
        "  st-export.yaml:6: `limits.timeout` must be more than 0\n"
        "  st-export.yaml:7: `start` is not a date; write it as `2026-11-01` or `2026-11-01T06:00:00Z` (it is `soon`)"
    )
    assert hint == STARTER_HINT


YAML_HINT = "look at this line and the one before: indentation, a missing `:`, or a text with `*`, `:`, `#`, `@`, `{` that needs quotes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app_key: 'hush\n", "st-export.yaml:2: found unexpected end of stream"),
        ("select: [*]\n", "st-export.yaml:1: expected alphabetic or numeric character, but found ']'"),
        ("a: b: hush\n", "st-export.yaml:1: mapping values are not allowed here"),
        ("app_key: !!python/object:os.system hush\n", "st-export.yaml:1: could not determine a constructor for the tag"),
        ("a: \x00\n", "st-export.yaml: has a character or value that YAML does not allow"),
    ],
)
def test_what_is_not_yaml_is_told_without_showing_it(text: str, message: str) -> None:
    found, hint = refused(text)
    assert found.startswith(message)
    assert (hint, "hush" in found) == (YAML_HINT, False)


@pytest.mark.parametrize(
    ("text", "state"),
    [("", "is empty"), ("# nothing\n", "is empty"), ("- a\n", "is not a mapping of keys"), ("a", "is not a mapping of keys")],
)
def test_a_file_without_keys_is_told(text: str, state: str) -> None:
    assert refused(text) == (f"the configuration st-export.yaml {state}", "`st-export init` writes one to start from")


def test_a_file_that_is_not_text_is_told() -> None:
    Path("st-export.yaml").write_bytes(b"app_key: \xff\n")
    with pytest.raises(ConfigError, match=r"^the configuration st-export\.yaml is not UTF-8 text$"):
        load_config()


def test_the_file_is_the_named_one_else_the_variables_else_the_usual_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.yaml", "b.yaml", "st-export.yaml"):
        (folder / name).write_text(HEAD)
    assert find_config() == Path("st-export.yaml")
    monkeypatch.setenv("ST_EXPORT_CONFIG", "b.yaml")
    assert find_config() == Path("b.yaml")
    assert find_config(Path("a.yaml")) == Path("a.yaml")


def test_a_configuration_that_is_not_there_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config()
    assert str(caught.value) == f"there is no configuration: no st-export.yaml in {folder}"
    assert caught.value.hint == "`st-export init` writes one; or name yours with `-c FILE` or $ST_EXPORT_CONFIG"
    with pytest.raises(ConfigError, match=r"^the configuration gone\.yaml does not exist$"):
        find_config(Path("gone.yaml"))
    with pytest.raises(ConfigError, match=r"is not a file$"):
        find_config(folder)
    monkeypatch.setenv("ST_EXPORT_CONFIG", "gone.yaml")
    with pytest.raises(ConfigError, match=r"^the configuration gone\.yaml \(from \$ST_EXPORT_CONFIG\) does not exist$"):
        find_config()


@pytest.mark.parametrize(("api_url", "expected"), [("HTTPS://a.example", True), ("https://a.example", True), ("http://127.0.0.1:1", False)])
def test_a_service_is_encrypted_however_its_scheme_is_spelt(api_url: str, expected: bool) -> None:
    assert Config.model_construct(api_url=api_url, auth_url="http://127.0.0.1:1").is_encrypted is expected

"""What a URL means, and what is refused before anything is written."""

# ruff: noqa: ASYNC240 -- a test may block, and waits for other processes by looking

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from st_export.errors import CheckpointUnreadable, ConfigError
from st_export.storage.cloud_options import cloud_options
from st_export.storage.open import check_lake, open_lake, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.commit.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store("lake", {}, tmp_path)


async def test_a_relative_folder_is_relative_to_the_configuration(tmp_path: Path) -> None:
    for url in ("./lake", "lake", str(tmp_path / "lake"), f"file://{tmp_path}/lake"):
        assert open_store(url, {}, tmp_path).url == str(tmp_path / "lake")


async def test_a_new_lake_is_begun_only_for_writing(store: Store, tmp_path: Path) -> None:
    assert await check_lake(store, writing=False) is False
    assert list(tmp_path.iterdir()) == []
    assert await check_lake(store, writing=True) is False
    assert await store.read("_st_export/lake.json") == b'{\n  "version": 1\n}'
    assert await check_lake(store, writing=True) is True


async def test_foreign_parquet_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "lake/sales").mkdir(parents=True)
    (tmp_path / "lake/sales/part-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"not st-export's \(sales/part-0.parquet\)") as caught:
        await open_lake("lake", {}, tmp_path, writing=True)
    assert caught.value.hint == "point output.url at a new or empty folder"
    assert sorted(path.name for path in (tmp_path / "lake").rglob("*")) == ["part-0.parquet", "sales"]


async def test_a_folder_with_other_files_may_become_a_lake(tmp_path: Path) -> None:
    (tmp_path / "st-export.yaml").write_text("")
    store = await open_lake(".", {}, tmp_path, writing=True)
    assert await store.exists("_st_export/lake.json")


@pytest.mark.parametrize("data", [b'{"version": 2}', b"", b"\0\0", b"{}", b'{"version": "1"}', b"[]"])
async def test_a_newer_or_damaged_lake_is_refused(store: Store, data: bytes) -> None:
    await store.write("_st_export/lake.json", data)
    with pytest.raises(CheckpointUnreadable) as caught:
        await check_lake(store, writing=True)
    assert caught.value.exit_code == 2
    assert await store.read("_st_export/lake.json") == data


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("ftp://host/lake", {}, "ftp:// is no place for a lake"),
        ("s3:///lake", {}, "names no bucket"),
        ("./lake", {"region": "x"}, "options are for object stores"),
        ("s3://bucket/lake", {"regoin": "x"}, "'regoin' is not valid"),
        ("s3://bucket/lake", {"timeout": "soon"}, "failed to parse"),
        ("az://container/lake", {}, "Account must be specified"),
        ("s3://bucket/lake", {"endpoint": "http://minio.example:9000"}, "plain http goes to loopback only"),
        ("s3://bucket/lake", {"allow_invalid_certificates": True}, "certificates are always verified"),
        ("s3://bucket/lake", {"root_certificate": "none.pem"}, r"none.pem cannot be read"),
        ("s3://bucket/lake", {"profile": "nightly"}, "the AWS profile nightly has no keys"),
    ],
)
async def test_a_wrong_url_or_option_is_named(
    tmp_path: Path, url: str, options: dict[str, object], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=text) as caught:
        open_store(url, options, tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "url", ["s3://bucket/lake", "gs://bucket/lake", "abfss://container@account.dfs.core.windows.net/lake", "az://container/lake"]
)
async def test_every_cloud_has_its_scheme(tmp_path: Path, url: str) -> None:
    options = {"account_name": "account"} if url.startswith("az") else {}
    assert open_store(url, options, tmp_path).url == url


async def test_options_show_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    options = cloud_options("s3://b/x", {"secret_access_key": "hunter2", "timeout": "9s", "allow_http": True}, tmp_path)
    assert (options.config, options.client) == ({"secret_access_key": "hunter2"}, {"timeout": "9s", "allow_http": "true"})
    assert "hunter2" not in repr(options)


async def test_a_file_of_credentials_is_relative_to_the_configuration(tmp_path: Path) -> None:
    for name in ("service_account", "google_application_credentials", "azure_federated_token_file"):
        assert cloud_options("gs://b/x", {name: "account.json"}, tmp_path).config == {name: str(tmp_path / "account.json")}
        assert cloud_options("gs://b/x", {name: "/run/secrets/a.json"}, tmp_path).config == {name: "/run/secrets/a.json"}


async def test_the_certificates_of_the_environment_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert cloud_options("s3://b/x", {}, tmp_path).client["root_certificate"] == "-----BEGIN CERTIFICATE-----"


async def test_a_profile_gives_keys_and_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = d\n[nightly]\naws_access_key_id = k%\naws_secret_access_key = s\n"
    )
    (tmp_path / ".aws/config").write_text("[profile nightly]\nregion = eu-west-1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = {"access_key_id": "k%", "secret_access_key": "s", "region": "eu-west-1"}
    assert cloud_options("s3://b/x", {"profile": "nightly"}, tmp_path).config == expected
    assert cloud_options("s3://b/x", {}, tmp_path).config == {"access_key_id": "d"}
    monkeypatch.setenv("AWS_PROFILE", "nightly")
    assert cloud_options("s3://b/x", {"region": "us-east-1"}, tmp_path).config == expected | {"region": "us-east-1"}
    assert cloud_options("s3://b/x", {"access_key_id": "own"}, tmp_path).config == {"access_key_id": "own"}

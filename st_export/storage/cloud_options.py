"""`output.options` as obstore takes them: the store's own settings apart from the HTTP client's, and what the environment adds.

Names are obstore's. obstore itself reads the clouds' environment variables (`AWS_…`, `AZURE_…`, `GOOGLE_…`), instance and workload
credentials; its client honours `HTTPS_PROXY` and `NO_PROXY`. Here come a profile of the AWS files, `SSL_CERT_FILE`, and
plain http for loopback. TLS is always verified. This module leaves out the stores.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore import exceptions as foreign
from obstore.store import from_url

from st_export.errors import ConfigError
from st_export.storage.cloud_exit import wait_at_exit

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_TIMEOUT = "120s"
"""One request in all: a part of 5 MiB over 0.4 Mbit/s."""

RETRIES = 10
RETRY_SECONDS = 150
"""How long obstore goes on repeating one call: an outage of two minutes passes; credentials stay fresh for that long."""

_CLIENT = frozenset(
    (
        *("allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type", "default_headers", "http1_only"),
        *("http2_keep_alive_interval", "http2_keep_alive_timeout", "http2_keep_alive_while_idle", "http2_only", "pool_idle_timeout"),
        *("pool_max_idle_per_host", "proxy_url", "proxy_ca_certificate", "proxy_excludes", "randomize_addresses", "read_timeout"),
        *("root_certificate", "timeout", "user_agent"),
    )
)
"""The options that obstore takes for its HTTP client; among the store's own they would be refused."""

_ENDPOINTS = (
    *("endpoint", "endpoint_url", "aws_endpoint", "aws_endpoint_url", "aws_endpoint_url_s3"),
    *("azure_endpoint", "azure_storage_endpoint"),
)
"""The names under which an endpoint comes, among the options and (in capitals) in the environment."""

_FILES = ("service_account", "service_account_path", "application_credentials", "web_identity_token_file", "federated_token_file")
"""The options that name a file, with or without the cloud's name in front."""

_KEYS = ("access_key_id", "secret_access_key", "session_token")
_AWS = ("s3", "s3a")


@dataclass(frozen=True, slots=True)
class Options:
    """The two groups of options: the store's (`config`) and its HTTP client's (`client`). Their `repr` shows no value."""

    config: dict[str, str]
    client: dict[str, Any]

    def __repr__(self) -> str:
        return f"Options(config={sorted(self.config)}, client={sorted(self.client)})"


def cloud_options(url: str, options: Mapping[str, object], base: Path) -> Options:
    """Return the options for the store at `url`; paths among them are relative to `base`. Raises `ConfigError`."""
    config = {name: _text(value) for name, value in options.items() if name not in _CLIENT}
    config |= {name: str(base / value) for name, value in config.items() if name.endswith(_FILES)}
    client: dict[str, Any] = {"timeout": REQUEST_TIMEOUT}
    client |= {name: value if isinstance(value, dict) else _text(value) for name, value in options.items() if name in _CLIENT}
    if client.get("allow_invalid_certificates", "false") != "false":
        raise ConfigError(
            "output.options.allow_invalid_certificates: certificates are always verified",
            hint="give your own CA in output.options.root_certificate or SSL_CERT_FILE",
        )
    if urlsplit(url).scheme in _AWS:
        config |= _profile(config.pop("profile", None), config)
    _trust(client, base)
    _allow_loopback(config, client)
    return Options(config, client)


def connect(url: str, options: Options, *, retries: int) -> Any:
    """Return obstore's store for the URL. Nothing is sent yet. Raises `ConfigError`."""
    wait_at_exit()
    retry = {"max_retries": retries, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    try:
        return from_url(url, config=options.config, client_options=options.client, retry_config=retry)
    except foreign.UnknownConfigurationKeyError as error:
        raise ConfigError(
            f"output.options: {_line(error)}", hint="options bear obstore's names: region, endpoint, access_key_id, …"
        ) from None
    except (foreign.BaseError, ValueError, TypeError) as error:
        raise ConfigError(f"output.url {url}: {_line(error)}", hint="check output.url and output.options") from None


def is_loopback(endpoint: str) -> bool:
    """Return whether a URL's host is this machine."""
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _allow_loopback(config: dict[str, str], client: dict[str, Any]) -> None:
    given = [value for name, value in config.items() if name.lower() in _ENDPOINTS]
    given = given or [os.environ[name.upper()] for name in _ENDPOINTS if name.upper() in os.environ]
    plain = [endpoint for endpoint in given if endpoint.startswith("http://")]
    if not plain or "allow_http" in client:
        return
    if not all(is_loopback(endpoint) for endpoint in plain):
        raise ConfigError(
            "output.options.endpoint: plain http goes to loopback only",
            hint="use https; on a network that you trust set output.options.allow_http: true",
        )
    client["allow_http"] = "true"


def _trust(client: dict[str, Any], base: Path) -> None:
    given = client.get("root_certificate") or os.environ.get("SSL_CERT_FILE")
    if not given or str(given).startswith("-----BEGIN"):
        return
    path = base / str(given)
    try:
        client["root_certificate"] = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"the certificate file {path} cannot be read: {error.strerror}", hint="correct SSL_CERT_FILE") from error


def _profile(name: str | None, config: Mapping[str, str]) -> dict[str, str]:
    """Return keys and region of the AWS profile `name`, else of the environment's, else of `default`; keys that are given come first."""
    keys_given = any(option.endswith("access_key_id") for option in config) or bool(
        {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"} & os.environ.keys()
    )
    if name is None and keys_given:
        return {}
    wanted = name or os.environ.get("AWS_PROFILE")
    home = Path.home() / ".aws"
    found = _section(Path(os.environ.get("AWS_CONFIG_FILE", home / "config")), (f"profile {wanted or 'default'}", wanted or "default"))
    found |= _section(Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials")), (wanted or "default",))
    keys = {key: found[f"aws_{key}"] for key in _KEYS if f"aws_{key}" in found}
    if wanted is not None and "access_key_id" not in keys:
        raise ConfigError(
            f"the AWS profile {wanted} has no keys of its own",
            hint=f'put them into the environment: eval "$(aws configure export-credentials --profile {wanted} --format env)"',
        )
    region_given = any(option.endswith("region") for option in config) or bool({"AWS_REGION", "AWS_DEFAULT_REGION"} & os.environ.keys())
    return keys | ({"region": found["region"]} if "region" in found and not region_given else {})


def _section(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as an AWS file", hint="correct the file") from error
    return next((dict(parser[name]) for name in names if parser.has_section(name)), {})


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]

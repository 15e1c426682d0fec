"""The configuration as a value: every key of the file, its default and its limits. Frozen; secrets do not print.

This module knows nothing of files and variables (`load`), and nothing of the catalog: whether a name is an entity is asked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from os.path import normpath
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from st_export.config.values import duration_seconds, moment, service_url
from st_export.flow import Json  # noqa: TC001 - pydantic reads the annotation when the module loads

Kind = Literal["feed", "list", "plain", "child", "report", "capacity", "binary"]
Partition = Literal["day", "month", "none"]

SERVICE_URLS = {
    "production": ("https://api.servicetitan.io", "https://auth.servicetitan.io/connect/token"),
    "integration": ("https://api-integration.servicetitan.io", "https://auth-integration.servicetitan.io/connect/token"),
}
"""(API, token endpoint) of each environment. Source: developer.servicetitan.io/docs/oauth20."""

LAKE_SCHEMES = ("file", "memory", "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")
LATER_FORMATS = ("delta", "iceberg")
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)", re.ASCII)
_SECRET_OPTION = re.compile(r"secret|key|token|password|credential|sas|signature|service_account", re.IGNORECASE)
_SHORTEST_SECRET = 4
_SHORTEST_OTHER = 8
"""Client ids and store options may be ordinary words (`true`, `demo`): only longer ones are taken out of texts."""


def _credential(value: SecretStr) -> SecretStr:
    """Strip the blanks and line breaks that come with a paste; what is inside stays byte for byte."""
    text = value.get_secret_value().strip()
    if not text:
        msg = "is empty"
        raise ValueError(msg)
    if not text.isprintable():
        msg = "has a line break or a control character inside"
        raise ValueError(msg)
    return SecretStr(text)


def _seconds(value: object) -> object:
    return duration_seconds(value) if isinstance(value, str) else value


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        msg = "is not a time zone; write its name in the IANA list, such as `America/New_York`"
        raise ValueError(msg) from None
    return name


def _file_format(value: object) -> object:
    if value in LATER_FORMATS:
        msg = f"is `{value}`, which comes later; until then the lake is `parquet`"
        raise ValueError(msg)
    return value


def _numbers(value: str) -> str:
    if value in ("decimal", "double"):
        return value
    match = _DECIMAL.fullmatch(value)
    if not match or not 1 <= int(match[1]) <= 38 or int(match[2]) > int(match[1]):
        msg = "must be `decimal`, `double` or `decimal(P,S)` with P from 1 to 38 and S from 0 to P"
        raise ValueError(msg)
    return f"decimal({int(match[1])},{int(match[2])})"


Credential = Annotated[SecretStr, AfterValidator(_credential)]
Moment = Annotated[datetime, BeforeValidator(moment)]
ServiceUrl = Annotated[str, AfterValidator(service_url)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
Names = tuple[Annotated[str, Field(min_length=1)], ...]


class Section(BaseModel):
    """A mapping of the file: unknown keys are errors, a key without a value is as good as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty_keys(cls, data: object) -> object:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class Tenant(Section):
    """One ServiceTitan account: its id and credentials, and the zone of its own day."""

    id: Count
    name: str | None = None
    client_id: Credential
    client_secret: Credential
    app_key: Credential | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the tenant's own day, for reports and capacity."""
        return ZoneInfo(self.timezone)


class EntityOptions(Section):
    """What is different for one entity, or for those that a glob matches. None: the general setting holds."""

    drop_columns: Names = ()
    hash_columns: Names = ()
    page_size: Count | None = None
    max_in_flight: Count | None = None
    partition: Partition | None = None
    partition_by: Annotated[str, Field(min_length=1)] | None = None
    parent_ids: tuple[str, ...] = ()

    @field_validator("parent_ids", mode="before")
    @classmethod
    def _ids_as_text(cls, value: object) -> object:
        return tuple(str(item) if isinstance(item, int) else item for item in value) if isinstance(value, (list, tuple)) else value


class Report(Section):
    """A report of the tenant's, as entity `report.<name>`; in a parameter's text `{day}`, `{from}` and `{to}` are filled in."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]
    category: Annotated[str, Field(min_length=1)]
    id: Count
    parameters: dict[str, Json] = Field(default_factory=dict)
    lookback_days: Annotated[int, Field(ge=0)] = 0

    @property
    def entity(self) -> str:
        """The entity's name: `report.revenue`."""
        return f"report.{self.name}"


class Limits(Section):
    """How hard the service is asked. Per (app key, tenant): requests a second; per run: requests in flight."""

    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 55.0
    max_in_flight: Count = 64
    timeout: Seconds = 120.0
    report_interval: Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)] = 60.0


class Capacity(Section):
    """The days around today for which capacity is asked."""

    days_back: Annotated[int, Field(ge=0)] = 0
    days_ahead: Annotated[int, Field(ge=0)] = 14


class Output(Section):
    """Where the lake lies and how its files look. `options` go to the object store as they are and may hold secrets."""

    url: Annotated[str, Field(min_length=1)]
    format: Annotated[Literal["parquet"], BeforeValidator(_file_format)] = "parquet"
    partition: Partition = "day"
    numbers: Annotated[str, AfterValidator(_numbers)] = "decimal"
    compression: Literal["zstd", "snappy", "gzip", "lz4", "brotli", "none"] = "zstd"
    target_file_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 128.0
    options: dict[str, Json] = Field(default_factory=dict, repr=False)

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if separator and scheme.lower() not in LAKE_SCHEMES:
            msg = "must be a folder or begin with `s3://`, `gs://`, `az://`, `abfss://` or `file://`"
            raise ValueError(msg)
        if separator and not rest.strip("/") and scheme.lower() != "memory":
            msg = "names no bucket or folder"
            raise ValueError(msg)
        return value

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Precision and scale of numbers with a fraction; None where they are doubles."""
        if self.numbers == "double":
            return None
        match = _DECIMAL.fullmatch(self.numbers)
        return (int(match[1]), int(match[2])) if match else (38, 9)


class Config(Section):
    """The whole configuration. `api_url` and `auth_url` are always filled in; `output.url` is absolute once loaded from a file."""

    environment: Literal["production", "integration"] = "production"
    api_url: ServiceUrl
    auth_url: ServiceUrl
    app_key: Credential | None = None
    tenants: tuple[Tenant, ...]
    start: Moment | None = None
    kinds: tuple[Kind, ...] = ("feed", "list", "plain", "report")
    select: Names = ("*",)
    exclude: Names = ()
    entities: dict[str, EntityOptions] = Field(default_factory=dict)
    hash_key: SecretStr | None = None
    reports: tuple[Report, ...] = ()
    recent_changes: bool = False
    limits: Limits = Limits()
    capacity: Capacity = Capacity()
    output: Output
    catalog: Path | None = None
    feed_split: Annotated[int, Field(ge=2, le=64)] | None = None
    decode_workers: Annotated[int, Field(ge=1, le=64)] | None = None
    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from: the file's own; without a file, the working folder."""
        return self._folder or Path.cwd()

    def in_folder(self, folder: Path) -> Config:
        """Return the same configuration with its relative paths (`output.url`, `catalog`) taken from a folder, and absolute."""
        changes: dict[str, object] = {}
        if self.catalog is not None:
            changes["catalog"] = folder / self.catalog.expanduser()
        if "://" not in self.output.url:
            changes["output"] = self.output.model_copy(update={"url": str(Path(normpath(folder / Path(self.output.url).expanduser())))})
        placed = self.model_copy(update=changes)
        placed._folder = folder  # noqa: SLF001 - of the same class
        return placed

    @model_validator(mode="before")
    @classmethod
    def _urls_of_environment(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        urls = SERVICE_URLS.get(str(data.get("environment") or "production"), SERVICE_URLS["production"])
        given = {key: value for key, value in data.items() if value is not None}
        return {"api_url": urls[0], "auth_url": urls[1]} | given

    @classmethod
    def of_lake(cls, url: str, options: Mapping[str, Any] | None = None) -> Config:
        """Return a configuration that only names a lake: no tenant, no credentials, for commands that read what lies there."""
        api_url, auth_url = SERVICE_URLS["production"]
        lake = cls.model_construct(api_url=api_url, auth_url=auth_url, tenants=(), output=Output(url=url, options=dict(options or {})))
        return lake.in_folder(Path.cwd())

    @property
    def is_encrypted(self) -> bool:
        """Whether the service is asked over https; plain http is for a look-alike on this machine."""
        return any(url.lower().startswith("https:") for url in (self.api_url, self.auth_url))

    def options_for(self, entity: str) -> EntityOptions:
        """Return the options of an entity, key by key: from its full name, else from the longest glob that matches and sets the key.

        `partition` is always filled in, from `output.partition` where no override sets it. `*` crosses dots.
        """
        merged: dict[str, Any] = {"partition": self.output.partition}
        globs = [name for name in self.entities if name != entity and fnmatchcase(entity, name)]
        globs.sort(key=lambda glob: (len(glob), len(glob.replace("*", "")), glob))
        for name in (*globs, entity):
            if options := self.entities.get(name):
                merged |= {key: getattr(options, key) for key in options.model_fields_set}
        return EntityOptions.model_construct(**merged)

    def tenant(self, tenant_id: int) -> Tenant | None:
        """Return the tenant of this id, None where the file has none."""
        return next((tenant for tenant in self.tenants if tenant.id == tenant_id), None)

    def app_key_of(self, tenant: Tenant) -> SecretStr:
        """Return the tenant's own app key, else the general one."""
        key = tenant.app_key or self.app_key
        if key is None:
            msg = f"tenant {tenant.id} has no app key"
            raise ValueError(msg)
        return key

    def secrets(self) -> tuple[str, ...]:
        """Return every secret text of the file, for redaction. Texts so short that they would hit ordinary words are left out."""
        credentials = [self.app_key, self.hash_key]
        credentials += [secret for tenant in self.tenants for secret in (tenant.client_secret, tenant.app_key)]
        texts = [secret.get_secret_value() for secret in credentials if secret]
        others = [tenant.client_id.get_secret_value() for tenant in self.tenants] + _secret_options(self.output.options)
        found = {text for text in texts if len(text) >= _SHORTEST_SECRET} | {text for text in others if len(text) >= _SHORTEST_OTHER}
        return tuple(sorted(found, key=lambda text: (-len(text), text)))


def _secret_options(options: Mapping[str, Json]) -> list[str]:
    """Return the texts in the store's options whose names sound secret, nested ones too."""
    found: list[str] = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            found += _secret_options(value)
        elif isinstance(value, str) and _SECRET_OPTION.search(key):
            found.append(value)
    return found

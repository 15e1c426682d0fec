"""URL → Store, and whether what lies there is a lake of ours that this version understands.

Nothing is written before the answer is yes: a folder with Parquet of somebody else is refused. This module leaves out the stores.
"""

# ruff: noqa: PLC0415 - a lake in a folder need not load the clients of object stores

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import anyio
import orjson

from st_export.commit import paths
from st_export.commit.store import AlreadyExists, Missing
from st_export.errors import CheckpointUnreadable, ConfigError
from st_export.storage.local import LocalStore
from st_export.storage.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from st_export.commit.store import Store

LAKE_VERSION = 1
"""The version of the layout that this program writes and reads."""

LOOKED_AT = 10_000
"""Files that the search for foreign Parquet looks at."""

_CLOUDS = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def open_store(url: str, options: Mapping[str, object], base: Path) -> Store:
    """Return the Store at `url`: a folder (relative to `base`), `s3://`, `gs://`, `az://`, `abfss://` or `memory://`.

    `options` bear obstore's names. Nothing is touched or sent yet. Raises `ConfigError`.
    """
    scheme = _SCHEME.match(url)
    name = scheme[1].lower() if scheme else "file"
    if name == "file":
        if options:
            raise ConfigError("output.options are for object stores, and output.url is a folder", hint="remove output.options")
        return LocalStore(_folder(url, base))
    if name not in (*_CLOUDS, "memory"):
        raise ConfigError(f"output.url: {name}:// is no place for a lake", hint="use a folder, s3://, gs://, az:// or abfss://")
    if name != "memory" and not urlsplit(url).netloc:
        raise ConfigError(f"output.url: {url} names no bucket", hint=f"write {name}://bucket/folder")
    return _cloud_store(name, url, options, base)


def _cloud_store(scheme: str, url: str, options: Mapping[str, object], base: Path) -> Store:
    from obstore.store import MemoryStore

    from st_export.storage.cloud import CloudStore
    from st_export.storage.cloud_options import RETRIES, cloud_options, connect

    if scheme == "memory":
        memory = MemoryStore()
        return CloudStore("memory://", memory, memory, _machine_spool())
    chosen = cloud_options(url, options, base)
    return CloudStore(url, connect(url, chosen, retries=RETRIES), connect(url, chosen, retries=0), _machine_spool())


async def open_lake(url: str, options: Mapping[str, object], base: Path, *, writing: bool) -> Store:
    """Return the Store at `url` after a look at what lies there; for writing, a new lake is begun.

    Raises `ConfigError` (foreign Parquet, bad options), `CheckpointUnreadable` (a newer or damaged `lake.json`), `StoreError`.
    """
    store = open_store(url, options, base)
    await check_lake(store, writing=writing)
    return store


async def check_lake(store: Store, *, writing: bool) -> bool:
    """Return whether a lake was there; for writing, begin one where none was.

    Before anything of ours is written, it is clear that nothing foreign lies there and that the store allows all that a run does.
    """
    found = await store.exists(paths.LAKE)
    if found:
        _check_version(store, await store.read(paths.LAKE))
    else:
        await _refuse_foreign(store)
    if writing:
        await store.probe()
        if not found:
            await _begin(store)
        await anyio.to_thread.run_sync(lambda: store.spool)
    return found


async def _begin(store: Store) -> None:
    document = orjson.dumps({"version": LAKE_VERSION}, option=orjson.OPT_INDENT_2)
    try:
        await store.create(paths.LAKE, document)
    except AlreadyExists:
        try:
            _check_version(store, await store.read(paths.LAKE))
        except Missing as error:
            raise ConfigError(f"{store.url}: another run is beginning or removing this lake", hint="run the same command again") from error


async def _refuse_foreign(store: Store) -> None:
    looked_at = 0
    async for entry in store.list(""):
        looked_at += 1
        if entry.path.endswith(".parquet"):
            raise ConfigError(
                f"{store.url} holds Parquet files that are not st-export's ({entry.path}), and no {paths.LAKE}",
                hint="point output.url at a new or empty folder",
            )
        if looked_at >= LOOKED_AT:
            return


def _check_version(store: Store, data: bytes) -> None:
    try:
        version = orjson.loads(data)["version"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        version = None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointUnreadable(f"{store.url}/{paths.LAKE} is damaged", hint=f'restore it: {{"version": {LAKE_VERSION}}}')
    if version > LAKE_VERSION:
        raise CheckpointUnreadable(
            f"the lake {store.url} was written by a newer st-export (layout {version}, this one knows {LAKE_VERSION})",
            hint="upgrade st-export",
        )


def _folder(url: str, base: Path) -> Path:
    if url.startswith("file://"):
        return Path(unquote(urlsplit(url).path))
    return (base / Path(url).expanduser()).absolute()


def _machine_spool() -> Spool:
    return Spool(Path(tempfile.gettempdir()) / f"st-export-{os.getuid()}", private=True)

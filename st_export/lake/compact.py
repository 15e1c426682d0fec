"""The current rows of each entity into `current/`, one row a key, in parts by the hash of the key.

What a reader of the folder sees: a key belongs to one part for ever, and a part is replaced by one atomic put, so every key is
there once, old or new, at every moment. The marker (see `marker`) is written last: a compact that died is repeated by the next, and the
log is never touched.

What is written: only parts whose keys changed since the marker's commit. A keyed part without tombstones is merged: "newest by
modified, then by export" of the old part's rows and the new versions is the same as over all versions, and repeating it changes nothing.
With tombstones it is not (the part has forgotten what the gone key had), nor for snapshots that a dead compact may have put already:
those parts are computed from the log.

What it costs: versions are first spread by part into the spool (one pass, on disk), then each part is ranked by key and time alone
and its rows are streamed by their place in the file. DuckDB works under a memory limit and spills.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import duckdb

from st_export.errors import ConfigError, StExportError, StoreError
from st_export.lake import origins
from st_export.lake.files import LakeFiles, connection
from st_export.lake.index import EntityIndex, manifest_ordinals, read_manifests
from st_export.lake.marker import Marker, part_path, parts_there, read_marker, write_marker
from st_export.lake.parts import PartSource, Urls, changed_parts, has_tombstones, merge_source, spread, write_part
from st_export.lake.query import interruptible
from st_export.lake.ranges import lake_url, local_folder
from st_export.lake.relations import columns_text, unified_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from st_export.commit.store import Store
    from st_export.lake.shape import Shape

MEMORY_LIMIT_MB = 400
"""DuckDB's limit; the process stands at about 150 MB more."""

VERSIONS_A_PART = 500_000
"""Versions that the number of parts is chosen for at the first compact: about 100 MB of usual rows."""

MAX_PARTS = 256


@dataclass(frozen=True, slots=True)
class Compacted:
    """What compact did for one entity of one tenant: parts written of how many, current rows, or why it failed."""

    entity: str
    tenant: int
    parts_written: int
    parts: int
    rows: int
    error: str | None = None


async def compact(
    store: Store,
    shapes: Iterable[Shape],
    *,
    tenants: Collection[int] | None = None,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
    finished: Callable[[Compacted], None] | None = None,
) -> list[Compacted]:
    """Bring `current/` of the entities to the last commit, one after another.

    The caller holds the tenants' locks, so that no two compacts write the same parts.

    Args:
        store: the lake.
        shapes: the entities.
        tenants: only these, default all that the lake has.
        memory_limit_mb: for DuckDB.
        finished: called with each record as it is done, for progress.

    Returns:
        One record an entity and tenant that has files. An entity whose files cannot be read has its error there; the others go on.

    Raises:
        ConfigError: DuckDB cannot work under the memory limit.

    """
    done = []
    for shape in shapes:
        for tenant, manifests in sorted((await manifest_ordinals(store, shape.name)).items()):
            if tenants is None or tenant in tenants:
                one = await _compact_guarded(store, shape, tenant, manifests, memory_limit_mb)
                done.append(one)
                if finished is not None:
                    finished(one)
    return done


async def _compact_guarded(store: Store, shape: Shape, tenant: int, manifests: Mapping[int, str], memory_limit_mb: int) -> Compacted:
    try:
        return await compact_entity(store, shape, tenant, manifests, memory_limit_mb=memory_limit_mb)
    except ConfigError:
        raise
    except StExportError as error:
        return Compacted(shape.name, tenant, 0, 0, 0, error=error.message)


async def compact_entity(
    store: Store, shape: Shape, tenant: int, manifests: Mapping[int, str], *, memory_limit_mb: int = MEMORY_LIMIT_MB
) -> Compacted:
    """Bring `current/` of one entity of one tenant to the last commit.

    Args:
        store: the lake.
        shape: the entity.
        tenant: its id.
        manifests: the paths of its manifests by ordinal.
        memory_limit_mb: for DuckDB.

    Raises:
        EntityFailed: the files' schemas cannot be unified.
        StoreError: the lake cannot be read or written.
        ConfigError: DuckDB cannot work under the memory limit.

    """
    marker = await read_marker(store, shape.name, tenant)
    if marker is not None and marker.is_fresh(manifests) and marker.is_for(shape) and marker.columns == columns_text(shape.schema):
        return Compacted(shape.name, tenant, 0, marker.parts, sum(marker.rows))
    job = await _planned_from_new(store, shape, tenant, manifests, marker)
    done = await _in_spool(store, job, memory_limit_mb) if job is not None else None
    if done is not None:
        return done
    job = await _planned(store, shape, tenant, manifests, marker)
    done = await _in_spool(store, job, memory_limit_mb) if job is not None else None
    return done or Compacted(shape.name, tenant, 0, 0, 0)


async def _in_spool(store: Store, job: Job, memory_limit_mb: int) -> Compacted | None:
    spool = Path(await anyio.to_thread.run_sync(lambda: mkdtemp(prefix="compact-", dir=store.spool)))
    database = connection(spool, memory_limit_mb=memory_limit_mb)
    try:
        return await _carry_out(store, job, database, spool)
    finally:
        database.close()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: rmtree(spool, ignore_errors=True))


@dataclass(frozen=True, slots=True)
class Job:
    """One entity of one tenant to be compacted.

    `files` are the committed files with their bytes, `new_files` those since `old`; `written` and `new_written` the columns that some
    of them have. `old` None: everything is computed from the log. `knows_log` False: `files` are only the new ones, which is enough
    for a merge and saves reading all manifests.
    """

    shape: Shape
    tenant: int
    ordinals: tuple[int, ...]
    files: Mapping[str, int]
    new_files: tuple[str, ...]
    written: frozenset[str]
    new_written: frozenset[str]
    parts: int
    there: Mapping[int, int]
    old: Marker | None
    knows_log: bool


async def _planned_from_new(store: Store, shape: Shape, tenant: int, manifests: Mapping[int, str], marker: Marker | None) -> Job | None:
    """Return the job of a merge, from the manifests since the marker alone; None where that is not enough."""
    columns = columns_text(shape.schema)
    if marker is None or not shape.key or marker.has_tombstones or not _extends(marker, shape, manifests) or marker.columns != columns:
        return None
    new = await _files_of(store, shape, [path for ordinal, path in sorted(manifests.items()) if ordinal > marker.ordinal])
    if any(written != columns for written in new.index.schemas):
        return None
    _, there = await parts_there(store, shape.name, tenant)
    return Job(
        shape=shape,
        tenant=tenant,
        ordinals=tuple(sorted(manifests)),
        files=new.files,
        new_files=tuple(new.files),
        written=new.index.written,
        new_written=new.index.written,
        parts=marker.parts,
        there=there,
        old=marker,
        knows_log=False,
    )


async def _planned(store: Store, shape: Shape, tenant: int, manifests: Mapping[int, str], marker: Marker | None) -> Job | None:
    """Return the job with every committed file, None where the entity has none."""
    last = marker.ordinal if marker else 0
    every = await _files_of(store, shape, [path for _, path in sorted(manifests.items())])
    if not every.files:
        return None
    new = await _files_of(store, shape, [path for ordinal, path in sorted(manifests.items()) if ordinal > last])
    whole = await unified_shape(store, shape, every.index)
    parts, there = await parts_there(store, shape.name, tenant)
    usable = marker is not None and _extends(marker, whole, manifests) and marker.columns == columns_text(whole.schema)
    return Job(
        shape=whole,
        tenant=tenant,
        ordinals=tuple(sorted(manifests)),
        files=every.files,
        new_files=tuple(new.files),
        written=every.index.written,
        new_written=new.index.written,
        parts=parts or (marker.parts if marker else _parts_for(whole, every.index.rows)),
        there=there,
        old=marker if usable else None,
        knows_log=True,
    )


def _extends(marker: Marker, shape: Shape, manifests: Mapping[int, str]) -> bool:
    """Return whether all that the marker stands for is still there, and means the same."""
    return marker.is_for(shape) and marker.manifests == sum(ordinal <= marker.ordinal for ordinal in manifests)


@dataclass(frozen=True, slots=True)
class Named:
    """What some manifests name: files with their bytes, and what they add up to."""

    index: EntityIndex
    files: Mapping[str, int]


async def _files_of(store: Store, shape: Shape, manifests: Sequence[str]) -> Named:
    index, files = EntityIndex(shape.name), dict[str, int]()
    async for manifest in read_manifests(store, manifests):
        index.add(manifest)
        files.update({file.path: file.bytes for file in manifest.files if file.path.endswith(".parquet")})
    return Named(index, files)


def _parts_for(shape: Shape, versions: int) -> int:
    """Return a power of two, so that the parts hold about VERSIONS_A_PART of the versions of the first compact."""
    if shape.group == ("_tenant_id",):
        return 1
    parts = 1
    while parts < MAX_PARTS and versions > parts * VERSIONS_A_PART:
        parts *= 2
    return parts


async def _carry_out(store: Store, job: Job, database: duckdb.DuckDBPyConnection, spool: Path) -> Compacted | None:
    """Write the changed parts, then the marker; None where the job does not know enough to do it."""
    remote = None
    if local_folder(store) is None:
        parts = {part_path(job.shape.name, job.tenant, part, job.parts): size for part, size in job.there.items()}
        remote = LakeFiles(store, {**job.files, **parts})
        database.register_filesystem(remote)
    origins.register(database, remote)
    try:
        done = await _write_parts(store, job, database, spool)
    except duckdb.OutOfMemoryException as error:
        raise ConfigError(
            f"compact of {job.shape.name} ran out of memory: {error}", hint="give it more memory or temporary space"
        ) from error
    except duckdb.Error as error:
        if remote is not None and remote.failure is not None:
            raise remote.failure from error
        raise StoreError(
            f"the files of {job.shape.name} cannot be read: {error}", hint="run `st-export verify`", entity=job.shape.name
        ) from error
    if done is None:
        return None
    marker, written = done
    await write_marker(store, job.shape.name, job.tenant, marker)
    return Compacted(job.shape.name, job.tenant, written, job.parts, sum(marker.rows))


async def _write_parts(store: Store, job: Job, database: duckdb.DuckDBPyConnection, spool: Path) -> tuple[Marker, int] | None:
    """Write the changed parts one after another; returns the marker to write and how many parts were written.

    None where the new files turn out to hold tombstones and the job does not know the log.
    """
    shape, old, lake = job.shape, job.old, lake_url(store)
    urls = Urls(
        log=tuple(f"{lake}/{path}" for path in job.files),
        new=tuple(f"{lake}/{path}" for path in job.new_files),
        lake=lake,
        tenant=job.tenant,
        there=frozenset(job.there),
    )
    gone = await interruptible(database, lambda: has_tombstones(database, shape, urls.new if old else urls.log))
    gone = gone or (old is not None and old.has_tombstones)
    if gone and not job.knows_log:
        return None
    wanted = tuple(range(job.parts))
    if old is not None:
        wanted = await interruptible(database, lambda: changed_parts(database, shape, urls.new, job.parts))
    merge = old is not None and bool(shape.key) and not gone
    if wanted and not merge:
        log, written, parts = urls.log, job.written, job.parts
        await interruptible(database, lambda: spread(database, shape, log, written, parts=parts, wanted=wanted, spool=spool))
    rows = list(old.rows) if old else [0] * job.parts
    for part in wanted:
        source = merge_source(shape, urls, part, job.parts, job.new_written) if merge else PartSource.of_spread(shape, spool, part)
        local = spool / f"part-{part}.parquet"
        rows[part] = await interruptible(database, partial(write_part, database, shape, source, local))
        if rows[part] or part in job.there:
            await store.put_file(part_path(shape.name, job.tenant, part, job.parts), local)
    marker = Marker(
        ordinal=max(job.ordinals),
        manifests=len(job.ordinals),
        parts=job.parts,
        key=shape.group,
        modified=shape.modified,
        columns=columns_text(shape.schema),
        has_tombstones=gone,
        rows=tuple(rows),
    )
    return marker, len(wanted)

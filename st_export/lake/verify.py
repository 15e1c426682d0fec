"""Every committed file held against its manifest: there, whole, readable, with its rows and schema; and the lake against the service.

Files are read once, in ranges, so memory does not grow with their size, on a folder and on an object store alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pyarrow as pa
import pyarrow.parquet as pq

from st_export.catalog.schema import arrow_text
from st_export.commit import paths
from st_export.commit.store import Missing
from st_export.errors import CheckpointUnreadable, StoreError
from st_export.lake.index import manifest_ordinals, read_manifest
from st_export.lake.ranges import LakeFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

    from st_export.commit.manifest import Manifest
    from st_export.commit.store import Store
    from st_export.flow import DataFile
    from st_export.lake.index import Columns
    from st_export.lake.shape import Shape

    Totals = Callable[[int, str], Awaitable[int | None]]

CHECKS_AT_ONCE = 4
RANGE_BYTES = 8 * 1024 * 1024
"""Read at once of a file: CHECKS_AT_ONCE of these are all the memory that verifying needs."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a committed file (or with a manifest, or with a count: then `file` is its path, or None)."""

    entity: str
    tenant: int
    file: str | None
    problem: str
    manifest: str | None = None


@dataclass(slots=True)
class Verified:
    """What was found: files and rows that are as their manifests say, and the problems."""

    files: int = 0
    rows: int = 0
    problems: list[Problem] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the contract's `verify --json`."""
        ordered = sorted(self.problems, key=lambda one: (one.entity, one.tenant, one.file or ""))
        return {
            "ok": not self.problems,
            "files": self.files,
            "rows": self.rows,
            "problems": [{"entity": one.entity, "tenant": one.tenant, "file": one.file, "problem": one.problem} for one in ordered],
        }


async def verify(
    store: Store,
    *,
    entities: Collection[str] | None = None,
    tenants: Collection[int] | None = None,
    checked: Callable[[int], None] | None = None,
) -> Verified:
    """Check every committed file of the lake.

    Args:
        store: the lake.
        entities: only these, default all that have manifests.
        tenants: only these, default all.
        checked: called with the rows of each file that was checked, for progress.

    Raises:
        StoreError: the lake cannot be read at all; what is wrong with one file is a problem, not an error.

    """
    found = Verified()
    names = await store.folders(paths.MANIFESTS)
    for entity in names if entities is None else sorted(set(names) & set(entities)):
        for tenant, manifests in sorted((await manifest_ordinals(store, entity)).items()):
            if tenants is None or tenant in tenants:
                await _verify_entity(store, entity, tenant, [path for _, path in sorted(manifests.items())], found, checked)
    return found


async def _verify_entity(
    store: Store, entity: str, tenant: int, manifests: Iterable[str], found: Verified, checked: Callable[[int], None] | None
) -> None:
    sizes = {entry.path: entry.bytes async for entry in store.list(paths.data_folder(entity, tenant))}
    named: dict[str, str] = {}
    limiter = anyio.CapacityLimiter(CHECKS_AT_ONCE)

    async def check(manifest: Manifest, file: DataFile) -> None:
        try:
            problem = await file_problem(store, file, manifest.columns, sizes)
        finally:
            limiter.release_on_behalf_of(file.path)
        if problem is None:
            found.files += 1
            found.rows += file.rows
        else:
            found.problems.append(Problem(entity, tenant, file.path, problem, manifest.path))
        if checked is not None:
            checked(file.rows)

    async with anyio.create_task_group() as group:
        for path in manifests:
            manifest, problem = await _readable(store, path)
            if manifest is None:
                found.problems.append(Problem(entity, tenant, path, problem, path))
                continue
            for file in manifest.files:
                twice = named.setdefault(file.path, path)
                if twice != path:
                    found.problems.append(Problem(entity, tenant, file.path, f"two manifests name it: {twice}, {path}", path))
                    continue
                # Taken before the task is started, so that no more tasks than checks exist.
                await limiter.acquire_on_behalf_of(file.path)
                group.start_soon(check, manifest, file)


async def _readable(store: Store, path: str) -> tuple[Manifest | None, str]:
    """Return a manifest, or what is wrong with it."""
    try:
        return await read_manifest(store, path), ""
    except (StoreError, CheckpointUnreadable) as error:
        return None, f"the manifest cannot be read: {error.message}"


async def file_problem(store: Store, file: DataFile, columns: Columns, sizes: Mapping[str, int]) -> str | None:
    """Return what is wrong with a committed file, None where it is as its manifest says.

    Args:
        store: the lake.
        file: as the manifest has it.
        columns: the manifest's columns, names and types.
        sizes: the files that were listed, path and bytes.

    """
    if file.path not in sizes:
        return "missing"
    if sizes[file.path] != file.bytes:
        return f"has {sizes[file.path]:,} bytes, its manifest says {file.bytes:,}"
    try:
        return await _content_problem(store, file, columns)
    except Missing:
        return "missing"
    except (StoreError, pa.ArrowException, OSError) as error:
        return f"cannot be read: {error}"


async def _content_problem(store: Store, file: DataFile, columns: Columns) -> str | None:
    if await _digest(store, file.path, file.bytes) != file.sha256:
        return "its checksum differs from its manifest's: the content has changed"
    if not file.path.endswith(".parquet"):  # a binary
        return None
    rows, schema = await _footer(store, file.path, file.bytes)
    if rows != file.rows:
        return f"has {rows:,} rows, its manifest says {file.rows:,}"
    return _schema_problem(schema, columns)


def _schema_problem(schema: pa.Schema, columns: Columns) -> str | None:
    written = {field.name: (arrow_text(field.type), str(field.type)) for field in schema}
    missing = [name for name, _ in columns if name not in written]
    extra = sorted(set(written) - {name for name, _ in columns})
    retyped = [f"{name} is {written[name][0]}, not {kind}" for name, kind in columns if name in written and kind not in written[name]]
    parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has besides {', '.join(extra)}"] * bool(extra) + retyped
    return f"its schema differs from its manifest's: {'; '.join(parts)}" if parts else None


async def _digest(store: Store, path: str, size: int) -> str:
    digest = hashlib.sha256()
    for start in range(0, size, RANGE_BYTES):
        data = await store.read_range(path, start, min(start + RANGE_BYTES, size))
        await anyio.to_thread.run_sync(digest.update, data)
    return digest.hexdigest()


async def _footer(store: Store, path: str, size: int) -> tuple[int, pa.Schema]:
    loop = anyio.lowlevel.current_token()

    def read_range(start: int, end: int) -> bytes:
        return anyio.from_thread.run(store.read_range, path, start, end, token=loop)

    def read() -> tuple[int, pa.Schema]:
        with pq.ParquetFile(LakeFile(size, read_range)) as file:
            return file.metadata.num_rows, file.schema_arrow

    return await anyio.to_thread.run_sync(read)


async def compare_with_service(
    shapes: Iterable[Shape], tenants: Iterable[int], *, keys: Callable[[int, Shape], Awaitable[int]], totals: Totals
) -> list[Problem]:
    """Return the entities whose current keys are not as many as the service says.

    Args:
        shapes: the entities; those without a key are left out, since their rows are no records.
        tenants: the tenants.
        keys: counts the current keys of an entity of a tenant in the lake (`query.current_keys`).
        totals: asks the service for the number of records of an entity of a tenant, None where it does not tell.

    """
    found = []
    for tenant in tenants:
        for shape in shapes:
            total = await totals(tenant, shape.name) if shape.key else None
            if total is None:
                continue
            count = await keys(tenant, shape)
            if count != total:
                word = "fewer" if count < total else "more"
                text = f"the lake has {count:,} current keys, the service {total:,}: {abs(count - total):,} {word}"
                found.append(Problem(shape.name, tenant, None, text))
    return found

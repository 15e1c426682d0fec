"""Reading binaries: the files that rows of other entities name, each streamed into the lake, and a row of the index for each.

What is due follows the rows that name the files, as for children (see `children`): all of them at first, then those of rows that
arrived since the last complete pass. Files go in the order of their ids or paths; a unit is a range of them, its rows and files are
committed together. A file whose content is as the index has it is not kept again. A file that is missing (404) is a row with that
reason; one that could not be had for another reason is a row too, and is asked for again by the next run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from st_export.errors import EntityRefused, PageTimedOut, PageUnreadable, RequestRejected
from st_export.fetch.lists import list_path
from st_export.flow import Page, Request, digest_label
from st_export.run.groups import task_group
from st_export.run.readers.children import UNKNOWN_PATH, begun_pass, due_of, finished_pass, tell_cost
from st_export.run.readers.parents import NOT_ASKED, Gathering, ParentList, due_rows, lake_columns, read_driver, sort_key
from st_export.run.unit import new_unit
from st_export.write.binaries import SpooledBinary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from st_export.catalog.entity import Entity, Parent
    from st_export.flow import DataFile, EntityName, Json, Position, Unit
    from st_export.run.parts import Parts
    from st_export.run.readers.parents import Due
    from st_export.run.scope import Scope

FILES_A_UNIT = 500
UNIT_BYTES = 256 << 20
"""A unit ends at so many files, at so many bytes of them on this machine, or when it has been open as long as any unit may."""

ELSEWHERE = ("http://", "https://", "//", "data:")
"""How the places begin that are no files of the service."""

MISSING = "404: there is no such file"


async def read_binaries(parts: Parts, entity: Entity, scope: Scope) -> None:
    """Bring the files that are due into the lake, unit by unit.

    Raises:
        EntityRefused: 403, or the service does not know such files.
        EntityFailed, ServiceUnavailable, TenantRefused: as the client says.

    """
    drivers = _drivers(parts, entity)
    in_lake = {driver.name: await parts.finished(driver.name, entity) for driver in drivers}
    if parts.stop.requested:
        return
    position = await begun_pass(parts, entity, scope)
    index = await _Index.of(parts, entity)
    due = await _due(parts, entity, drivers, in_lake, due_of(scope, position))
    after = position.current.after if position.current is not None else None
    left = due.behind(None if after is None else (after,))
    tell_cost(parts, entity, f"files of {len(left):,} ids or paths", len(left))
    reading = _BinaryPass(parts, entity, scope, position, index)
    await reading.run(left)
    await reading.retry()
    if not parts.stop.requested:
        end = finished_pass(position, scope)
        await parts.move(entity, scope, lambda _: end)


# -- what is due


def _drivers(parts: Parts, entity: Entity) -> list[Entity]:
    names: dict[EntityName, None] = dict.fromkeys(parent.entity for parent in entity.parents if parent.entity is not None)
    return [parts.entity(name) for name in names]


async def _due(parts: Parts, entity: Entity, drivers: list[Entity], in_lake: Mapping[EntityName, bool], due: Due) -> ParentList:
    """Return the ids or paths of all files that are due, in order."""
    found = _Files()
    for driver in drivers:
        parents = tuple(parent for parent in entity.parents if parent.entity == driver.name)
        rows = _Rows(parents) if parents[0].detail_path is None else Gathering((replace(parents[0], column="id", type="int64"),))
        if in_lake[driver.name]:
            columns = lake_columns(driver, {"id"} if isinstance(rows, Gathering) else {_column(parent) for parent in parents})
            await _from_lake(parts, driver, columns, due, rows.add)
        else:
            await read_driver(parts, driver, due, rows.add, entity)
        if isinstance(rows, Gathering):
            await _from_details(parts, entity, parents[0], rows.ordered(), found)
        else:
            found.merge(rows)
    return found.ordered()


async def _from_lake(parts: Parts, driver: Entity, columns: list[str], due: Due, add: Callable[[pa.Table], object]) -> None:
    async for table in parts.lake_tables(driver, columns, since=due.arrived):
        await anyio.to_thread.run_sync(lambda table=table: add(due_rows(table, driver, due)))  # type: ignore[misc]


async def _from_details(parts: Parts, entity: Entity, parent: Parent, ids: ParentList, found: _Files) -> None:
    """Ask each record by its id for the places that only this answer shows."""
    tell_cost(parts, entity, f"{len(ids):,} records are asked for their files", len(ids))
    slots = anyio.CapacityLimiter(parts.max_in_flight(entity))
    template = (parent.detail_path or "").replace("{tenant}", str(parts.tenant))

    async def ask(number: str) -> None:
        try:
            page = await parts.source.page(Request(entity.name, template.replace("{id}", number)))
            try:
                found.texts.update(places_in(orjson.loads(page.body), parent.column))
            finally:
                parts.source.release(page)
        except (EntityRefused, RequestRejected) as refusal:
            if refusal.status not in NOT_ASKED:
                raise
            parts.note("debug", f"record {number} answered {refusal.status}: {refusal.message}", entity)
        finally:
            slots.release_on_behalf_of(number)

    async with task_group() as group:
        for (number,) in ids:
            await slots.acquire_on_behalf_of(number)
            group.start_soon(ask, number)


def places_in(value: Json, place: str) -> set[str]:
    """Return the texts at a place in a JSON value: `image`, `skuImages[]`, `assets[].url`."""
    first, _, rest = place.partition(".")
    found = value.get(first.removesuffix("[]")) if isinstance(value, dict) else None
    items = found if first.endswith("[]") and isinstance(found, list) else [found]
    if rest:
        return {text for item in items for text in places_in(item, rest)}
    return {item for item in items if isinstance(item, str) and item}


def _column(parent: Parent) -> str:
    return parent.column.partition(".")[0].partition("[")[0]


@dataclass(slots=True)
class _Files:
    """Ids as numbers, paths as texts."""

    numbers: list[np.ndarray] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)

    def merge(self, other: _Files) -> None:
        self.numbers += other.numbers
        self.texts |= other.texts

    def ordered(self) -> ParentList:
        numbers = np.unique(np.concatenate(self.numbers)) if self.numbers else np.zeros(0, dtype=np.int64)
        return ParentList(numbers, sorted(((text,) for text in self.texts), key=sort_key))


class _Rows(_Files):
    """The files that rows of one driver name."""

    __slots__ = ("_parents",)

    def __init__(self, parents: tuple[Parent, ...]) -> None:
        super().__init__()
        self._parents = parents

    def add(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Take the files of some rows; called in a worker thread."""
        for parent in self._parents:
            values = rows.column(_column(parent))
            if pa.types.is_null(values.type):
                continue
            if pa.types.is_integer(values.type):
                self.numbers.append(np.unique(values.drop_null().to_numpy(zero_copy_only=False)))
                continue
            for part in parent.column.split("."):
                values = pc.struct_field(values, part.removesuffix("[]")) if pa.types.is_struct(values.type) else values
                values = pc.list_flatten(values) if part.endswith("[]") else values
            self.texts.update(text for text in pc.unique(values).to_pylist() if text)


# -- the index


class _Index:
    """What the index says of each file, by a hash of its id: a part of its checksum, or that it is missing or to be asked for again."""

    RETRY, GONE = -1, 0

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._again: dict[str, int] = {}

    @classmethod
    async def of(cls, parts: Parts, entity: Entity) -> _Index:
        """Read the index of the lake."""
        index = cls()
        async for table in parts.lake_tables(entity, ["id", "sha256", "reason", "_exported_at"]):
            await anyio.to_thread.run_sync(index._take, table)
        return index

    def _take(self, table: pa.Table) -> None:
        moments = table.column("_exported_at").cast(pa.int64()).to_pylist()
        columns = (table.column(name).to_pylist() for name in ("id", "sha256", "reason"))
        for name, sha256, reason, at in zip(*columns, moments, strict=True):
            self.note(name, sha256, reason, at)

    def note(self, name: str, sha256: str | None, reason: str | None, at: int) -> None:
        """Take a row of the index."""
        if at < self._known.get(hash(name), (at, 0))[0]:
            return
        self._known[hash(name)] = (at, _number(sha256) if sha256 else self.GONE if reason == MISSING else self.RETRY)
        if sha256 is None and reason != MISSING and not _is_elsewhere(name):
            self._again[name] = at
        else:
            self._again.pop(name, None)

    def settled(self, name: str) -> None:
        """Take note that a file was asked for in this run, whatever came of it."""
        self._again.pop(name, None)

    def has(self, name: str, sha256: str | None = None) -> bool:
        """Return whether the index has the file, with this checksum if one is given."""
        found = self._known.get(hash(name), (0, self.GONE))[1]
        return found > 0 if sha256 is None else found == _number(sha256)

    def to_ask_again(self) -> ParentList:
        """Return what could not be had, for another reason than that it is missing."""
        return ParentList(np.zeros(0, dtype=np.int64), sorted(((name,) for name in self._again), key=sort_key))


def _number(sha256: str) -> int:
    return int(sha256[:15], 16) + 1


def _is_elsewhere(name: str) -> bool:
    return name.lower().startswith(ELSEWHERE)


# -- the files


class _BinaryPass:
    """One pass over the files that are due."""

    def __init__(self, parts: Parts, entity: Entity, scope: Scope, position: Position, index: _Index) -> None:
        self.parts, self.entity, self.scope, self.position, self.index = parts, entity, scope, position, index
        self.only_new = scope.full_children or scope.is_backfill
        self.slots = anyio.CapacityLimiter(parts.max_in_flight(entity))

    async def run(self, files: ParentList) -> None:
        """Read these files and commit them unit by unit; a stop ends it after the unit under way."""
        await self._run(files, "p", self._moved)

    async def retry(self) -> None:
        """Ask again for what an earlier pass could not have; the position stays."""
        self.only_new = False
        tried = self.index.to_ask_again()
        if len(tried):
            await self._run(tried, "r", lambda _: self.position)

    async def _run(self, files: ParentList, prefix: str, moved: Callable[[str], Position]) -> None:
        names = iter(name for (name,) in files if not (self.only_new and self.index.has(name)))
        first = next(names, None)
        while first is not None and not self.parts.stop.requested:
            first = await self._read_unit(first, names, prefix, moved)

    def _moved(self, last: str) -> Position:
        assert self.position.current is not None  # noqa: S101 -- begun_pass saw to it
        self.position = replace(self.position, current=replace(self.position.current, after=last))
        return self.position

    async def _read_unit(self, first: str, names: Iterator[str], prefix: str, moved: Callable[[str], Position]) -> str | None:
        label = digest_label(first if prefix == "p" else f"{self.parts.run}/{first}", prefix)
        unit = new_unit(self.parts, self.entity, self.scope, self.position.epoch, label)
        held = _Held()
        last, following = first, None

        def inside() -> Iterator[str]:
            nonlocal last, following
            yield first
            for count, name in enumerate(names, start=1):
                if count >= FILES_A_UNIT or held.bytes >= UNIT_BYTES or self.parts.stop.requested or self.parts.pace.due(unit):
                    following = name
                    return
                last = name
                yield name

        try:
            await self._read_all(inside(), unit.unit, held)
            page = self._page(held.rows)
            await unit.take(page)
            position = moved(last)
            await unit.commit(lambda _: position, held.files)
        finally:
            unit.discard()
            held.discard()
        return following

    def _page(self, rows: list[dict[str, Json]]) -> Page:
        """Return rows of the index as a page of the service would bring them."""
        body = orjson.dumps(rows)
        return Page(Request(self.entity.name, self.entity.path), body, self.parts.read_envelope(body), self.parts.clock.now())

    async def _read_all(self, names: Iterable[str], unit: Unit, held: _Held) -> None:
        async with task_group() as group:
            for part, name in enumerate(names):
                await self.slots.acquire_on_behalf_of(name)
                group.start_soon(self._read, name, part, unit, held)

    async def _read(self, name: str, part: int, unit: Unit, held: _Held) -> None:
        binary = SpooledBinary(self.parts.spool)
        try:
            reason = await self._download(name, binary)
            binary.close()
            self.index.settled(name)
            if reason is None and self.index.has(name, binary.sha256):
                return
            file = binary.data_file(unit, part, name) if reason is None else None
            held.add(name, file, binary, reason)
        finally:
            if binary not in held.binaries:
                binary.discard()
            self.slots.release_on_behalf_of(name)

    async def _download(self, name: str, binary: SpooledBinary) -> str | None:
        """Bring a file to this machine; return why that cannot be done, None where it is done."""
        if _is_elsewhere(name):
            return "not a file of the service: its place is elsewhere"
        try:
            await self.parts.source.download(self._request(name), binary)
        except EntityRefused as refusal:
            if refusal.status != 404 or UNKNOWN_PATH in refusal.message:
                raise
            return MISSING
        except RequestRejected as refusal:
            self.parts.note("warning", f"{name}: {refusal.message}", self.entity)
            return MISSING if refusal.status == 404 else f"{refusal.status}: the file was refused"
        except (PageUnreadable, PageTimedOut) as error:
            self.parts.note("warning", f"{name}: {error.message}", self.entity)
            return "the file stayed cut off or unanswered"
        return None

    def _request(self, name: str) -> Request:
        parameter = self.entity.parents[0].parameter
        if "{" + parameter + "}" in self.entity.path:
            return Request(self.entity.name, list_path(self.entity, self.parts.tenant, {parameter: name}))
        return Request(self.entity.name, list_path(self.entity, self.parts.tenant), ((parameter, name),))


class _Held:
    """The files of a unit that wait for their commit, and its rows."""

    def __init__(self) -> None:
        self.bytes = 0
        self.rows: list[dict[str, Any]] = []
        self.files: list[DataFile] = []
        self.binaries: list[SpooledBinary] = []

    def add(self, name: str, file: DataFile | None, binary: SpooledBinary, reason: str | None) -> None:
        row: dict[str, Any] = {"id": name, "name": None, "bytes": None, "sha256": None, "content_type": None, "reason": reason}
        if file is not None:
            row |= {
                "name": file.path.rpartition("/")[2],
                "bytes": file.bytes,
                "sha256": file.sha256,
                "content_type": binary.content_type,
            }
            self.files.append(file)
            self.binaries.append(binary)
            self.bytes += file.bytes
        self.rows.append(row)

    def discard(self) -> None:
        for binary in self.binaries:
            binary.discard()

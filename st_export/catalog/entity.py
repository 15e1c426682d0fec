"""An entity as data: what it is called, where it is read, how it is paged and what its columns are. Facts only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from st_export.flow import EntityName

Kind = Literal["feed", "list", "plain", "child", "report", "capacity", "binary"]
Scalar = Literal["int64", "bool", "string", "timestamp", "date", "decimal", "double", "json"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name as the API spells it and its type.

    `type` is a scalar's word, or `list` with `item`, or `struct` with `fields`. `json` is free-form JSON kept as text;
    `string` also stands for durations; `timestamp` is microseconds UTC; `date` is a civil date.
    """

    name: str
    type: Scalar | Literal["list", "struct"]
    item: Column | None = None
    fields: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Paging:
    """How a paged list is asked. Names are query parameters; None where the list has none. Source: the spec of its module.

    `sort` is the value to send for an ascending walk by id (`+Id`), None where Id is not sortable; `has_total` says that
    `includeTotal` exists; `envelope` is what comes back; `one_at_a_time` marks a list that must not be read side by side.
    """

    page_size: int = 5000
    max_page_size: int = 5000
    sort: str | None = None
    has_total: bool = True
    has_page: bool = True
    envelope: Literal["paged", "data", "array"] = "paged"
    modified_from: str | None = None
    modified_before: str | None = None
    created_from: str | None = None
    created_before: str | None = None
    created_field: str | None = None
    needs_window: bool = False
    one_at_a_time: bool = False


@dataclass(frozen=True, slots=True)
class Parent:
    """One id in a child's path: the path parameter, the entity that lists the ids and its id column.

    `entity` None: no list shows the ids, they come from `entities.<name>.parent_ids`. All parents of a child name the same
    entity: one row of it gives all ids of one request. `column` may be a column of ours there (`_parent_id`,
    `_parent_ids[0]`) and, of a binary, a place inside lists (`assets[].url`); a binary's parents that share a parameter are
    alternatives. `type` is the id's own type. `detail_path` is the by-id read that alone shows the column.
    """

    parameter: str
    entity: EntityName | None
    column: str = "id"
    type: Literal["int64", "string"] = "int64"
    detail_path: str | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """One readable collection.

    `path` has `{tenant}` and, for children, the parents' parameters. `query` is always sent (`active=Any` and its
    variants). `key` empty: a snapshot without key. `modified` and `created` are the columns that hold those times (dotted for
    nested ones), None where the rows have none. `partition_by` are the columns tried in order for the row's day.
    `history` True: what happens (jobs, invoices, calls); False: master data. `per` says what one request covers beyond paging:
    `day` (asked day by day), `segment` values in `segments` (performance), `range` (from and to in one call).
    `range_from` / `range_to` are the query parameters of an entity that is asked for a range or a day.
    `variants`: the list is asked once with each of these values of `variant_parameter`, since without it the service shows the
    rows of one of them only; all of them together are the entity.
    `whole` True: it is read whole each time (new and changed rows, tombstones), as it has no usable modified filter.
    `batch_ids` above 0: one request asks for that many ids of the parent, separated by commas, in the query parameter that
    the parent names; such rows bear their parent's id themselves. `recursive`: its own rows are parents too (the outer ids
    as in their request, the innermost from the row). `records` is the property that holds the rows where it is not `data`.
    """

    name: EntityName
    kind: Kind
    path: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    modified: str | None = None
    created: str | None = None
    partition_by: tuple[str, ...] = ()
    history: bool = False
    verified: bool = True
    paging: Paging | None = None
    parents: tuple[Parent, ...] = ()
    per: Literal["day", "range"] | None = None
    range_from: str | None = None
    range_to: str | None = None
    segment_parameter: str | None = None
    segments: tuple[str, ...] = ()
    variant_parameter: str | None = None
    variants: tuple[str, ...] = ()
    alias_of: EntityName | None = None
    note: str | None = None
    batch_ids: int = 0
    recursive: bool = False
    records: str | None = None

    @property
    def whole(self) -> bool:
        """Whether every read is a whole one: no feed, and no list that filters by modification."""
        if self.kind == "feed":
            return False
        return not (self.kind == "list" and self.paging is not None and self.paging.modified_from is not None)

    @property
    def cursor(self) -> str | None:
        """What a later read goes on from: `continueFrom`, `modifiedOn`, `day`, or None for whole reads."""
        if self.kind == "feed":
            return "continueFrom"
        if self.kind in ("report", "capacity") or self.per == "day":
            return "day"
        return None if self.whole else "modifiedOn"

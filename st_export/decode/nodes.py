"""A column as the decoder sees it: how it is read, what it becomes, and what happens to it before.

A node is built once an entity from the catalog's column, the type in the lake's schema and the controls. Nodes never change,
so that many threads can use them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from st_export.decode import values

if TYPE_CHECKING:
    from st_export.catalog.entity import Column
    from st_export.decode.controls import Tree
    from st_export.flow import Json

Place = tuple[str, ...]
"""A struct's place in a record: the names around it, `[]` for a list's items; `()` is the record itself."""

Convert = Callable[["Json"], tuple[Any, bool]]

NOTHING = pa.bool_()
"""The type to read where only null is expected: Arrow's reader miscounts the nulls of its own null type inside lists."""

ITEMS = "[]"

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""A field's name that stands in the text as it is, and is spelt like no path."""


@dataclass(frozen=True, slots=True)
class Run:
    """Fields outside the catalog side by side in a record: the first one's name, and the known field behind them, None at the end."""

    first: str
    follower: str | None

    @property
    def key(self) -> bytes:
        """The first field's name as it stands in the text."""
        return b'"' + self.first.encode() + b'":'


@dataclass(frozen=True, slots=True)
class Unknowns:
    """Fields outside the catalog: their types by the place of their struct, and which was sent before which in one record.

    `runs` are those of whole records again, as they can be cut out of the text; empty where that is not known.
    """

    fields: Mapping[Place, Mapping[str, pa.DataType]] = field(default_factory=dict)
    before: AbstractSet[tuple[Place, Place]] = frozenset()
    runs: tuple[Run, ...] = ()

    def nested(self) -> Unknowns:
        """Return them without the fields of whole records."""
        return Unknowns({place: kinds for place, kinds in self.fields.items() if place}, self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A column, a field or an item.

    `kind` is the catalog's type, or what the controls make of it (`drop`, `hash`; `left out`: all of its fields are dropped).
    `sent` is the Arrow type that its JSON is read as, `target` its type in the lake, None where it is dropped. `convert` turns
    one value of a scalar into `(column value, fits)`; `is_careful` says that its texts have to be looked at one by one.
    """

    name: str
    place: Place
    kind: str
    sent: pa.DataType
    target: pa.DataType | None = None
    fields: Mapping[str, Node] = field(default_factory=dict)
    item: Node | None = None
    convert: Convert | None = None
    is_careful: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the lake has it."""
        return self.kind not in ("drop", "left out")

    @property
    def is_plain(self) -> bool:
        """Whether what is read is already what is written, all the way down."""
        if self.kind == "struct":
            return all(node.is_plain for node in self.fields.values())
        if self.item is not None:
            return self.item.is_plain
        return self.kind in ("int64", "bool", "string")


def build_node(column: Column, target: pa.DataType | None, action: Tree | str | None, place: Place = (), *, plain: bool = False) -> Node:
    """Return the node of a catalog column whose type in the lake is `target`; `action` is what the controls say about it.

    `plain` makes padded numbers in decimals misfits (reports).
    """
    if action == "drop":
        return Node(name=column.name, place=place, kind="drop", sent=_sent_type(column))
    if action == "hash":
        hashable = column.type in ("string", "timestamp", "date", "int64", "bool")
        sent = _sent_type(column) if hashable else NOTHING
        return Node(name=column.name, place=place, kind="hash", sent=sent, target=target, convert=values.to_string)
    inner = action if isinstance(action, dict) else None
    if column.type == "list" and column.item is not None:
        item = build_node(column.item, target.value_type if target else None, inner, (*place, column.name, ITEMS), plain=plain)
        return Node(name=column.name, place=place, kind="list", sent=list_of(item.sent), target=target, item=item)
    if column.type == "struct":
        return _struct_node(column, target, inner, place, plain=plain)
    sent = target if column.type == "decimal" and pa.types.is_decimal(target) else _sent_type(column)
    convert = _convert(column.type, target, plain=plain)
    return Node(name=column.name, place=place, kind=column.type, sent=sent, target=target, convert=convert, is_careful=plain)


def row_node(columns: tuple[Column, ...], schema: pa.Schema, tree: Tree, *, plain: bool = False) -> Node:
    """Return the node of a whole record: a struct of the entity's columns. A column that the schema lacks is read and dropped."""
    fields: dict[str, Node] = {}
    for column in columns:
        index = schema.get_field_index(column.name)
        action = tree.get(column.name)
        target = schema.field(index).type if index >= 0 else None
        fields[column.name] = (
            _left_out(column, ()) if target is None and action != "drop" else build_node(column, target, action, plain=plain)
        )
    sent = pa.struct([pa.field(name, node.sent) for name, node in fields.items()])
    return Node(name="", place=(), kind="struct", sent=sent, target=None, fields=fields)


def after_controls(node: Node) -> Node:
    """Return the node for records that the controls have been applied to: hashes are texts, what is dropped is not there."""
    if node.kind == "hash":
        return replace(node, kind="string", sent=pa.string())
    if node.item is not None:
        item = after_controls(node.item)
        return replace(node, item=item, sent=list_of(item.sent))
    if node.kind == "struct":
        fields = {name: after_controls(child) for name, child in node.fields.items() if child.is_kept}
        return replace(node, fields=fields, sent=pa.struct([pa.field(name, child.sent) for name, child in fields.items()]))
    return node


def sent_type(node: Node, unknowns: Unknowns) -> pa.DataType:
    """Return the type that a node is read as, with the fields outside the catalog that have been met in it."""
    if node.kind == "struct":
        known = [pa.field(name, sent_type(child, unknowns)) for name, child in node.fields.items()]
        return pa.struct(known + [pa.field(name, kind) for name, kind in unknowns.fields.get(inside(node), {}).items()])
    if node.item is not None:
        return list_of(sent_type(node.item, unknowns))
    return node.sent


def list_of(kind: pa.DataType) -> pa.DataType:
    """Return the type of a list, its items named as in the lake's schema."""
    return pa.list_(pa.field("element", kind))


def inside(node: Node) -> Place:
    """Return the place of a struct node's own fields."""
    if node.place[-1:] == (ITEMS,):
        return node.place
    return (*node.place, node.name) if node.name else ()


def known_names(node: Node) -> set[str]:
    """Return the names of all fields at any depth, dropped ones too."""
    names = set(_type_names(node.sent))
    for name, child in node.fields.items():
        names |= {name} | known_names(child)
    return names | known_names(node.item) if node.item is not None else names


def _struct_node(column: Column, target: pa.DataType | None, tree: Tree | None, place: Place, *, plain: bool) -> Node:
    own = place if place[-1:] == (ITEMS,) else (*place, column.name)
    fields: dict[str, Node] = {}
    for child in column.fields:
        index = target.get_field_index(child.name) if target is not None else -1
        kind = target.field(index).type if target is not None and index >= 0 else None
        action = tree.get(child.name) if tree else None
        left_out = kind is None and action != "drop"
        fields[child.name] = _left_out(child, own) if left_out else build_node(child, kind, action, own, plain=plain)
    sent = pa.struct([pa.field(name, node.sent) for name, node in fields.items()])
    return Node(name=column.name, place=place, kind="struct", sent=sent, target=target, fields=fields)


def _left_out(column: Column, place: Place) -> Node:
    """Return the node of a column that the schema lacks, though nothing drops it whole (all of its fields are dropped).

    What else it holds has no column: only the careful way knows that.
    """
    return Node(name=column.name, place=place, kind="left out", sent=NOTHING)


def _sent_type(column: Column) -> pa.DataType:
    """Return the Arrow type that accepts exactly the JSON of a column; free-form values have none."""
    if column.type == "list" and column.item is not None:
        return list_of(_sent_type(column.item))
    if column.type == "struct":
        return pa.struct([pa.field(child.name, _sent_type(child)) for child in column.fields])
    kinds: dict[str, pa.DataType] = {
        "int64": pa.int64(),
        "bool": pa.bool_(),
        "double": pa.float64(),
        "decimal": pa.decimal128(38, 9),
        "json": NOTHING,
    }
    return kinds.get(column.type, pa.string())


def _convert(kind: str, target: pa.DataType | None, *, plain: bool) -> Convert:
    if kind == "decimal" and target is not None and pa.types.is_decimal(target):
        return values.ToDecimal(target.precision, target.scale, plain=plain)
    converts: dict[str, Convert] = {
        "int64": values.to_int64,
        "bool": values.to_bool,
        "string": values.to_string,
        "timestamp": values.to_timestamp,
        "date": values.to_date,
        "decimal": values.to_decimal_double,
        "double": values.to_double,
        "json": values.to_json,
    }
    return converts[kind]


def _type_names(kind: pa.DataType) -> list[str]:
    if pa.types.is_list(kind):
        return _type_names(kind.value_type)
    if not pa.types.is_struct(kind):
        return []
    return [name for child in (kind.field(at) for at in range(kind.num_fields)) for name in (child.name, *_type_names(child.type))]

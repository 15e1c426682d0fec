"""Two catalogs compared: entities that are new, gone or read in another way, columns that are new, gone or retyped.

Columns are named by path (`items[].cost`), so that a change deep inside a struct is shown where it is. New entities and
columns never break a lake; what is gone or retyped changes the schema of files to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from st_export.catalog.typetext import format_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from st_export.catalog.entity import Column, Entity
    from st_export.catalog.load import Catalog

_WAYS = ("kind", "path", "key", "modified", "created", "query", "alias_of", "per")
_WAYS_OF_ALIASES = ("kind", "path", "alias_of")
"""What is an alias's own; the rest is its entity's and shown there."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that has another value in the new catalog: what, the old and the new value, both as text."""

    what: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class EntityDiff:
    """What changed in one entity: columns (path and type) that are new or gone, retyped ones, and the ways to read it."""

    name: str
    new: tuple[tuple[str, str], ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    retyped: tuple[Change, ...] = ()
    reading: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.new or self.gone or self.retyped or self.reading)


@dataclass(frozen=True, slots=True)
class CatalogDiff:
    """What changed between two catalogs: names of entities that are new or gone, and what changed in those of both."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[EntityDiff, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.new or self.gone or self.changed)

    @property
    def only_adds(self) -> bool:
        """Return whether all changes are additions: a lake takes them without a break."""
        return not self.gone and not any(item.gone or item.retyped or item.reading for item in self.changed)


def diff(old: Catalog, new: Catalog) -> CatalogDiff:
    """Return what is new, gone or changed in `new`; a module that only `old` has was not in the documents and counts as kept."""
    modules = set(new.modules)
    before = {name: entity for name, entity in old.entities.items() if name.partition(".")[0] in modules}
    after = new.entities
    changes = (_entity_diff(before[name], after[name]) for name in sorted(before.keys() & after.keys()))
    return CatalogDiff(
        new=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(change for change in changes if change),
    )


def _entity_diff(old: Entity, new: Entity) -> EntityDiff:
    is_alias = old.alias_of is not None or new.alias_of is not None
    ways = _WAYS_OF_ALIASES if is_alias else _WAYS
    pairs = ((what, getattr(old, what), getattr(new, what)) for what in ways)
    reading = tuple(Change(what, str(before), str(after)) for what, before, after in pairs if before != after)
    if is_alias:
        return EntityDiff(new.name, reading=reading)
    was, now = dict(_leaves(old.columns)), dict(_leaves(new.columns))
    return EntityDiff(
        name=new.name,
        new=tuple((path, word) for path, word in now.items() if path not in was),
        gone=tuple((path, word) for path, word in was.items() if path not in now),
        retyped=tuple(Change(path, was[path], word) for path, word in now.items() if was.get(path, word) != word),
        reading=reading,
    )


def _leaves(columns: Iterable[Column], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return each column that is no struct, with its path and type, inside lists and structs too."""
    for column in columns:
        path, inner = f"{prefix}{column.name}", column
        while inner.item is not None:
            path, inner = f"{path}[]", inner.item
        if inner.type == "struct":
            yield from _leaves(inner.fields, f"{path}.")
        else:
            yield path, format_type(inner)

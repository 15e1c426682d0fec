"""Two catalogs compared: entities that are new, gone or read in another way, columns that are new, gone or retyped, reads left out.

Columns are named by path (`items[].cost`), so that a change deep inside a struct is shown where it is. New entities and
columns never break a lake; what is gone or retyped changes the schema of files to come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from st_export.catalog.typetext import format_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from st_export.catalog.entity import Column, Entity, Parent
    from st_export.catalog.load import Catalog

_WAYS = ("kind", "path", "key", "modified", "created", "query", "variants", "alias_of", "per")
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
    """What changed in one entity.

    Columns (path and type) that are new or gone, retyped ones, the ways to read it, and paths of sources that are new or gone.
    """

    name: str
    new: tuple[tuple[str, str], ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    retyped: tuple[Change, ...] = ()
    reading: tuple[Change, ...] = ()
    new_sources: tuple[str, ...] = ()
    gone_sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.new or self.gone or self.retyped or self.reading or self.new_sources or self.gone_sources)


@dataclass(frozen=True, slots=True)
class CatalogDiff:
    """What changed between two catalogs.

    Names of entities that are new or gone, what changed in those of both, and the reads that are left out: those that are so now
    (path and reason), those that are no longer, and other reasons (`what` is the path).
    """

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[EntityDiff, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    no_longer_left_out: tuple[tuple[str, str], ...] = ()
    other_reasons: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.new or self.gone or self.changed or self.left_out or self.no_longer_left_out or self.other_reasons)

    @property
    def only_adds(self) -> bool:
        """Return whether all changes are additions: a lake takes them without a break."""
        return not self.gone and not any(item.gone or item.retyped or item.reading or item.gone_sources for item in self.changed)


def diff(old: Catalog, new: Catalog) -> CatalogDiff:
    """Return what is new, gone or changed in `new`; a module that only `old` has was not in the documents and counts as kept."""
    modules = set(new.modules)
    before = {name: entity for name, entity in old.entities.items() if name.partition(".")[0] in modules}
    after = new.entities
    changes = (_entity_diff(before[name], after[name]) for name in sorted(before.keys() & after.keys()))
    was = {item.path: item.reason for item in old.left_out if item.path.split("/")[1] in modules}
    now = {item.path: item.reason for item in new.left_out}
    return CatalogDiff(
        new=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(change for change in changes if change),
        left_out=tuple((path, now[path]) for path in sorted(now.keys() - was.keys())),
        no_longer_left_out=tuple((path, was[path]) for path in sorted(was.keys() - now.keys())),
        other_reasons=tuple(Change(path, was[path], now[path]) for path in sorted(was.keys() & now.keys()) if was[path] != now[path]),
    )


def _entity_diff(old: Entity, new: Entity) -> EntityDiff:
    is_alias = old.alias_of is not None or new.alias_of is not None
    ways = _WAYS_OF_ALIASES if is_alias else _WAYS
    pairs = ((what, getattr(old, what), getattr(new, what)) for what in ways)
    reading = [Change(what, str(before), str(after)) for what, before, after in pairs if before != after]
    found = EntityDiff(
        name=new.name,
        new_sources=tuple(path for path in new.sources if path not in old.sources),
        gone_sources=tuple(path for path in old.sources if path not in new.sources),
    )
    if is_alias:
        return replace(found, reading=tuple(reading))
    if old.parents != new.parents:
        reading.append(Change("parents", _parents_text(old.parents), _parents_text(new.parents)))
    was, now = dict(_leaves(old.columns)), dict(_leaves(new.columns))
    return replace(
        found,
        new=tuple((path, word) for path, word in now.items() if path not in was),
        gone=tuple((path, word) for path, word in was.items() if path not in now),
        retyped=tuple(Change(path, was[path], word) for path, word in now.items() if was.get(path, word) != word),
        reading=tuple(reading),
    )


def _parents_text(parents: Iterable[Parent]) -> str:
    """Return where the ids come from: `jobId from jpm.jobs.id`."""
    texts = [f"{parent.parameter} from {f'{parent.entity}.{parent.column}' if parent.entity else 'parent_ids'}" for parent in parents]
    return ", ".join(texts) or "none"


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

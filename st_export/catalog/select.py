"""Which entities a run reads: full names and globs over names, the kinds that a glob may match, exclusions.

A full name has no glob character. `*` crosses dots. An alias stands for the entity that its rows come with.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from st_export.catalog.entity import Entity, Kind
    from st_export.catalog.load import Catalog

_GLOB = re.compile(r"[*?\[\]]")
_REPORTS = "report."


@dataclass(frozen=True, slots=True)
class Selected:
    """An entity that was selected; `named` says that a full name selected it, its own or an alias's."""

    entity: Entity
    named: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """What was selected, each entity once and no alias, in the catalog's order."""

    entities: tuple[Selected, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the entities, in order."""
        return tuple(item.entity.name for item in self.entities)


def is_glob(pattern: str) -> bool:
    """Return whether a pattern is a glob; what is none is a full name."""
    return _GLOB.search(pattern) is not None


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, None where none is like it; upper and lower case are taken as one."""
    spelt = {candidate.lower(): candidate for candidate in known}
    plain = _GLOB.sub("", name).lower().strip(".")
    close = difflib.get_close_matches(plain, spelt, n=1, cutoff=0.5)
    if close:
        return spelt[close[0]]
    last = plain.rpartition(".")[2]
    close = [candidate for candidate in spelt if last and last in candidate]
    return spelt[min(close, key=len)] if close else None


def select(
    catalog: Catalog, *, select: Sequence[str], exclude: Sequence[str] = (), kinds: Collection[Kind], extra: Sequence[Entity] = ()
) -> Selection:
    """Return the entities that `select` names or matches, without what `exclude` names or matches.

    A glob matches only entities of `kinds`; a full name always counts; exclusions always win. `extra` are entities that
    the catalog does not have (reports of the configuration). An alias counts as its entity; to exclude it by its full name
    excludes the entity, while a glob that matches only an alias leaves the entity that was selected otherwise.
    Raises `ConfigError` for a full name that is unknown, and for a glob that matches nothing or nothing of `kinds`.
    """
    known: dict[str, Entity] = {entity.name: entity for entity in (*catalog.entities.values(), *extra)}
    excluded = _excluded(exclude, known)
    chosen: dict[str, bool] = {}
    for pattern in select:
        named = not is_glob(pattern)
        matches = _matches(pattern, known)
        if not named:
            matches = _of_kinds(pattern, matches, known, kinds)
        for name in matches:
            target = _target(known[name], known).name
            if name not in excluded and target not in excluded:
                chosen[target] = chosen.get(target, False) or named
    return Selection(tuple(Selected(entity, chosen[name]) for name, entity in known.items() if name in chosen))


def _matches(pattern: str, known: Mapping[str, Entity]) -> list[str]:
    matches = [name for name in known if fnmatchcase(name, pattern)] if is_glob(pattern) else [pattern] if pattern in known else []
    if matches:
        return matches
    nearest = nearest_name(pattern, known)
    what = f"`{pattern}` matches no entity" if is_glob(pattern) else f"there is no entity `{pattern}`"
    raise ConfigError(what, hint=f"did you mean `{nearest}`?" if nearest else "`st-export entities` lists all of them")


def _excluded(patterns: Sequence[str], known: Mapping[str, Entity]) -> set[str]:
    """Return the names that are excluded; globs over reports may match nothing, as a configuration need not have any."""
    excluded: set[str] = set()
    for pattern in patterns:
        if not is_glob(pattern):
            excluded.update(_matches(pattern, known))
            excluded.add(_target(known[pattern], known).name)
        elif not pattern.startswith(_REPORTS) or any(name.startswith(_REPORTS) for name in known):
            excluded.update(_matches(pattern, known))
    return excluded


def _of_kinds(pattern: str, matches: list[str], known: Mapping[str, Entity], kinds: Collection[Kind]) -> list[str]:
    wanted = [name for name in matches if _target(known[name], known).kind in kinds]
    if wanted:
        return wanted
    found = sorted({_target(known[name], known).kind for name in matches})
    text = f"`{pattern}` matches only entities of kind {', '.join(found)}, which `kinds` leaves out"
    raise ConfigError(text, hint=f"add {', '.join(found)} to `kinds`, or name the entity in full, such as `{matches[0]}`")


def _target(entity: Entity, known: Mapping[str, Entity]) -> Entity:
    return known[entity.alias_of] if entity.alias_of is not None else entity

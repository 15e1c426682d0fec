"""From a path to the call it is, and from the call to the collection whose records it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from st_export.simulate import believable
from st_export.simulate.digest import Operation, load_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["feed", "list", "one", "part", "object", "value", "binary", "redirect", "report", "capacity"]


@dataclass(frozen=True, slots=True)
class Route:
    """A call: its kind, the collection it shows (`crm.customers`), the one its last id belongs to, and the record's shape.

    Kinds: `feed`, `list` (enveloped or bare, below a parent or not), `one` (by id), `part` (a single object below a parent),
    `object`, `value`, `binary` (bytes), `redirect` (to the blob store), `report` (all of reporting), `capacity`.
    """

    operation: Operation
    kind: Kind
    collection: str
    parent: str | None
    shape: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Return the path with its placeholders."""
        return self.operation.path


@dataclass(frozen=True, slots=True)
class Match:
    """A concrete path: its route, the tenant and the ids in it, outermost first."""

    route: Route
    tenant: str
    ids: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    wildcard: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


def name_of(path: str) -> str:
    """Return the dotted name of what lies at a path: module and segments, without tenant, ids and `export`."""
    segments = path.strip("/").split("/")
    parts = [each for each in segments[4:] if not each.startswith("{")]
    if parts and parts[0] == "export":
        parts = parts[1:]
    if parts and parts[-1] == "export":
        parts = parts[:-1]
    return ".".join([segments[0], *parts])


@lru_cache(maxsize=1)
def all_routes() -> tuple[Route, ...]:
    """Return the routes of every call of the digest."""
    operations = load_digest()
    names = {believable.ALIASES.get(name, name) for name in (name_of(each.path) for each in operations)}
    return tuple(_route(each, names) for each in operations)


def _route(operation: Operation, names: set[str]) -> Route:
    name = name_of(operation.path)
    segments = operation.path.split("/")
    places = [place for place, each in enumerate(segments) if each.startswith("{") and each != "{tenant}"]
    kind = _kind(operation, bool(places), segments)
    collection = believable.ALIASES.get(name, name)
    if operation.path.endswith("/contacts/relationships/{relationshipId}"):
        collection, kind = "crm.contacts", "list"
    parent = _parent("/".join(segments[: places[-1]]), names) if places and kind != "one" else None
    shape = operation.record if isinstance(operation.record, dict) else believable.UNVERIFIED
    if kind in ("feed", "list", "one"):
        shape = {**shape, **believable.EXTRAS.get(collection, {})}
    return Route(operation, kind, collection, parent, shape)


def _parent(prefix: str, names: set[str]) -> str:
    name = name_of(prefix)
    for known in (believable.PREFIX_PARENTS.get(name), believable.ALIASES.get(name)):
        if known is not None:
            return known
    return name if name in names else ""


def _kind(operation: Operation, has_ids: bool, segments: list[str]) -> Kind:
    ends_in_id = segments[-1].startswith("{")
    table: list[tuple[bool, Kind]] = [
        (segments[1] == "reporting", "report"),
        (operation.method == "POST", "capacity"),
        (operation.redirects, "redirect"),
        (operation.envelope == ("binary",) or operation.path.endswith("/jobs/attachment/{id}"), "binary"),
        ("export" in segments, "feed"),
        (operation.envelope in (("none",), ("{}",)) and ends_in_id, "one"),
        (operation.envelope == ("{}",) and has_ids, "part"),
        (operation.envelope == ("{}",), "object"),
        (operation.envelope == ("=",), "value"),
    ]
    return next((kind for holds, kind in table if holds), "list")


class Router:
    """Finds the route of a path; literal segments win over ids."""

    def __init__(self) -> None:
        self._root = _Node()
        self._known: dict[tuple[str, str], Match | None] = {}
        for route in all_routes():
            node = self._root
            for segment in route.path.split("/")[1:]:
                if segment.startswith("{"):
                    node.wildcard = node.wildcard or _Node()
                    node = node.wildcard
                else:
                    node = node.literals.setdefault(segment, _Node())
            node.routes[route.operation.method] = route

    def match(self, method: str, path: str) -> Match | None:
        """Return the call at a path, or None: unknown path or module, trailing slash."""
        key = (method, path)
        if key not in self._known:
            if len(self._known) > 50_000:
                self._known.clear()
            found = self._walk(self._root, path.split("/")[1:], 0, ())
            route = found[0].get(method) if found else None
            self._known[key] = Match(route, found[1][0], found[1][1:]) if found and route else None
        return self._known[key]

    def _walk(self, node: _Node, segments: list[str], place: int, ids: tuple[str, ...]) -> tuple[dict[str, Route], tuple[str, ...]] | None:
        if place == len(segments):
            return (node.routes, ids) if node.routes and ids else None
        segment = segments[place]
        if segment in node.literals:
            found = self._walk(node.literals[segment], segments, place + 1, ids)
            if found:
                return found
        if node.wildcard is not None and segment:
            return self._walk(node.wildcard, segments, place + 1, (*ids, segment))
        return None

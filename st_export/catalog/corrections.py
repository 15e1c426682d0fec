"""What the OpenAPI documents do not say, or say wrongly, as data: `data/corrections.json`, each fact with its source.

Names that would collide, aliases, keys without `id`, what is history, page sizes, types. A fact about a path or column that
a newer document no longer has is without effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.catalog.entity import Kind, Scalar


@dataclass(frozen=True, slots=True)
class SpecialRead:
    """A read whose kind does not follow from its path: a POST, or a binary. `records` is the property with its rows."""

    method: str
    kind: Kind
    records: str | None = None


@dataclass(frozen=True, slots=True)
class Retyping:
    """Columns (paths such as `items[].cost`) of one entity that arrive in another type than is declared."""

    columns: tuple[str, ...]
    type: Scalar


@dataclass(frozen=True, slots=True)
class Corrections:
    """All corrections, by what they are looked up with.

    `names`: path → name; `other_rows`: paths of sources whose rows have another shape; `reads`: path → special read;
    `aliases`: name → name of the bulk form; `left_out`: path → reason; `collections`: the collection before an id in a path →
    the entity that lists its ids; `history`: names of what happens; `entities`: name → fields of the entity or its paging;
    `types`: name → retypings.
    """

    names: dict[str, str] = field(default_factory=dict)
    other_rows: frozenset[str] = frozenset()
    reads: dict[str, SpecialRead] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    collections: dict[str, str] = field(default_factory=dict)
    history: frozenset[str] = frozenset()
    entities: dict[str, dict[str, Any]] = field(default_factory=dict)
    types: dict[str, tuple[Retyping, ...]] = field(default_factory=dict)

    @property
    def posts(self) -> frozenset[str]:
        """Return the full paths of the POSTs that are reads."""
        return frozenset(path for path, read in self.reads.items() if read.method == "POST")


def read_corrections(file: Path) -> Corrections:
    """Return the corrections of a file; it is the package's own, so what is wrong with it is a bug and raises as it is."""
    document = orjson.loads(file.read_bytes())
    return Corrections(
        names={item["path"]: item["name"] for item in document["names"]},
        other_rows=frozenset(item["path"] for item in document["other_rows"]),
        reads={item["path"]: SpecialRead(item["method"], item["kind"], item.get("records")) for item in document["reads"]},
        aliases={item["name"]: item["alias_of"] for item in document["aliases"]},
        left_out={item["path"]: item["reason"] for item in document["left_out"]},
        collections={item["collection"]: item["entity"] for item in document["collections"]},
        history=frozenset(document["history"]),
        entities=document["entities"],
        types=_retypings(document["types"]),
    )


def _retypings(items: list[dict[str, Any]]) -> dict[str, tuple[Retyping, ...]]:
    types: dict[str, tuple[Retyping, ...]] = {}
    for item in items:
        for entity in item["entities"]:
            types[entity] = (*types.get(entity, ()), Retyping(tuple(item["columns"]), item["type"]))
    return types

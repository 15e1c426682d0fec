"""A made-up tenant: its collections, made on first use, how they refer to each other, and what its records look like."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from st_export.simulate import believable
from st_export.simulate.render import Patch, Writer
from st_export.simulate.routes import Route, all_routes
from st_export.simulate.rows import Rows, Version
from st_export.simulate.texts import MOST_ROWS_OF_COLLECTION, MOST_ROWS_OF_PAGE, RecordTexts
from st_export.simulate.values import Array, Batch, below, guid_index, guid_text, mix, salt_of, seeds_of

if TYPE_CHECKING:
    from st_export.simulate.options import SimulateOptions

MADE_UP_PARENTS = 9
"""So many ids exist of parents that no call lists (routers, booking providers): 1 to this."""


class Tenant:
    """The data of one tenant; deterministic for a seed, a number of rows and an end of time (ticks)."""

    def __init__(self, tenant_id: int, options: SimulateOptions, end: int) -> None:
        self.id = tenant_id
        self.options = options
        self._end = end
        self._rows: dict[str, Rows] = {}
        self._writers: dict[str, Writer] = {}
        self._texts = RecordTexts()
        self._lock = threading.RLock()
        self._views: dict[str, list[Route]] = defaultdict(list)
        for route in all_routes():
            self._views[route.collection].append(route)

    # --- collections -----------------------------------------------------------------------------------------------

    def size(self, collection: str) -> int:
        """Return how many rows a collection was made up with."""
        counts = self.options.row_counts
        if collection in counts:
            return counts[collection]
        if collection in believable.SHARES:
            return max(3, round(self.options.rows * believable.SHARES[collection]))
        fixed = believable.FIXED.get(collection, believable.FIXED_DEFAULT)
        return fixed if self.options.rows else 0

    def rows(self, collection: str) -> Rows:
        """Return the rows of a collection, made up on first use."""
        with self._lock:
            if collection not in self._rows:
                self._rows[collection] = self._make(collection)
            return self._rows[collection]

    def _make(self, collection: str) -> Rows:
        seed = salt_of(f"{self.options.seed}/{self.id}/{collection}")
        rows = Rows(
            seed, self.size(collection), end=self._end, years=self.options.years,
            id_base=1_000_000 + salt_of(collection) % 900 * 100_000, disorder=self.options.feed_disorder,
            edited=self._tells_edits(collection),
        )  # fmt: skip
        parent = self.parent_of(collection)
        if parent is not None:
            count = self.size(parent) if parent else MADE_UP_PARENTS
            rows.parent[:] = _parents(rows.count, count, believable.TWINS.get(collection, 1))
        return rows

    def _tells_edits(self, collection: str) -> bool:
        """Return whether any view of the collection has a `modifiedOn`; where none has, rows are as they were created."""
        shapes = [{**route.shape, **route.shape.get("leadCall", {})} for route in self._views[collection]]
        return any("modifiedOn" in shape for shape in shapes)

    def parent_of(self, collection: str) -> str | None:
        """Return the collection that the rows of this one belong to; empty: one that no call lists; None: none."""
        if collection in believable.PARENTS:
            return believable.PARENTS[collection]
        parents = [
            route.parent for route in self._views[collection] if route.kind in ("list", "part", "value") and route.parent is not None
        ]
        own = [each for each in parents if each != collection]
        return own[0] if own else None

    def loaded(self) -> Mapping[str, Rows]:
        """Return the collections that somebody has asked for so far."""
        return dict(self._rows)

    def views(self, collection: str) -> Sequence[Route]:
        """Return the calls that show a collection."""
        return self._views[collection]

    def shows_deleted(self, collection: str) -> bool:
        """Return whether a feed shows deleted records of the collection, as inactive."""
        return any(route.kind == "feed" and "active" in route.shape for route in self._views[collection])

    def variant_of(self, collection: str) -> tuple[str, str, tuple[str, ...]] | None:
        """Return the field by whose value a view of the collection shows rows, its default, and all values; None where none does."""
        return next((view.operation.variant for view in self._views[collection] if view.operation.variant is not None), None)

    def has_active(self, collection: str) -> bool:
        """Return whether any view of the collection tells active from inactive."""
        return any("active" in route.shape or "active" in route.shape.get("leadCall", ()) for route in self._views[collection])

    # --- records ---------------------------------------------------------------------------------------------------

    def write(self, route: Route, rows: Array, versions: dict[int, Version] | None = None) -> list[str]:
        """Return records of a view as JSON texts; `versions` by position where not the current ones are meant."""
        with self._lock:
            held = self.rows(route.collection)
            if versions or held.history or len(rows) > MOST_ROWS_OF_PAGE or held.count > MOST_ROWS_OF_COLLECTION:
                return self._written(route, rows, versions)
            return self._texts.texts(route.path, rows, held.count, lambda block: self._written(route, block))

    def _written(self, route: Route, rows: Array, versions: dict[int, Version] | None = None) -> list[str]:
        batch, patches = self.rows(route.collection).batch(rows, versions)
        return self.writer(route).write(batch, patches)

    def write_object(self, route: Route, salt: str, parent: int = -1) -> str:
        """Return a single object that differs by `salt` (the query, the ids)."""
        with self._lock:
            index = np.array([salt_of(salt) % 1_000_003], dtype=np.int64)
            batch = self._batch(route.collection, index, np.array([parent], dtype=np.int64))
            return self.writer(route).write(batch, {})[0]

    def writer(self, route: Route) -> Writer:
        """Return the writer of a view."""
        if route.path not in self._writers:
            self._writers[route.path] = Writer(route.collection, route.shape, self, self.options.nested_items)
        return self._writers[route.path]

    def find(self, collection: str, text: str) -> int | None:
        """Return the row of a collection with this id, or None."""
        index = guid_index(text)
        if index is not None and self.id_is_text(collection):
            return index if index < self.rows(collection).count else None
        return self.rows(collection).find(text)

    def id_is_text(self, collection: str) -> bool:
        """Return whether ids of the collection are GUIDs or other texts."""
        return any(str(route.shape.get("id", "")).startswith(("guid", "string")) for route in self._views[collection])

    # --- links between collections ---------------------------------------------------------------------------------

    def refer(self, collection: str, target: str, batch: Batch, *, alone: bool = False) -> Array:
        """Return the index in `target` of each row's reference; `alone`: just some row of it."""
        if alone:
            return self._some(target, batch)
        if target not in batch.references:
            batch.references[target] = self._related(collection, target, batch)
        return batch.references[target]

    def _related(self, collection: str, target: str, batch: Batch) -> Array:
        parent = self.parent_of(collection)
        linked = bool(parent) and bool(len(batch)) and bool((batch.parent >= 0).all())
        if parent and linked and parent == target:
            return batch.parent
        if parent and linked and target in believable.KNOWN_THROUGH.get(parent, ()):
            return self.refer(parent, target, self.batch_of(parent, batch.parent))
        through = believable.THROUGH.get((collection, target))
        if through:
            return self.refer(through, target, self.batch_of(through, self.refer(collection, through, batch)))
        return self._some(target, batch)

    def _some(self, target: str, batch: Batch) -> Array:
        return below(mix(batch.seeds ^ np.uint64(salt_of(target))), max(self.size(target), 1))

    def id_texts(self, collection: str, index: Array) -> list[str]:
        """Return ids of rows as JSON texts."""
        if self.id_is_text(collection):
            own = salt_of(collection)
            return [f'"{guid_text(own, each)}"' for each in index.tolist()]
        return list(map(str, (index + (1_000_000 + salt_of(collection) % 900 * 100_000)).tolist()))

    def batch_of(self, collection: str, index: Array) -> Batch:
        """Return rows of a collection as they were made."""
        rows = self.rows(collection)
        known = np.minimum(index, max(rows.count - 1, 0))
        parents = rows.parent[known] if rows.count else np.full(len(index), -1, dtype=np.int64)
        return self._batch(collection, index, parents)

    def _batch(self, collection: str, index: Array, parents: Array) -> Batch:
        seeds = seeds_of(salt_of(f"{self.options.seed}/{self.id}/{collection}"), index)
        zeros = np.zeros(len(index), dtype=np.int64)
        times = zeros + self._end - below(seeds, 365 * 86_400) * 10_000_000
        return Batch(
            index=index, seeds=seeds, fresh=seeds_of(salt_of(f"{self.options.seed}/{self.id}/{collection}"), index, zeros), ids=index,
            created=times, modified=times, active=zeros == 0, parent=parents, references={}, revision=zeros,
        )  # fmt: skip


def _parents(count: int, parents: int, twins: int) -> Array:
    """Return each row's parent: growing with the row, `twins` rows for each parent that has any."""
    index = np.arange(count, dtype=np.int64)
    if not count or not parents:
        return np.zeros(count, dtype=np.int64)
    if count >= parents * twins:
        return index * parents // count
    return index // twins * twins * parents // count


Fields = Mapping[str, Any]
__all__ = ["MADE_UP_PARENTS", "Fields", "Patch", "Tenant"]

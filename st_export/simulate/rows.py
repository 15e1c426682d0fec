"""The records of one collection: who they are and when they changed, with every version ever shown.

What a record says beyond that is not stored: it is computed from its index and revision (`render`). Times are ticks of 100 ns.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from st_export.simulate.values import TICKS, Array, Batch, mix, seeds_of

if TYPE_CHECKING:
    from st_export.simulate.render import Patch

_DAY = 86_400 * TICKS
_ACTIVE_PER_CENT = 92


@dataclass(frozen=True, slots=True)
class Version:
    """A record as it was from `at` on. `deleted`: only a feed shows it still; `gone`: nothing does."""

    at: int
    created: int
    modified: int
    active: bool
    revision: int
    deleted: bool = False
    gone: bool = False
    patch: Patch | None = None


class Rows:
    """The records of a collection, made up from a seed, and changed afterwards.

    `log` is what a feed reads: the made-up rows in order of modification, then every change in the order it happened.
    """

    def __init__(self, seed: int, count: int, *, end: int, years: float, id_base: int, disorder: float = 0.0, edited: bool = True) -> None:
        random = np.random.default_rng(seed)
        self.seed = seed
        self.made_up = count
        self.count = count
        self.mutations = 0
        self.id_base = id_base
        self.ids: Array = np.arange(count, dtype=np.int64) + id_base
        self.created, self.modified = _times(random, count, end, years)
        if not edited:
            self.modified = self.created.copy()
        self.active: Array = random.integers(0, 100, count) < _ACTIVE_PER_CENT
        self.revision: Array = np.zeros(count, dtype=np.int64)
        self.listed: Array = np.ones(count, dtype=bool)
        self.parent: Array = np.full(count, -1, dtype=np.int64)
        self.history: dict[int, list[Version]] = {}
        self.changes: list[tuple[int, int]] = []
        """After the made-up rows: (row, which of its versions)."""
        self._own_ids: dict[str, int] = {}
        order_by = self.modified + self.late_by(random, count, disorder)
        self.order: Array = np.argsort(order_by, kind="stable")
        self.disordered = disorder > 0

    @staticmethod
    def late_by(random: np.random.Generator, count: int, share: float) -> Array:
        """Return by how many ticks each row stands too late in the feed: up to an hour for that share of the rows."""
        late = random.integers(0, 3_600 * TICKS, count)
        return np.where(random.random(count) < share, late, 0)

    def find(self, text: str) -> int | None:
        """Return the row with this id (as text), or None."""
        if text in self._own_ids:
            return self._own_ids[text]
        try:
            row = int(text) - self.id_base
        except ValueError:
            return None
        return row if 0 <= row < self.count and int(self.ids[row]) == int(text) else None

    def version(self, row: int) -> Version:
        """Return the current version of a row."""
        if row in self.history:
            return self.history[row][-1]
        return Version(int(self.modified[row]), int(self.created[row]), int(self.modified[row]), bool(self.active[row]), 0)

    def version_at(self, row: int, horizon: int) -> tuple[int, Version] | None:
        """Return which version of the row stood at a moment, or None where there was none yet."""
        versions = self.history.get(row)
        if versions is None:
            return (0, self.version(row)) if int(self.modified[row]) <= horizon else None
        shown = [place for place, each in enumerate(versions) if each.at <= horizon]
        return (shown[-1], versions[shown[-1]]) if shown else None

    def versions(self, row: int) -> list[Version]:
        """Return all versions of a row, the oldest first."""
        return self.history.get(row) or [self.version(row)]

    def add(self, version: Version, *, record_id: int | str | None = None, parent: int = -1) -> int:
        """Add a record; return its row."""
        row = self.count
        if row == len(self.ids):
            self._grow()
        self.count += 1
        self.ids[row] = record_id if isinstance(record_id, int) else self.id_base + row
        self._own_ids[str(record_id if record_id is not None else self.id_base + row)] = row
        self.parent[row] = parent
        self.history[row] = []
        self._show(row, version)
        return row

    def change(self, row: int, version: Version) -> None:
        """Give a record a new version."""
        if row not in self.history:
            self.history[row] = [self.version(row)]
        self._show(row, version)

    def remove(self, row: int, at: int) -> None:
        """Take a record away without a trace: no call shows it any more."""
        self.change(row, replace(self.version(row), at=at, gone=True, deleted=True))

    def _show(self, row: int, version: Version) -> None:
        self.history[row].append(version)
        self.changes.append((row, len(self.history[row]) - 1))
        self.created[row], self.modified[row] = version.created, version.modified
        self.active[row], self.revision[row] = version.active, version.revision
        self.listed[row] = not (version.deleted or version.gone)
        self.mutations += 1

    def _grow(self) -> None:
        extra = max(64, len(self.ids) // 4)
        for name in ("ids", "created", "modified", "active", "revision", "listed", "parent"):
            array = getattr(self, name)
            setattr(self, name, np.concatenate([array, np.zeros(extra, dtype=array.dtype)]))

    def batch(self, rows: Array, versions: dict[int, Version] | None = None) -> tuple[Batch, dict[int, Patch]]:
        """Return rows ready to be written, and the patches by position; `versions` (by position) replace the current ones."""
        created, modified = self.created[rows].copy(), self.modified[rows].copy()
        active, revision = self.active[rows].copy(), self.revision[rows].copy()
        patches: dict[int, Patch] = {}
        current = versions or {}
        if self.history:
            current = {
                **{place: self.history[row][-1] for place, row in enumerate(rows.tolist()) if row in self.history},
                **current,
            }
        for place, each in current.items():
            created[place], modified[place], active[place], revision[place] = each.created, each.modified, each.active, each.revision
            if each.patch is not None:
                patches[place] = each.patch
        batch = Batch(
            index=rows, seeds=seeds_of(self.seed, rows), fresh=seeds_of(self.seed, rows, revision), ids=self.ids[rows],
            created=created, modified=modified, active=active, parent=self.parent[rows], references={}, revision=revision,
        )  # fmt: skip
        return batch, patches

    def log_start(self, since: int | None) -> int:
        """Return the first place of the log that may hold a record modified at `since` or later."""
        if since is None or not self.made_up:
            return 0
        if not self.disordered and not self.history:
            return bisect_right(_Key(self.modified, self.order), since - 1)
        late = np.flatnonzero(self.modified[self.order] >= since)
        return int(late[0]) if len(late) else self.made_up

    def log_page(self, place: int, horizon: int, since: int | None, most: int) -> tuple[list[tuple[int, int]], int, bool]:
        """Return up to `most` (row, version) pairs from a place of the log, the place after, and whether more is there by then."""
        found: list[tuple[int, int]] = []
        end = self.made_up + len(self.changes)
        while place < end:
            row, number = (int(self.order[place]), 0) if place < self.made_up else self.changes[place - self.made_up]
            at = self.history[row][number].at if row in self.history else int(self.modified[row])
            if at > horizon:
                return found, place, False
            if len(found) == most:
                return found, place, True
            standing = self.version_at(row, horizon)
            if standing is not None and standing[0] == number and not standing[1].gone and (since is None or standing[1].modified >= since):
                found.append((row, number))
            place += 1
        return found, place, False

    def recent_place(self, horizon: int, place: int) -> int:
        """Return the first place before `place` whose change is younger than `horizon`: where repeats begin."""
        while place > 0:
            row, number = (int(self.order[place - 1]), 0) if place <= self.made_up else self.changes[place - 1 - self.made_up]
            at = self.history[row][number].at if row in self.history else int(self.modified[row])
            if at <= horizon:
                break
            place -= 1
        return place

    def pick(self, number: int) -> int | None:
        """Return a listed row for a random number, or None where there is none."""
        listed = np.flatnonzero(self.listed[: self.count])
        return int(listed[number % len(listed)]) if len(listed) else None


class _Key:
    """The modification times in the order of the log, as a sequence to search in."""

    def __init__(self, modified: Array, order: Array) -> None:
        self._modified, self._order = modified, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> int:
        return int(self._modified[self._order[place]])


def _times(random: np.random.Generator, count: int, end: int, years: float) -> tuple[Any, Any]:
    """Return creation and modification times: created over the years, most edited within days, some much later."""
    start = end - int(years * 365.25) * _DAY
    created = np.sort(random.integers(start, max(end - 60 * TICKS, start + 1), count))
    kind = random.random(count)
    soon = created + (random.exponential(1.0, count) * _DAY).astype(np.int64)
    later = created + ((end - created) * random.random(count)).astype(np.int64)
    modified = np.where(kind < 0.25, created, np.where(kind < 0.85, soon, later))
    modified = np.where(modified > end - TICKS, np.maximum(created, end - TICKS - (modified % (1_800 * TICKS))), modified)
    digits = mix(created.astype(np.uint64)) % np.uint64(50)
    coarse = np.select([digits < 1, digits < 2, digits < 3, digits < 5], [TICKS, 100_000, 1_000, 10], 1)
    created = created // coarse * coarse
    return created, np.maximum(modified // coarse * coarse, created)

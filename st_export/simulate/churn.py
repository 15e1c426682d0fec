"""Records that change while they are being read: by hand, or so many after every so many requests, by seed."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from st_export.simulate import believable
from st_export.simulate.clock import SimulatedClock, ticks_of
from st_export.simulate.render import Patch
from st_export.simulate.routes import all_routes, name_of
from st_export.simulate.rows import Version
from st_export.simulate.tenant import MADE_UP_PARENTS, Tenant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class Changes:
    """Changes the records of tenants. Moments are aware times; `None` is the look-alike's now.

    `at` is when the change shows (with the feeds' lag on top): by default `modified_on` where that lies in the past, else now.
    """

    def __init__(self, tenants: Mapping[int, Tenant], clock: SimulatedClock, seed: int) -> None:
        self._tenants = tenants
        self._clock = clock
        self._dice = random.Random(f"churn/{seed}")  # noqa: S311 - reproducible changes, no secrets
        self._last = 0

    def collection(self, where: str) -> str:
        """Return the collection of a name (`jpm.jobs`) or of a path of any call that shows it.

        Raises:
            KeyError: no such collection.

        """
        known = {route.path: route.collection for route in all_routes()} | {route.collection: route.collection for route in all_routes()}
        if where in known:
            return known[where]
        return known[name_of(where)]

    def add(
        self, where: str, fields: Mapping[str, Any] | None = None, *, tenant: int | None = None, record_id: int | str | None = None,
        parent: str | int | None = None, modified_on: datetime | None = None, created_on: datetime | None = None,
        at: datetime | None = None, active: bool = True, whole: bool = False,
    ) -> str:  # fmt: skip
        """Add a record and return its id; `fields` replace made-up ones (`whole`: the record is just them, bytes are JSON verbatim)."""
        owner, name = self._tenant(tenant), self.collection(where)
        rows = owner.rows(name)
        modified = ticks_of(modified_on) if modified_on else self._now()
        created = ticks_of(created_on) if created_on else modified
        patch = Patch(dict(fields), whole=whole) if fields is not None else None
        version = Version(self._at(modified, at), created, modified, active, 0, patch=patch)
        row = rows.add(version, record_id=record_id, parent=self._parent(owner, name, parent))
        return str(record_id) if record_id is not None else self.id_of(owner, name, row)

    def modify(
        self, where: str, record_id: int | str, fields: Mapping[str, Any] | None = None, *, tenant: int | None = None,
        modified_on: datetime | None = None, keep_modified: bool = False, at: datetime | None = None, active: bool | None = None,
    ) -> None:  # fmt: skip
        """Give a record other content; `keep_modified`: without touching `modifiedOn`.

        Raises:
            KeyError: no such record.

        """
        owner, name = self._tenant(tenant), self.collection(where)
        self._modify(owner, name, self._row(owner, name, record_id), fields, modified_on, keep_modified=keep_modified, at=at, active=active)

    def bulk_edit(
        self, where: str, modified_on: datetime, *, tenant: int | None = None, record_ids: Sequence[int | str] | None = None,
        count: int | None = None,
    ) -> int:  # fmt: skip
        """Edit many records (the first `count`, or all) with one `modifiedOn`; return how many."""
        owner, name = self._tenant(tenant), self.collection(where)
        rows = owner.rows(name)
        chosen = (
            [self._row(owner, name, each) for each in record_ids]
            if record_ids is not None
            else [row for row in range(rows.count) if rows.listed[row]][:count]
        )
        for row in chosen:
            self._modify(owner, name, row, None, modified_on)
        return len(chosen)

    def deactivate(self, where: str, record_id: int | str, *, tenant: int | None = None) -> None:
        """Make a record inactive, as people do who merge customers."""
        self.modify(where, record_id, tenant=tenant, active=False)

    def delete(self, where: str, record_id: int | str, *, tenant: int | None = None) -> None:
        """Delete a record: lists and ids lose it; a feed that knows `active` shows it as inactive."""
        owner, name = self._tenant(tenant), self.collection(where)
        self._delete(owner, name, self._row(owner, name, record_id))

    def remove(self, where: str, record_id: int | str, *, tenant: int | None = None) -> None:
        """Take a record away without a trace."""
        owner, name = self._tenant(tenant), self.collection(where)
        owner.rows(name).remove(self._row(owner, name, record_id), self._now())

    def clear(self, where: str, *, tenant: int | None = None) -> None:
        """Take all records of a collection away, before anybody has read them."""
        owner, name = self._tenant(tenant), self.collection(where)
        rows = owner.rows(name)
        for row in range(rows.count):
            rows.remove(row, 0)

    def churn(self, records: int, *, tenant: int | None = None, deletes: bool = True) -> int:
        """Change some records of what has been read so far: six in ten edited, three added, one deleted; return how many."""
        owner = self._tenant(tenant)
        names = sorted(
            name for name, rows in owner.loaded().items() if rows.count and any(v.kind in ("feed", "list") for v in owner.views(name))
        )
        for _ in range(records if names else 0):
            name = self._dice.choice(names)
            row = owner.rows(name).pick(self._dice.randrange(1 << 30))
            what = self._dice.random()
            keyed_by_others = name in believable.KEYS  # a new row would repeat the key of an old one
            if row is None or (what >= 0.7 and not keyed_by_others):
                self.add(name, tenant=owner.id)
            elif what < 0.6 or keyed_by_others or not deletes:
                self._modify(owner, name, row, None, None, active=None if self._dice.random() < 0.9 else False)
            else:
                self._delete(owner, name, row)
        return records if names else 0

    def id_of(self, owner: Tenant, collection: str, row: int) -> str:
        """Return a row's id as text."""
        if owner.id_is_text(collection):
            return owner.id_texts(collection, owner.rows(collection).ids[row : row + 1] * 0 + row)[0].strip('"')
        return str(int(owner.rows(collection).ids[row]))

    def _modify(
        self, owner: Tenant, name: str, row: int, fields: Mapping[str, Any] | None, modified_on: datetime | None, *,
        keep_modified: bool = False, at: datetime | None = None, active: bool | None = None,
    ) -> None:  # fmt: skip
        rows = owner.rows(name)
        old = rows.version(row)
        modified = old.modified if keep_modified else ticks_of(modified_on) if modified_on else self._now()
        patch = old.patch
        if fields is not None:
            patch = Patch({**(patch.fields if patch else {}), **fields}, whole=bool(patch and patch.whole))
        shows = self._now() if keep_modified and at is None else self._at(modified, at)
        rows.change(row, replace(
            old, at=max(shows, old.at), modified=modified, revision=old.revision + 1, patch=patch,
            active=old.active if active is None else active, deleted=False,
        ))  # fmt: skip

    def _delete(self, owner: Tenant, name: str, row: int) -> None:
        rows, now = owner.rows(name), self._now()
        if not owner.shows_deleted(name):
            rows.remove(row, now)
            return
        old = rows.version(row)
        rows.change(row, replace(old, at=now, modified=now, active=False, deleted=True, revision=old.revision + 1))

    def _tenant(self, tenant: int | None) -> Tenant:
        return self._tenants[tenant] if tenant is not None else next(iter(self._tenants.values()))

    def _row(self, owner: Tenant, name: str, record_id: int | str) -> int:
        row = owner.find(name, str(record_id))
        if row is None:
            raise KeyError(f"{name} has no record {record_id}")
        return row

    def _parent(self, owner: Tenant, name: str, parent: str | int | None) -> int:
        collection = owner.parent_of(name)
        if collection is None:
            return -1
        if not collection:
            return int(parent) - 1 if parent is not None else self._dice.randrange(MADE_UP_PARENTS)
        if parent is not None:
            return self._row(owner, collection, parent)
        return self._dice.randrange(max(owner.rows(collection).count, 1))

    def _at(self, modified: int, at: datetime | None) -> int:
        if at is not None:
            return ticks_of(at)
        return min(modified, self._clock.ticks())

    def _now(self) -> int:
        """Return now, later than any now before: no two changes share a time by accident."""
        self._last = max(self._last + 1, self._clock.ticks())
        return self._last

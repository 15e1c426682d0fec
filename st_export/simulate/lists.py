"""Lists: pages by number over what the filters leave, as it is at that moment: offsets shift when records change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from st_export.simulate import believable
from st_export.simulate.answers import Answer, invalid, problem
from st_export.simulate.calls import Call, written
from st_export.simulate.clock import parse_ticks
from st_export.simulate.tenant import MADE_UP_PARENTS
from st_export.simulate.values import Array, below, mix, salt_of, seeds_of, variants

if TYPE_CHECKING:
    from collections.abc import Callable

    from st_export.simulate.rows import Rows

DEFAULT_PAGE_SIZE = 50
MAXIMUM_IDS = 50
_CONFLICTING = ("crm.customers", "crm.locations")
"""Parents that answer 409 for their contacts while they are inactive."""

_BOUNDS: dict[str, tuple[str, Callable[[Array, int], Array]]] = {
    "createdonorafter": ("created", lambda times, bound: times >= bound),
    "createdbefore": ("created", lambda times, bound: times < bound),
    "modifiedonorafter": ("modified", lambda times, bound: times >= bound),
    "modifiedbefore": ("modified", lambda times, bound: times < bound),
    "modifiedonorbefore": ("modified", lambda times, bound: times <= bound),
    "createdafter": ("created", lambda times, bound: times >= bound),
    "modifiedafter": ("modified", lambda times, bound: times >= bound),
    "submittedonorafter": ("created", lambda times, bound: times >= bound),
    "submittedbefore": ("created", lambda times, bound: times < bound),
    "fromutc": ("created", lambda times, bound: times >= bound),
    "toutc": ("created", lambda times, bound: times < bound),
    "fromdate": ("created", lambda times, bound: times >= bound),
    "todate": ("created", lambda times, bound: times <= bound),
}


class Refused(Exception):
    """The call is refused with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Paging:
    page: int
    size: int


async def list_page(call: Call) -> Answer:
    """Answer a call of a list or of a collection below a parent.

    Raises:
        Refused: a missing or wrong parameter (400), a parent that is gone (404) or inactive (409).

    """
    check_required(call)
    paging = _paging(call)
    route = call.match.route
    below_a_parent = route.parent is not None and route.path.count("{") > 1 and route.collection != "crm.contacts"
    parent = parent_row(call) if below_a_parent else None
    key = (call.match.route.path, call.match.tenant, call.match.ids, tuple(sorted(call.query.items())), call.rows.mutations,
           tuple(sorted(call.faults)))  # fmt: skip
    kept = call.cache.get(key)
    if kept is not None:
        return kept
    chosen = (key[0], key[1], parent, tuple(each for each in key[3] if each[0] not in ("page", "pagesize")), *key[4:])
    found = call.cache.selection(chosen, lambda: _selected(call, parent))
    shown = found[(paging.page - 1) * paging.size : paging.page * paging.size]
    answer = await written(len(shown), lambda: _write(call, paging, found, shown))
    call.cache.put(key, answer)
    return answer


def check_required(call: Call) -> None:
    """Refuse a call that lacks a required parameter, or a bound where one is demanded."""
    operation = call.match.route.operation
    missing = [name for name in operation.required if call.asked(name) in (None, "")]
    if missing:
        raise Refused(
            problem(400, "One or more validation errors occurred.", {name: [f"The {name} field is required."] for name in missing})
        )
    bounds = believable.NEEDS_BOUND.get(operation.path, ())
    if bounds and not any(call.asked(name) for name in bounds):
        raise Refused(invalid("modifiedOnOrAfter", "A modification bound or ids are required."))


def parent_row(call: Call) -> int:
    """Return the row of the parent that the path names.

    Raises:
        Refused: no such parent (404), or an inactive one whose contacts are asked for (409).

    """
    route, text = call.match.route, call.match.ids[-1] if call.match.route.kind != "one" else call.match.ids[0]
    if not route.parent:
        if text.isdigit() and 1 <= int(text) <= MADE_UP_PARENTS:
            return int(text) - 1
        raise Refused(problem(404, "Parent not found"))
    row = call.tenant.find(route.parent, text)
    parents = call.tenant.rows(route.parent)
    if row is None or not parents.listed[row]:
        raise Refused(problem(404, "Parent not found"))
    if (
        route.path.endswith("}/contacts")
        and route.parent in _CONFLICTING
        and call.options.inactive_parent_conflicts
        and not parents.active[row]
    ):
        raise Refused(problem(409, "The entity is inactive."))
    return row


def _paging(call: Call) -> _Paging:
    operation = call.match.route.operation
    if not any(name.lower() == "page" for name in operation.query):
        return _Paging(1, 1 << 40)
    page, size = _number(call, "page", 1), _number(call, "pageSize", DEFAULT_PAGE_SIZE)
    if page < 1:
        if "custom-fields" in operation.path:
            raise Refused(invalid("page", "The page must be 1 or more."))
        page = 1
    size = size if size > 0 else DEFAULT_PAGE_SIZE
    if size > operation.max_page_size:
        if call.options.page_size_over_maximum == "refuse":
            raise Refused(invalid("pageSize", f"The maximum is {operation.max_page_size}."))
        size = operation.max_page_size
    return _Paging(page, size)


def _number(call: Call, name: str, default: int) -> int:
    text = call.asked(name)
    if text is None or text == "":
        return default
    try:
        return int(text)
    except ValueError:
        raise Refused(invalid(name, f"The value '{text}' is not valid.")) from None


def _selected(call: Call, parent: int | None) -> Array:
    """Return the rows that the filters leave, in the order asked for."""
    rows = call.rows
    count = rows.count
    keep = rows.listed[:count].copy()
    if parent is not None:
        keep &= rows.parent[:count] == parent
    if "ignore-filters" not in call.faults:
        keep &= _active(call, rows)
        for name, (times, holds) in _BOUNDS.items():
            bound = _bound(call, name)
            if bound is not None:
                keep &= holds(getattr(rows, times)[:count], bound)
        keep &= _by_ids(call, rows)
        keep &= _of_variant(call, rows)
        segment = call.asked("performanceSegmentationType")
        if segment is not None:
            keep &= below(mix(seeds_of(rows.seed, np.arange(count))), 3) == salt_of(segment.lower()) % 3
    return _sorted(call, rows, np.flatnonzero(keep))


def _bound(call: Call, name: str) -> int | None:
    text = call.asked(name)
    if not text:
        return None
    bound = parse_ticks(text)
    offset_refused = call.match.route.path.endswith("/submissions") and not text.upper().endswith("Z") and "T" in text.upper()
    if bound is None or offset_refused:
        raise Refused(invalid(name, f"The value '{text}' is not valid."))
    return bound


def _active(call: Call, rows: Rows) -> Array:
    active = rows.active[: rows.count]
    everything = np.ones(rows.count, dtype=bool)
    operation = call.match.route.operation
    if operation.active is None:
        hides = "active" not in call.match.route.shape and call.tenant.shows_deleted(call.match.route.collection)
        return active if hides else everything
    name, default = operation.active
    value = (call.asked(name) or default).lower()
    if name == "includeInactive":
        return everything if value == "true" else active
    if name == "activeOnly":
        return active if value == "true" else everything
    wanted = {"true": active, "activeonly": active, "false": ~active, "inactiveonly": ~active, "any": everything, "all": everything}
    if value not in wanted:
        raise Refused(invalid(name, f"The value '{value}' is not valid."))
    return wanted[value]


def _of_variant(call: Call, rows: Rows) -> Array:
    """Return the mask of the rows that are shown for what is asked, or for the default where it is not."""
    keep = np.ones(rows.count, dtype=bool)
    collection, index = call.match.route.collection, np.arange(rows.count)
    name, needed = believable.HIDDEN_UNLESS.get(collection, (None, ""))
    if name is not None and (call.asked(name) or "").lower() != needed.lower():
        keep &= below(mix(seeds_of(rows.seed, index) ^ np.uint64(salt_of(name))), 8) > 0
    variant = call.match.route.operation.variant
    if variant is None:
        return keep
    values = [value.lower() for value in variant[2]]
    asked = (call.asked(variant[0]) or variant[1]).lower()
    if asked not in values:
        raise Refused(invalid(variant[0], f"The value '{asked}' is not valid."))
    shown = variants(seeds_of(rows.seed, index), *variant)
    for row, versions in rows.history.items():
        own = versions[-1].patch.fields.get(variant[0]) if versions[-1].patch is not None else None
        if own is not None:
            shown[row] = variant[2].index(own) if own in variant[2] else -1
    of_it: Array = shown == values.index(asked)
    return keep & of_it


def _by_ids(call: Call, rows: Rows) -> Array:
    keep = np.ones(rows.count, dtype=bool)
    parent = call.tenant.parent_of(call.match.route.collection)
    for name in call.match.route.operation.query:
        lower = name.lower()
        text = call.asked(name)
        target = believable.REFERENCES.get(name.removesuffix("s"))
        of_parent = parent is not None and (
            target == parent or (lower == "ids" and "jobId" in believable.KEYS.get(call.match.route.collection, ()))
        )
        if not text or not (lower == "ids" or of_parent):
            continue
        wanted = [each.strip() for each in text.split(",") if each.strip()]
        if lower == "ids" and len(wanted) > MAXIMUM_IDS:
            raise Refused(invalid(name, f"The maximum is {MAXIMUM_IDS} items."))
        found = [call.tenant.find(parent if of_parent and parent else call.match.route.collection, each) for each in wanted]
        known = np.array([each for each in found if each is not None], dtype=np.int64)
        keep &= np.isin(rows.parent[: rows.count] if of_parent else np.arange(rows.count), known)
    return keep


def _sorted(call: Call, rows: Rows, found: Array) -> Array:
    operation = call.match.route.operation
    text = call.asked("sort") or call.asked("orderBy") or call.asked("sortBy")
    ids = rows.ids[found]
    if not text:
        return found[np.argsort(ids, kind="stable")]
    descending = text.startswith("-") or (call.asked("orderByDirection") or "").lower().startswith("desc") or call.flag("descending")
    field = text[1:] if text[0] in "+-" else text
    name = next((each for each in operation.sort if each.lower() == field.lower()), None)
    if name is None or (text[0] == "+" and "/telecom/v3/" in operation.path):
        raise Refused(invalid("sort", f"The field '{text}' cannot be sorted by."))
    by = {"Id": ids, "Location": rows.parent[found], "CreatedOn": rows.created[found], "ModifiedOn": rows.modified[found]}.get(name)
    if by is None:
        dates = name in ("SubmittedOn", "PublishDate", "Date")
        by = rows.created[found] if dates else below(mix(seeds_of(rows.seed, found) ^ np.uint64(salt_of(name))), 1 << 40)
    if name == "ModifiedOn" and call.match.route.collection in believable.UNSORTED_BY_MODIFIED:
        by = by + below(mix(seeds_of(rows.seed, found)), 3_600 * 10_000_000)
    order = np.lexsort((ids, by))
    return found[order[::-1] if descending else order]


def _write(call: Call, paging: _Paging, found: Array, shown: Array) -> Answer:
    route = call.match.route
    records = ",".join(call.tenant.write(route, shown))
    names = route.operation.envelope
    if names == ("[]",) or "bare-array" in call.faults:
        return Answer(200, f"[{records}]".encode(), rows=len(shown))
    total = str(len(found)) if call.flag("includeTotal") else "null"
    fields = {
        "page": str(paging.page), "pageSize": str(min(paging.size, 1 << 31)),
        "hasMore": "true" if paging.page * paging.size < len(found) else "false", "totalCount": total, "data": f"[{records}]",
    }  # fmt: skip
    order = names if "data" in names else tuple(fields)
    return Answer(200, ("{" + ",".join(f'"{name}":{fields[name]}' for name in order) + "}").encode(), rows=len(shown))

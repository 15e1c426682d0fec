"""What is not a feed or a list: records by id, single objects, bare values, bytes, redirects to the blob store, capacity."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import orjson

from st_export.simulate.answers import Answer, invalid, json_answer, problem
from st_export.simulate.clock import parse_ticks
from st_export.simulate.lists import Refused, check_required, parent_row
from st_export.simulate.values import salt_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from st_export.simulate.calls import Call

_CAPACITY_DAYS = 14
_MISSING_ONE_IN = 5
"""One recording in so many does not exist; one blob in twice as many."""


def one(call: Call) -> Answer:
    """Answer a call by id."""
    rows, route = call.rows, call.match.route
    row = call.tenant.find(route.collection, call.match.ids[-1])
    if row is None:
        row = _by_field(call)
    if row is None or not rows.listed[row]:
        raise Refused(problem(404, "Not found"))
    return Answer(200, call.tenant.write(route, np.array([row]))[0].encode(), rows=1)


def _by_field(call: Call) -> int | None:
    """Return the row whose field, named like the path's last placeholder, has the value asked for (`{email}`)."""
    route = call.match.route
    name = route.path.rsplit("{", 1)[1].rstrip("}")
    name = "name" if name == "preferenceName" else name
    if name not in route.shape or name == "id":
        return None
    rows = call.rows
    batch, _ = rows.batch(np.arange(rows.count))
    wanted = orjson.dumps(call.match.ids[-1]).decode()
    values = call.tenant.writer(route).values(batch, name)
    return values.index(wanted) if wanted in values else None


def part(call: Call) -> Answer:
    """Answer a call for the single object below a parent."""
    check_required(call)
    parent = parent_row(call)
    rows, route = call.rows, call.match.route
    below_it = np.flatnonzero((rows.parent[: rows.count] == parent) & rows.listed[: rows.count])
    if not len(below_it):
        if route.parent and not route.operation.required:
            raise Refused(problem(404, "Not found"))
        return Answer(200, call.tenant.write_object(route, "/".join(call.match.ids), parent).encode(), rows=1)
    return Answer(200, call.tenant.write(route, below_it[:1])[0].encode(), rows=1)


def single(call: Call) -> Answer:
    """Answer a call for a single object; it differs by its query, as cost summaries do by their range."""
    check_required(call)
    text = "&".join(f"{name}={value}" for name, value in sorted(call.query.items()) if call.asked(name) is not None)
    for name in ("from", "to"):
        value = call.asked(name)
        if value is not None and parse_ticks(value) is None:
            raise Refused(invalid(name, f"The value '{value}' is not valid."))
    return Answer(200, call.tenant.write_object(call.match.route, text).encode(), rows=1)


def value(call: Call) -> Answer:
    """Answer a call for a bare value: a location's preferred technician, or null."""
    parent = parent_row(call)
    technicians = call.tenant.rows("settings.technicians")
    text = "null" if parent % 3 == 0 else str(int(technicians.ids[parent % max(technicians.count, 1)]))
    return Answer(200, text.encode(), rows=1)


def binary(call: Call) -> Answer:
    """Answer a call for bytes: a recording, a voicemail, a form's attachment; not every call has one."""
    rows = call.rows
    parent = call.match.route.parent
    row = call.tenant.find(parent, call.match.ids[-1]) if parent else call.tenant.find(call.match.route.collection, call.match.ids[-1])
    row = row if row is not None else call.tenant.find("telecom.calls", call.match.ids[-1])
    if row is None or salt_of(f"{rows.seed}/{call.match.route.path}/{row}") % _MISSING_ONE_IN == 0:
        raise Refused(problem(404, "Not found"))
    kind = "application/octet-stream" if "attachment" in call.match.route.path else "audio/mpeg"
    return Answer(200, blob_bytes(f"{call.tenant.id}/{call.match.route.path}/{row}"), kind, rows=1)


def redirect(call: Call, blob_url: str) -> Answer:
    """Answer a call for a file by path: a redirect to the blob store, with a signature in the query."""
    path = call.asked("path")
    if not path:
        raise Refused(invalid("path", "The path field is required."))
    if salt_of(path) % (2 * _MISSING_ONE_IN) == 0:
        raise Refused(problem(404, "Not found"))
    location = f"{blob_url}/{call.tenant.id}/{quote(path)}?sig={signature(call.tenant.id, path)}"
    return Answer(302, b"", None, {"Location": location})


def signature(tenant: int, path: str) -> str:
    """Return the signature that the blob store asks for."""
    return hashlib.sha256(f"{tenant}/{path}".encode()).hexdigest()[:24]


def blob_bytes(name: str) -> bytes:
    """Return the made-up content of a file: 2 to 10 kB, different for each name."""
    digest = hashlib.sha256(name.encode()).digest()
    return b"ID3" + digest * (64 + digest[0])


def capacity(call: Call) -> Answer:
    """Answer the capacity of the days asked for (at most 14): a snapshot, hour by hour."""
    try:
        asked = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise Refused(invalid("body", "The body is not valid JSON.")) from None
    if not isinstance(asked, dict) or "skillBasedAvailability" not in asked:
        raise Refused(invalid("skillBasedAvailability", "The field is required."))
    first, last = _moment(asked, "startsOnOrAfter"), _moment(asked, "endsOnOrBefore")
    if last < first or last - first > timedelta(days=_CAPACITY_DAYS, seconds=1):
        raise Refused(invalid("endsOnOrBefore", f"The range is at most {_CAPACITY_DAYS} days."))
    slots = []
    moment = first.replace(minute=0, second=0, microsecond=0)
    while moment < last:
        if 8 <= moment.hour < 18:
            slots.append(_slot(call, moment))
        moment += timedelta(hours=2)
    stamp = datetime.fromtimestamp(call.clock.seconds(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json_answer({"timeStamp": stamp, "availabilities": slots})


def _moment(asked: Mapping[str, object], name: str) -> datetime:
    ticks = parse_ticks(str(asked.get(name, "")))
    if ticks is None:
        raise Refused(invalid(name, "The field is required and is a date."))
    return datetime.fromtimestamp(ticks / 10_000_000, UTC)


def _slot(call: Call, moment: datetime) -> dict[str, object]:
    end = moment + timedelta(hours=2)
    number = salt_of(f"{call.options.seed}/{call.tenant.id}/{moment.isoformat()}")
    units = call.tenant.rows("settings.business-units").ids[: 1 + number % 3].tolist()
    people = call.tenant.rows("settings.technicians")
    return {
        "start": moment.strftime("%Y-%m-%dT%H:%M:%S"), "end": end.strftime("%Y-%m-%dT%H:%M:%S"),
        "startUtc": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "endUtc": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "businessUnitIds": units, "totalAvailability": number % 9, "openAvailability": number % 5,
        "technicians": [{"id": each, "name": f"Technician {each % 100}", "status": "Available", "hasRequiredSkills": True}
                        for each in people.ids[: number % 3].tolist()],
        "isAvailable": number % 5 > 0, "isExceedingIdealBookingPercentage": number % 7 == 0,
    }  # fmt: skip


def day_of(text: str) -> date | None:
    """Return a bare date, or None where the text is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

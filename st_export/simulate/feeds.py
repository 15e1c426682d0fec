"""Export feeds: a chain of opaque tokens over a log of changes, behind the present by the lag."""

from __future__ import annotations

import base64
import binascii
import itertools
from dataclasses import dataclass

import numpy as np
import orjson

from st_export.simulate.answers import Answer, invalid
from st_export.simulate.calls import Call, written
from st_export.simulate.clock import TICKS_A_SECOND, parse_ticks
from st_export.simulate.values import salt_of

_serials = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token stands: a place in the log, and the bound of the date that the chain began with."""

    place: int
    since: int | None


class FeedTokens:
    """Writes and reads tokens; knows which are still good."""

    def __init__(self) -> None:
        self._generation: dict[str, int] = {}
        self._newest: dict[str, str] = {}
        self._refused_all = 0

    def refuse(self, feed: str | None = None) -> None:
        """Let all tokens given so far be unusable, of one feed (`1001/crm/…` path with the tenant in front) or of all."""
        if feed is None:
            self._refused_all += 1
        else:
            self._generation[feed] = self._generation.get(feed, 0) + 1

    def write(self, feed: str, place: Place, *, unique: bool = False) -> str:
        """Return the token of a place; `unique`: another text each time."""
        parts = (salt_of(feed), self._age(feed), place.place, "" if place.since is None else place.since, next(_serials) if unique else 0)
        token = base64.b64encode(("feed>>" + "?".join(map(str, parts))).encode()).decode()
        self._newest[feed] = token
        return token

    def read(self, feed: str, token: str, *, newest_only: bool) -> Place | None:
        """Return the place of a token, or None where it is no good token of this feed."""
        try:
            parts = base64.b64decode(token, validate=True).decode().removeprefix("feed>>").split("?")
            owner, age, place = int(parts[0]), int(parts[1]), int(parts[2])
            since = int(parts[3]) if parts[3] else None
        except (binascii.Error, UnicodeDecodeError, ValueError, IndexError):
            return None
        if owner != salt_of(feed) or age != self._age(feed) or (newest_only and self._newest.get(feed) not in (None, token)):
            return None
        return Place(place, since)

    def _age(self, feed: str) -> int:
        return self._generation.get(feed, 0) + self._refused_all


async def feed_page(call: Call, tokens: FeedTokens) -> Answer:
    """Answer a call of a feed."""
    feed = f"{call.match.tenant}{call.match.route.path}"
    rows = call.rows
    given = call.asked("from")
    start = Place(0, None)
    if given:
        read = None if "refuse-token" in call.faults else tokens.read(feed, given, newest_only=call.options.newest_token_only)
        since = parse_ticks(given) if read is None else None
        if read is None and since is None:
            return invalid("from", "The continuation token or date is not valid.")
        start = read or Place(0 if "ignore-filters" in call.faults else rows.log_start(since), since)
    if "empty-page" in call.faults:
        return Answer(200, _envelope(call, [], more=True, token=tokens.write(feed, start, unique=True)))
    return await _page(call, tokens, feed, start, given)


async def _page(call: Call, tokens: FeedTokens, feed: str, start: Place, given: str | None) -> Answer:
    rows, now = call.rows, call.clock.ticks()
    lag = int(call.options.feed_lag_seconds * TICKS_A_SECOND)
    recent = call.flag("includeRecentChanges")
    horizon = now if recent else now - lag
    since = None if "ignore-filters" in call.faults else start.since
    found, place, more = rows.log_page(start.place, horizon, since, call.options.feed_page_rows)
    after = rows.recent_place(now - lag, place) if recent and not more else place
    unique = call.options.newest_token_only
    token = tokens.write(feed, Place(after, start.since if more else None), unique=unique)
    if "repeat-token" in call.faults:
        more, token = True, given or token
    key = (feed, start.place, place, since, more, token, horizon if rows.history else 0, rows.mutations, call.asked("active"))
    kept = call.cache.get(key)
    if kept is not None:
        return kept
    answer = await written(len(found), lambda: _write(call, found, more=more, token=token))
    call.cache.put(key, answer)
    return answer


def _write(call: Call, found: list[tuple[int, int]], *, more: bool, token: str) -> Answer:
    rows = call.rows
    versions = {place: rows.history[row][number] for place, (row, number) in enumerate(found) if row in rows.history}
    records = call.tenant.write(call.match.route, np.array([row for row, _ in found], dtype=np.int64), versions)
    active = call.match.route.operation.active
    wanted = (call.asked("active") or active[1]).lower() if active else "any"
    if wanted != "any":
        states = [versions[place].active if place in versions else bool(rows.active[row]) for place, (row, _) in enumerate(found)]
        records = [record for record, state in zip(records, states, strict=True) if state == (wanted == "true")]
    return Answer(200, _envelope(call, records, more=more, token=token), rows=len(records))


def _envelope(call: Call, records: list[str], *, more: bool, token: str) -> bytes:
    fields = {"hasMore": "true" if more else "false", "continueFrom": orjson.dumps(token).decode(), "data": f"[{','.join(records)}]"}
    names = call.match.route.operation.envelope
    order = names if "data" in names else tuple(fields)
    return ("{" + ",".join(f'"{name}":{fields[name]}' for name in order) + "}").encode()

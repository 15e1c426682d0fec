"""What it costs to capture fields that the catalog does not know: the same bytes, decoded with and without the catalog knowing them.

Jobs of the look-alike bear three unknown fields in every record (a text, a flag, a list of numbers), appointments a list of objects. Beside
that, the same pages against a catalog that has these fields as columns, so that nothing is left for `_rescued`.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from benchmarks.lookalike import look_alike, timed
from st_export.catalog.entity import Column, Entity
from st_export.catalog.load import load_catalog
from st_export.catalog.schema import entity_schema
from st_export.decode.decoder import Decoder
from st_export.decode.parse import read_envelope
from st_export.flow import Page, Request
from st_export.run.memory import settle_allocators
from st_export.simulate.options import SimulateOptions

FEEDS = ("jpm.jobs", "jpm.appointments")


def measure(rows: int = 50_000, rounds: int = 7) -> dict[str, Any]:
    """Return MB a second of both for each feed, and how much longer the capture takes in percent."""
    options = SimulateOptions(row_counts=dict.fromkeys(FEEDS, rows), years=0.1, requests_per_second=0, feed_lag_seconds=0, gzip=False)
    with look_alike(options) as running:
        out = timed([sys.executable, "-m", "benchmarks.rescue", str(running.info_file), str(rounds)]).stdout
    found: dict[str, Any] = json.loads(out)
    return found


def _decode_all(info: dict[str, Any], rounds: int) -> dict[str, Any]:
    catalog, found = load_catalog(), {}
    for name in FEEDS:
        entity = catalog.entities[name]
        pages = _pages(info, entity)
        knowing = replace(entity, columns=(*entity.columns, *_unknown_columns(entity, pages)))
        size = sum(len(page.body) for page in pages) / 1e6
        times: dict[str, list[float]] = {"rescued": [], "known": []}
        both = [("rescued", entity), ("known", knowing)]
        for _ in range(rounds):
            for label, one in both:
                times[label].append(_seconds(one, pages))
            both.reverse()
        rescued, known = median(times["rescued"]), median(times["known"])
        found[name] = {
            "mb_a_second_rescued": round(size / rescued, 1),
            "mb_a_second_known": round(size / known, 1),
            "cost_percent": round(100 * (rescued - known) / known, 1),
        }
    return found


def _seconds(entity: Entity, pages: list[Page]) -> float:
    decoder = Decoder(entity, entity_schema(entity, "decimal"))
    began = time.process_time()
    for page in pages:
        for _ in decoder.decode(page):
            pass
    return time.process_time() - began


def _unknown_columns(entity: Entity, pages: list[Page]) -> list[Column]:
    """Return the fields that the catalog lacks as columns of it, by what the records hold."""
    known = {column.name for column in entity.columns}
    values: dict[str, list[Any]] = {}
    for page in pages:
        for record in orjson.loads(page.body)["data"]:
            for name in [name for name in record if name not in known]:
                values.setdefault(name, []).append(record[name])
    return [_column(name, found) for name, found in values.items()]


def _column(name: str, values: list[Any]) -> Column:
    present = [value for value in values if value is not None]
    if any(isinstance(value, list) for value in present):
        return Column(name, "list", item=_column("", [item for value in present for item in value]))
    if any(isinstance(value, dict) for value in present):
        names = dict.fromkeys(key for value in present for key in value)
        return Column(name, "struct", fields=tuple(_column(key, [value.get(key) for value in present]) for key in names))
    kinds = {type(value) for value in present}
    if kinds <= {bool}:
        return Column(name, "bool")
    if kinds <= {int}:
        return Column(name, "int64")
    return Column(name, "decimal" if kinds <= {int, float} else "string")


def _pages(info: dict[str, Any], entity: Entity) -> list[Page]:
    tenant = info["tenants"][0]
    form = urlencode({"grant_type": "client_credentials", "client_id": tenant["client_id"], "client_secret": tenant["client_secret"]})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    token = json.load(opener.open(info["auth_url"], form.encode()))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "ST-App-Key": tenant["app_key"]}
    pages, start, has_more = [], "", True
    while has_more:
        url = info["api_url"] + entity.path.replace("{tenant}", str(tenant["id"])) + (f"?from={quote(start, safe='')}" if start else "")
        body = opener.open(urllib.request.Request(url, headers=headers)).read()
        envelope = read_envelope(body)
        pages.append(Page(Request(entity.name, ""), body, envelope, datetime.now(UTC)))
        start, has_more = envelope.continue_from or "", bool(envelope.has_more)
    return pages


if __name__ == "__main__":
    settle_allocators()  # as the program does
    with open(sys.argv[1]) as file:  # noqa: PTH123 - a path of our own
        told = json.load(file)
    print(json.dumps(_decode_all(told, int(sys.argv[2]))))

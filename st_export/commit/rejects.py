"""What could not be read, kept raw with its request and the reason, so that nothing the service sent is lost.

One JSON file a unit; what is no text, or long, lies in a file of its own beside it. Names are functions of the unit: a repeat
replaces them. A service may echo a secret, so all of a reject passes a scrubber on its way to disk. This module leaves out who
rejects what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from st_export.commit import paths
from st_export.flow import Json, utc_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from st_export.commit.store import Store
    from st_export.flow import Reject

Scrub = Callable[[bytes], bytes]
"""Returns a text without secrets."""

VERSION = 1

INLINE_BYTES = 64 << 10
"""Up to here a raw text stands in the JSON; a longer one (a whole page) would make that file unreadable for a person."""


@dataclass(frozen=True, slots=True)
class RejectsOf:
    """Where rejects come from: tenant, entity, the unit's name or another safe name, and the run."""

    tenant: int
    entity: str
    unit: str
    run: str


def unchanged(text: bytes) -> bytes:
    """Return the text as it is: the scrubber where there are no secrets."""
    return text


async def write_rejects(store: Store, source: RejectsOf, rejects: Sequence[Reject], at: datetime, scrub: Scrub = unchanged) -> str | None:
    """Write rejects durably, scrubbed, and return the path of their JSON file, None where there are none.

    Raises `ValueError` for a unit's name that may not stand in a path, `StoreError`.
    """
    if not rejects:
        return None
    stem = f"{paths.rejects(source.entity, source.tenant)}/{paths.checked_name(source.unit)}"
    listed: list[dict[str, Json]] = []
    for number, reject in enumerate(rejects):
        request, reason, raw = scrub(reject.request.encode()).decode(), scrub(reject.reason.encode()).decode(), scrub(reject.raw)
        entry: dict[str, Json] = {"request": request, "reason": reason, "bytes": len(raw)}
        text = _as_text(raw)
        if text is None:
            raw_path = f"{stem}-{number:04d}.raw"
            await store.write(raw_path, raw)
            entry |= {"raw_file": raw_path, "sha256": hashlib.sha256(raw).hexdigest()}
        else:
            entry["raw"] = text
        listed.append(entry)
    document = {
        "version": VERSION,
        "tenant": source.tenant,
        "entity": source.entity,
        "unit": source.unit,
        "run_id": source.run,
        "rejected_at": utc_text(at),
        "rejects": listed,
    }
    await store.write(f"{stem}.json", orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return f"{stem}.json"


def _as_text(raw: bytes) -> str | None:
    if len(raw) > INLINE_BYTES:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None

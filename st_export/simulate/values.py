"""Made-up values, computed from hashes of (seed, row, field): any row can be written at any time, alike, without being stored.

All functions work on whole batches of rows through numpy, as tens of thousands of records a second are needed.
Texts are JSON already (strings quoted).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

Array = np.ndarray[Any, Any]
TICKS = 10_000_000
"""Ticks of 100 ns in a second: the precision of the service's times."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(slots=True)
class Batch:
    """Rows to be written: one entry a row in every array. `root` are the positions in the batch of top-level rows.

    `index` is the row's number in its collection; `seeds` its hash; `fresh` the hash that changes with each revision.
    """

    index: Array
    seeds: Array
    fresh: Array
    ids: Array
    created: Array
    modified: Array
    active: Array
    parent: Array
    references: dict[str, Array]
    revision: Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.index)

    def repeated(self, lengths: Array, salt: int) -> Batch:
        """Return the batch of the items of nested lists: row `i` repeated `lengths[i]` times, each with hashes of its own."""
        starts = np.cumsum(lengths) - lengths
        place = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
        step = (place.astype(np.uint64) + np.uint64(salt + 1)) * _GOLDEN
        ids = np.repeat(self.index, lengths) * 16 + place + salt % 9000 * 1_000_000
        return Batch(
            index=np.repeat(self.index, lengths),
            seeds=mix(np.repeat(self.seeds, lengths) ^ step),
            fresh=mix(np.repeat(self.fresh, lengths) ^ step),
            ids=ids,
            created=np.repeat(self.created, lengths),
            modified=np.repeat(self.modified, lengths),
            active=np.repeat(self.active, lengths),
            parent=np.repeat(self.parent, lengths),
            references={name: np.repeat(values, lengths) for name, values in self.references.items()},
            revision=np.repeat(self.revision, lengths),
        )


Leaf = Callable[[Batch], list[str]]
"""Writes one field of all rows of a batch as JSON texts."""


def salt_of(text: str) -> int:
    """Return a stable number for a name."""
    return zlib.crc32(text.encode())


def mix(values: Array) -> Array:
    """Return well-mixed 64-bit hashes of 64-bit numbers (splitmix64)."""
    mixed = values + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def seeds_of(seed: int, index: Array, revision: Array | None = None) -> Array:
    """Return the hash of each row of a collection whose own number is `seed`."""
    base = index.astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    if revision is not None:
        base = base + revision.astype(np.uint64) * np.uint64(0xA0761D6478BD642F)
    return mix(base)


def drawn(batch: Batch, salt: int, *, fresh: bool = True) -> Array:
    """Return one hash a row for a field; `fresh` ones change with the row's revision."""
    return mix((batch.fresh if fresh else batch.seeds) ^ np.uint64(salt * 0x9E3779B1 & 0xFFFFFFFFFFFF))


def below(hashes: Array, limit: int) -> Array:
    """Return the hashes as numbers in `[0, limit)`."""
    return (hashes % np.uint64(limit)).astype(np.int64)


def variants(seeds: Array, name: str, default: str, values: Sequence[str]) -> Array:
    """Return which of a field's values each row has for good: the default for half of the rows, any for the rest."""
    hashes = mix(seeds ^ np.uint64(salt_of(name)))
    return np.where(below(hashes, 2) == 0, values.index(default), below(hashes >> np.uint64(8), len(values)))


def pool(texts: Sequence[str]) -> Array:
    """Return texts as a pool of JSON strings to pick from."""
    encoded = np.empty(len(texts), dtype=object)
    encoded[:] = [orjson.dumps(text).decode() for text in texts]
    return encoded


def picked(choices: Array, salt: int) -> Leaf:
    """Return a leaf that picks one of the choices."""
    count = len(choices)

    def leaf(batch: Batch) -> list[str]:
        return list(choices[below(drawn(batch, salt), count)].tolist())

    return leaf


def constant(text: str) -> Leaf:
    """Return a leaf that is the same in all rows."""
    return lambda batch: [text] * len(batch)


def numbers(salt: int, low: int, high: int) -> Leaf:
    """Return a leaf of whole numbers in `[low, high)`."""
    return lambda batch: list(map(str, (below(drawn(batch, salt), high - low) + low).tolist()))


def decimals(salt: int, whole: int, places: int, *, quoted: bool = False) -> Leaf:
    """Return a leaf of decimals below `whole`; those with more than 4 places show a short value filled with zeros."""
    mark = '"' if quoted else ""
    used = min(places, 2)
    scale = 10**used
    layout = f"{mark}%d.%0{used}d{'0' * (places - used)}{mark}"

    def leaf(batch: Batch) -> list[str]:
        values = below(drawn(batch, salt), whole * scale)
        values[below(values.astype(np.uint64), 11) == 0] = 0
        return [layout % pair for pair in zip((values // scale).tolist(), (values % scale).tolist(), strict=True)]

    return leaf


def quantities(salt: int) -> Leaf:
    """Return a leaf of quantities with the 19 places that the service stores."""
    return lambda batch: [f"{value}.{'0' * 19}" for value in (below(drawn(batch, salt), 9) + 1).tolist()]


def doubles(salt: int) -> Leaf:
    """Return a leaf of floating-point numbers below 100."""
    return lambda batch: [repr(value / 997) for value in below(drawn(batch, salt), 99_700).tolist()]


def sentences(salt: int, openings: Array, endings: Array) -> Leaf:
    """Return a leaf of short texts that hardly repeat: an opening, a number, an ending (pools of JSON strings)."""
    first = [text[1:-1] for text in openings.tolist()]
    last = [text[1:-1] for text in endings.tolist()]

    def leaf(batch: Batch) -> list[str]:
        hashes = drawn(batch, salt)
        start = below(hashes, len(first)).tolist()
        end = below(hashes >> np.uint64(16), len(last)).tolist()
        middle = below(hashes >> np.uint64(32), 1_000_000).tolist()
        return [f'"{first[i]} {n} {last[j]}"' for i, n, j in zip(start, middle, end, strict=True)]

    return leaf


def layouts(salt: int, layout: str, *limits: int) -> Leaf:
    """Return a leaf that fills whole numbers below each limit into a %-layout."""

    def leaf(batch: Batch) -> list[str]:
        hashes = drawn(batch, salt)
        columns = [below(hashes >> np.uint64(11 * place), limit).tolist() for place, limit in enumerate(limits)]
        return [layout % row for row in zip(*columns, strict=True)]

    return leaf


def with_nulls(leaf: Leaf, salt: int, per_cent: int) -> Leaf:
    """Return the leaf with `null` in so many of a hundred rows."""

    def nullable(batch: Batch) -> list[str]:
        texts = leaf(batch)
        for place in np.flatnonzero(below(drawn(batch, salt ^ 0x5A5A), 100) < per_cent).tolist():
            texts[place] = "null"
        return texts

    return nullable


def flags(salt: int) -> Leaf:
    """Return a leaf of true and false."""
    return picked(np.array(["true", "false"], dtype=object), salt)


def guid_text(salt: int, index: int) -> str:
    """Return a GUID that holds the row's index in its last group."""
    return f"{salt:08x}-{salt % 65521:04x}-4{salt % 4093:03x}-8{salt % 4079:03x}-{index:012x}"


def guid_index(text: str) -> int | None:
    """Return the index that `guid_text` put in, or None where the text is no GUID."""
    parts = text.split("-")
    try:
        return int(parts[4], 16) if len(parts) == 5 else None
    except ValueError:
        return None


def time_texts(ticks: Array) -> list[str]:
    """Return times as the service writes them: UTC with `Z`, up to 7 fractional digits, trailing zeros dropped."""
    seconds = np.datetime_as_string((ticks // TICKS).astype("datetime64[s]")).tolist()
    fractions = (ticks % TICKS).tolist()
    return [
        f'"{text}Z"' if not fraction else f'"{text}.{fraction:07d}'.rstrip("0") + 'Z"'
        for text, fraction in zip(seconds, fractions, strict=True)
    ]

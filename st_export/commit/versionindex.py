"""Which versions the lake may hold, as 64-bit hashes: sorted runs in one local file, the newest of them in memory.

Each hash bears a number of its source, the file or files that hold the row. Runs know the range of modification times in
them, so that a look-up of new rows passes over old ones. 10 million versions take 120 MB of disk and a few MB of memory.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.commit.sameness import Hashes

MEMORY_ENTRIES = 1 << 15
"""Hashes kept in memory, 12 bytes each (0.4 MB), before they become a run on disk."""

MOST_SEGMENTS = 32
"""Sorted pieces in memory before they are merged: a look-up searches each."""

Range = tuple[int, int]
"""The least and greatest modification time, microseconds from 1970; rows without one count as `NO_TIME`."""

NO_TIME = -(1 << 63)
"""Stands for a missing modification time, before all others."""


@dataclass(frozen=True, slots=True)
class _Segment:
    hashes: Hashes
    sources: np.ndarray
    times: Range


@dataclass(frozen=True, slots=True)
class _Run:
    offset: int
    entries: int
    times: Range


class VersionIndex:
    """Hashes and their sources. Used by one thread at a time; `close` removes the file."""

    def __init__(self, spool: Path, *, memory_entries: int = MEMORY_ENTRIES) -> None:
        self.entries = 0
        self._path = spool / f"versions-{secrets.token_hex(8)}.index"
        self._memory_entries = memory_entries
        self._segments: list[_Segment] = []
        self._runs: list[_Run] = []
        self._file: BinaryIO | None = None
        self._end = 0

    def add(self, hashes: Hashes, source: int, times: Range) -> None:
        """Add the hashes of a source's rows, whose modification times lie in `times`. Raises `OSError` for a full spool."""
        if len(hashes) == 0:
            return
        self.entries += len(hashes)
        self._segments.append(_Segment(np.sort(hashes), np.full(len(hashes), source, dtype=np.uint32), times))
        if sum(len(segment.hashes) for segment in self._segments) > self._memory_entries:
            self._to_disk(_merged(self._segments))
            self._segments = []
        elif len(self._segments) > MOST_SEGMENTS:
            self._segments = [_merged(self._segments)]

    def find(self, hashes: Hashes, times: Range) -> dict[int, Hashes]:
        """Return, by source, which of these hashes it has.

        Args:
            hashes: sorted, each once.
            times: the range of modification times of the rows that they stand for.

        """
        found: dict[int, list[Hashes]] = {}
        for segment in self._segments:
            if _overlap(segment.times, times):
                _collect(found, hashes, segment.hashes, segment.sources)
        for run in self._runs:
            if _overlap(run.times, times):
                self._find_in_run(found, hashes, run)
        return {source: np.unique(np.concatenate(parts)) for source, parts in found.items()}

    def close(self) -> None:
        """Free memory and disk; may be called again."""
        self._segments, self._runs = [], []
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)

    def _find_in_run(self, found: dict[int, list[Hashes]], hashes: Hashes, run: _Run) -> None:
        known = self._read(run.offset, run.entries, np.dtype(np.uint64))
        places = np.searchsorted(known, hashes)
        if not (known[np.minimum(places, run.entries - 1)] == hashes).any():
            return
        _collect(found, hashes, known, self._read(run.offset + 8 * run.entries, run.entries, np.dtype(np.uint32)))

    def _read(self, offset: int, count: int, kind: np.dtype[np.uint64] | np.dtype[np.uint32]) -> np.ndarray:
        assert self._file is not None  # noqa: S101 -- there is no run without a file
        self._file.seek(offset)
        return np.frombuffer(self._file.read(count * kind.itemsize), dtype=kind)

    def _to_disk(self, segment: _Segment) -> None:
        if self._file is None:
            self._file = self._path.open("x+b")
        self._file.seek(self._end)
        self._file.write(segment.hashes.tobytes())
        self._file.write(segment.sources.tobytes())
        self._file.flush()
        self._runs.append(_Run(self._end, len(segment.hashes), segment.times))
        self._end += 12 * len(segment.hashes)


def _merged(segments: list[_Segment]) -> _Segment:
    hashes = np.concatenate([segment.hashes for segment in segments])
    sources = np.concatenate([segment.sources for segment in segments])
    order = np.argsort(hashes, kind="stable")
    times = (min(segment.times[0] for segment in segments), max(segment.times[1] for segment in segments))
    return _Segment(hashes[order], sources[order], times)


def _collect(found: dict[int, list[Hashes]], wanted: Hashes, known: Hashes, sources: np.ndarray) -> None:
    first, last = np.searchsorted(known, wanted, side="left"), np.searchsorted(known, wanted, side="right")
    hit = np.flatnonzero(last > first)
    if len(hit) == 0:
        return
    counts = last[hit] - first[hit]
    places = np.repeat(first[hit] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    matched = np.repeat(wanted[hit], counts)
    for source in np.unique(sources[places]).tolist():
        found.setdefault(source, []).append(matched[sources[places] == source])


def _overlap(one: Range, other: Range) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]

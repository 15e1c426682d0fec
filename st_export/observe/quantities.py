"""Numbers as people read them: counts with separators, `1m 04s`, bytes in MB, the age of a moment."""

from __future__ import annotations


def count_text(number: int) -> str:
    """Return a count with separators: `1,234,567`."""
    return f"{number:,}"


def seconds_text(seconds: float) -> str:
    """Return a duration: `0.4s`, `12s`, `1m 04s`, `2h 05m`, `3d 04h`."""
    whole = round(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def bytes_text(size: int) -> str:
    """Return a size in MB, with one decimal below 100 MB: `0.4 MB`, `1,204 MB`."""
    megabytes = size / 1e6
    return f"{megabytes:.1f} MB" if megabytes < 100 else f"{megabytes:,.0f} MB"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return a count with its noun: `1 file`, `1,204 files`, `3 entities`."""
    return f"{count_text(number)} {noun if number == 1 else nouns or noun + 's'}"

"""The figures of `results/*.json` as one Markdown table, printed or written into the README.

    python -m benchmarks.table            prints it
    python -m benchmarks.table --write    puts it between the two marks in README.md

A result is one JSON object a file. `command` is what measured it; `figures` (name: value) is what the README shows, without it every
number of the object does. Nothing is shown that no file holds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- figures: python -m benchmarks.table --write -->\n", "<!-- end of figures -->\n"
HEADER = "| benchmark | figure | value | measured by |\n|---|---|---|---|\n"


def table(results: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """Return the table of (name, result) pairs; an empty text where there is no figure."""
    lines = [
        f"| {name} | {figure} | {_spelled(value)} | `{result.get('command', 'make bench')}` |\n"
        for name, result in results
        for figure, value in _figures(result.get("figures", result))
    ]
    return HEADER + "".join(lines) if lines else ""


def read_results(folder: Path = RESULTS) -> list[tuple[str, dict[str, Any]]]:
    """Return (name, result) of every file, by name."""
    return [(path.stem, orjson.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))]


def written_into(page: str, text: str) -> str:
    """Return the page with the table between its marks.

    Raises:
        ValueError: the page has no marks.

    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN.strip()} or {END.strip()}")
    return f"{head}{BEGIN}{text}{END}{tail}"


def _figures(result: dict[str, Any], before: str = "") -> Iterator[tuple[str, float | str]]:
    for name, value in result.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{before}{name}, ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}".replace("_", " "), value


def _spelled(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Print the table, or write it into the README."""
    text = table(read_results())
    if "--write" in sys.argv[1:]:
        README.write_text(written_into(README.read_text(encoding="utf-8"), text), encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()

"""Tables for people: the one way in which columns are set, and the table at the end of a run with its failures and totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from st_export.observe.quantities import bytes_text, count_text, plural, seconds_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.console import Console

    from st_export.observe.progress import EntityProgress, Progress

_STATUS_STYLES = {"failed": "bold red", "skipped": "yellow", "refused": "yellow", "stale": "yellow"}
_GAP = "  "


def print_table(console: Console, headers: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[str] = ()) -> None:
    """Print a table; the columns named in `numbers` stand to the right.

    On a terminal it fits the width and a status word has its colour; elsewhere it is plain aligned text in which nothing is cut.
    """
    right = set(numbers)
    if console.is_terminal:
        console.print(_drawn(headers, rows, right))
    else:
        console.file.write(aligned_text(headers, list(rows), right))


def _drawn(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STATUS_STYLES.get(cell, "")) for cell in row))
    return table


def aligned_text(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> str:
    """Return a table as lines of aligned text, a line of hyphens below the headers, no blanks at the ends of lines."""
    widths = [max(cell_len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for header, cell, width in zip(headers, cells, widths, strict=True):
            blanks = " " * (width - cell_len(cell))
            padded.append(blanks + cell if header in right else cell + blanks)
        return _GAP.join(padded).rstrip() + "\n"

    return line(headers) + line(["-" * width for width in widths]) + "".join(line(row) for row in rows)


def print_final(console: Console, progress: Progress, *, quiet: bool = False, most: int | None = None) -> None:
    """Print what a run brought: a table of the entities, the failures with hints, one line of totals.

    Quiet: the failures only. Entities that brought nothing and went well are counted, not listed. With `most` only so many are
    listed, those with the most rows. Nor are those listed that did not end and brought nothing: above them would stand why.
    """
    entities = progress.finished_entities()
    shown = [entity for entity in entities if entity.rows_written or entity.status not in ("ok", None)]
    unread = sum(entity.status is None and not entity.rows_written for entity in entities)
    idle = len(entities) - len(shown) - unread
    smaller = max(len(shown) - most, 0) if most is not None else 0
    if smaller:
        shown = sorted(shown, key=lambda entity: -entity.rows_written)[:most]
    if not quiet and shown:
        _print_entities(console, shown, several_tenants=len({entity.tenant for entity in entities}) > 1)
    if not quiet and smaller:
        console.print(f"and {plural(smaller, 'smaller one')}", highlight=False)
    if not quiet and idle:
        console.print(f"{plural(idle, 'entity', 'entities')} had nothing new.", highlight=False)
    if not quiet and unread:
        console.print(f"{plural(unread, 'entity', 'entities')} did not end and brought nothing.", highlight=False)
    _print_failures(console, [entity for entity in entities if entity.status == "failed"])
    if not quiet:
        console.print(totals_line(progress), highlight=False, soft_wrap=True)


def _print_entities(console: Console, entities: Sequence[EntityProgress], *, several_tenants: bool) -> None:
    headers = ["entity", "rows", "new files", "seconds", "status"]
    rows = [
        [entity.name, count_text(entity.rows_written), count_text(entity.files), f"{entity.seconds():.1f}", entity.status or "unfinished"]
        for entity in entities
    ]
    if several_tenants:
        headers.insert(0, "tenant")
        rows = [[str(entity.tenant), *row] for entity, row in zip(entities, rows, strict=True)]
    print_table(console, headers, rows, numbers=("rows", "new files", "seconds"))


def _print_failures(console: Console, failed: Sequence[EntityProgress]) -> None:

    if failed:
        console.print(Text(f"{plural(len(failed), 'entity', 'entities')} failed:", style="bold red"))
    for entity in failed:
        console.print(Text(f"  tenant {entity.tenant}, {entity.name}: {entity.error or 'no reason was given'}"), soft_wrap=True)
        if entity.hint:
            console.print(Text(f"    hint: {entity.hint}"), soft_wrap=True)


def totals_line(progress: Progress) -> str:
    """Return the totals in one line, without what is zero."""
    parts = [
        plural(progress.rows_written, "row"),
        plural(progress.files, "new file") if progress.files else "",
        bytes_text(progress.bytes_written) if progress.bytes_written else "",
        plural(progress.requests, "request"),
        plural(progress.retries, "retry", "retries") if progress.retries else "",
        f"{count_text(progress.rate_limited)} rate-limited" if progress.rate_limited else "",
        f"{count_text(progress.rescued)} with something in _rescued" if progress.rescued else "",
        f"{count_text(progress.rejected)} rejected" if progress.rejected else "",
    ]
    outcome = progress.outcome or "unfinished"
    return f"{outcome}: {', '.join(part for part in parts if part)} in {seconds_text(progress.seconds())}"

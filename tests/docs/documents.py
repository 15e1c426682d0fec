"""The parts of a Markdown page that a test can hold to account: fenced blocks, tables, links, headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from st_export.commands.app import cli

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what stands behind the fence, and the text."""

    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Return the lines; one that ends with a backslash goes on in the next."""
        return [line for line in self.text.replace("\\\n", "").splitlines() if line.strip()]


def blocks(page: Path, language: str) -> list[Block]:
    """Return the fenced blocks of a language."""
    found = [Block(language.strip(), text) for language, text in _FENCE.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if block.language == language]


def commands(page: Path) -> list[str]:
    """Return every line of every shell block."""
    return [line for block in blocks(page, "sh") for line in block.lines]


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(page))}


def table(page: Path, header: str) -> list[list[str]]:
    """Return the cells of the table whose first header is this; the table must be there."""
    lines = prose(page).splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith(f"| {header} |")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def understood(arguments: list[str]) -> str:
    """Parse a call of st-export as the program does, without running it; return the command's name."""
    context = cli.make_context("st-export", list(arguments))
    name, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None
    command.make_context(name, rest, parent=context)
    return str(name)

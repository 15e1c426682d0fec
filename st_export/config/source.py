"""YAML text into plain data that knows on which line each key stands. Duplicate keys are problems; tags beyond plain YAML are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.config.rules import Place
    from st_export.flow import Json


_TEXT_TAG = "tag:yaml.org,2002:str"
_MERGE_TAG = "tag:yaml.org,2002:merge"


@dataclass(slots=True)
class Source:
    """The data of a file, the line (from 1) of each place in it, and keys that are wrong as such.

    `repeated`: keys that stand twice (place, line, line of the first); `not_text`: keys that YAML takes for a number or a truth value.
    """

    data: Json
    lines: dict[Place, int] = field(default_factory=dict)
    repeated: list[tuple[Place, int, int]] = field(default_factory=list)
    not_text: list[tuple[Place, int]] = field(default_factory=list)

    def line_of(self, place: Place) -> int | None:
        """Return the line of a place, or of the nearest one around it that stands in the file."""
        for length in range(len(place), 0, -1):
            if line := self.lines.get(place[:length]):
                return line
        return None


class _Loader(yaml.SafeLoader):
    """Plain YAML whose dates stay text: a date that does not exist is told with its place, a report's parameter is sent as written."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - overrides PyYAML's own attribute, which is no ClassVar
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class YamlProblem(Exception):
    """The text is not YAML of the plain kind; `line` counts from 1. The text itself is not shown: it may hold secrets."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def parse_yaml(text: str) -> Source:
    """Return the data and places of a YAML text; an empty one gives None as data.

    Raises:
        YamlProblem: A syntax error, a tag that plain YAML does not have, or an alias that contains itself.

    """
    try:
        return _parsed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlProblem(error.problem or "is not YAML", mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError) as error:
        raise YamlProblem("has a character or value that YAML does not allow", None) from error
    except RecursionError as error:
        raise YamlProblem("contains itself, or is nested too deep", None) from error


def _parsed(text: str) -> Source:
    source = Source(data=None)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return source
        for place, key, first in _keys(node, ()):
            line = key.start_mark.line + 1
            if first is not None:
                source.repeated.append((place, line, first))
            if isinstance(place[-1], str) and key.tag != _TEXT_TAG:
                source.not_text.append((place, line))
            source.lines.setdefault(place, line)
        source.data = loader.construct_document(node)
    finally:
        loader.dispose()
    return source


def _keys(node: yaml.Node, place: Place) -> Iterator[tuple[Place, yaml.Node, int | None]]:
    """Yield each key and list item of a node with its place, and the line of the first where a key stands twice."""
    if isinstance(node, yaml.MappingNode):
        first_lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE_TAG:
                continue
            inner = (*place, key.value)
            yield inner, key, first_lines.get(key.value)
            first_lines.setdefault(key.value, key.start_mark.line + 1)
            yield from _keys(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item, None
            yield from _keys(item, (*place, index))

"""The form that unknown fields have, told as a pattern: a text that it matches is JSON, and is what orjson would print.

Without recursion the form of a value is a regular language. One look at the text then proves what parsing and printing it would,
at twice the speed and without the interpreter's lock. Numbers and escapes that orjson would print otherwise do not match, nor does
what has not been met before.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import re2

from st_export.decode.nodes import PLAIN_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from st_export.flow import Json

_INTEGER = r"(?:0|-?[1-9][0-9]{0,17})"

_FRACTION = r"-?(?:[1-9][0-9]{0,8}\.(?:0|[0-9]{0,5}[1-9])|0\.(?:0|0{0,3}[1-9](?:[0-9]{0,8}[1-9])?))"
"""At most 15 digits, no zero at the end, not so small that orjson would print an exponent."""

_STRING = r'"(?:[^"\\\x00-\x1f\x{D800}-\x{DFFF}]|\\["\\nrtbf])*"'
_NULL = "null"
_SCALARS: Mapping[type, str] = {type(None): _NULL, bool: "true|false", int: _INTEGER, float: _FRACTION, str: _STRING}

_MOST_VARIANTS = 4
"""Sets of names that the objects at one place may have."""

_MOST_MISSES = 8
"""Pieces that did not match and had nothing new."""

_DEEPEST = 8
_LONGEST_PATTERN = 8000


class Form:
    """What has been met at one place: types of scalars, items of lists, objects by their names in order."""

    __slots__ = ("_depth", "_item", "_scalars", "_variants", "is_told")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._scalars: set[str | None] = set()
        self._item: Form | None = None
        self._variants: dict[tuple[str, ...], list[Form]] = {}
        self.is_told = True

    def meet(self, value: Json) -> bool:
        """Take a value in; return whether the form has changed. `is_told` falls where no pattern will ever do."""
        if not self.is_told:
            return False
        is_first = not self._scalars
        # The service sends nulls everywhere: they are told before one is met.
        self._scalars.add(_NULL)
        if isinstance(value, list):
            return self._meet_items(value) or is_first
        if isinstance(value, dict):
            return self._meet_object(value) or is_first
        kind = _SCALARS.get(type(value))
        if kind in self._scalars:
            return is_first
        self._scalars.add(kind)
        self.is_told = kind is not None
        return True

    def names(self) -> frozenset[str]:
        """Return the names of the objects that have been met here."""
        return frozenset(name for names in self._variants for name in names)

    def objects(self) -> list[str]:
        """Return patterns for the text inside the braces of the objects here, by their names; empty where there are none."""
        return self._objects() if self.can_be_told() else []

    def _meet_items(self, values: list[Json]) -> bool:
        fresh = self._item is None
        if self._item is None:
            self._item = Form(self._depth + 1)
            self.is_told = self._depth < _DEEPEST
        # All of them are met, hence no `any`.
        return sum(self._item.meet(value) for value in values) > 0 or fresh

    def _meet_object(self, value: dict[str, Json]) -> bool:
        names = tuple(value)
        fresh = names not in self._variants
        if fresh:
            is_plain = all(map(PLAIN_NAME.fullmatch, names)) and len(names) > 0
            self.is_told = is_plain and len(self._variants) < _MOST_VARIANTS and self._depth < _DEEPEST
            if not self.is_told:
                return True
            self._variants[names] = [Form(self._depth + 1) for _ in names]
        return sum(form.meet(part) for form, part in zip(self._variants[names], value.values(), strict=True)) > 0 or fresh

    def can_be_told(self) -> bool:
        """Whether a pattern can tell all that has been met."""
        inner = [self._item] if self._item is not None else []
        return self.is_told and all(form.can_be_told() for forms in (inner, *self._variants.values()) for form in forms)

    def pattern(self) -> str:
        """Return the pattern of a value here, empty where none has been met."""
        choices = [kind for kind in self._scalars if kind is not None]
        if self._item is not None:
            item = self._item.pattern()
            choices.append(rf"\[(?:{item}(?:,{item})*)?\]" if item else r"\[\]")
        if self._variants:
            choices.append(rf"\{{(?:{'|'.join(self._objects())})\}}")
        return f"(?:{'|'.join(choices)})" if choices else ""

    def _objects(self) -> list[str]:
        return [
            ",".join(f'"{name}":{form.pattern()}' for name, form in zip(names, forms, strict=True))
            for names, forms in self._variants.items()
        ]


def told(pattern: str) -> str | None:
    """Return a pattern, None for one that is too long to be worth it."""
    return pattern if len(pattern) <= _LONGEST_PATTERN else None


class Matcher(Protocol):
    """A pattern that is ready: what it has learnt of a text serves it for the next one."""

    def fullmatch(self, text: object, begin: int, end: int, /) -> object | None:
        """Return a match where the bytes between two offsets are what the pattern says, else None."""


def ready(pattern: str) -> Matcher | None:
    """Return a pattern made ready, None where it is too long to be worth it."""
    if told(pattern) is None:
        return None
    options = re2.Options()
    options.log_errors = False
    matcher: Matcher = re2.compile(pattern, options)
    re2.purge()  # its cache would keep each pattern, and what it has learnt, until the end of the process
    return matcher


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of the texts of a run, all of which begin with its key: the names in them, and two patterns.

    `pattern` matches what follows the key in one of them; `together` matches any number of texts, each with the character before and
    behind it, and is kept ready. There is none where the key can stand elsewhere in a text.
    """

    names: frozenset[str] = frozenset()
    pattern: str | None = None
    together: Matcher | None = None


class Forms:
    """The form of one run for many readers, once some of its texts have been seen; they read `told`, which is replaced as a whole."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._form = Form()
        self._misses = 0
        self._lock = threading.Lock()
        self.told = Told()
        self.is_open = True

    def learn(self, tried: str | None, objects: Iterable[Json], *, is_worth_it: bool) -> None:
        """Take in objects that the pattern `tried` did not match, most of them or few (`is_worth_it`).

        Patterns are given up where they match few and do not become better.
        """
        with self._lock:
            if not self.is_open or tried != self.told.pattern:
                return
            is_new = sum(self._form.meet(value) for value in objects) > 0
            self._misses += not is_new and not is_worth_it
            if is_new or self._misses >= _MOST_MISSES:
                self._tell(self._form.objects() if self._misses < _MOST_MISSES else [])

    def _tell(self, objects: list[str]) -> None:
        key = self._key
        is_first = all(text.startswith(key) for text in objects)
        is_alone = all(text.count(key) == 1 for text in objects)
        pattern = rf"^(?:{'|'.join(text.removeprefix(key) for text in objects)})\z"
        one = told(pattern) if objects and is_first else None
        together = ready(rf"(?:[,{{](?:{'|'.join(objects)})[,}}])*") if one and is_alone else None
        self.told = Told(self._form.names(), one, together)
        self.is_open = one is not None

"""What is wrong in a configuration, told in one style: file and line, key, what is wrong, what to do. No secret's value is shown."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from st_export.config.rules import Place

_LONGEST_VALUE = 40
_SECRET_KEYS = frozenset({"app_key", "client_id", "client_secret", "hash_key", "options"})
_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "may have only small letters, digits, `-` and `_`",
    "path_type": "must be a path",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its place as text (`limits.timeout`), the line if known, what is wrong and what to do."""

    place: str
    text: str
    hint: str | None = None
    line: int | None = None

    def told(self, source: str) -> str:
        """Return the problem as one line: `st-export.yaml:3: limits.timeout must be a number`."""
        where = f"{source}:{self.line}: " if self.line else f"{source}: " if self.place else ""
        return f"{where}{f'`{self.place}` ' if self.place else ''}{self.text}"


def place_text(place: Place) -> str:
    """Return a place as people write it: `tenants[0].client_id`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def config_error(problems: list[Problem], source: str) -> ConfigError:
    """Return the error that tells all problems of a source, each on its line."""
    if len(problems) == 1:
        return ConfigError(problems[0].told(source), hint=problems[0].hint)
    lines = [f"  {problem.told(source)}{f' ({problem.hint})' if problem.hint else ''}" for problem in problems]
    text = "\n".join([f"{source} has {len(problems)} errors", *lines])
    return ConfigError(text, hint="`st-export init` writes a starter configuration that explains every key")


def validation_problems(
    error: ValidationError,
    model: type[BaseModel],
    line_of: Callable[[Place], int | None],
    filled: frozenset[Place],
) -> list[Problem]:
    """Return the problems of a validation, in the order of the file's lines. `filled` are places whose values came from variables."""
    found = [_problem(detail, model, line_of, filled) for detail in error.errors(include_url=False)]
    return sorted(found, key=lambda problem: problem.line or 0)


def _problem(detail: ErrorDetails, model: type[BaseModel], line_of: Callable[[Place], int | None], filled: frozenset[Place]) -> Problem:
    place: Place = detail["loc"]
    line = line_of(place)
    if detail["type"] == "extra_forbidden":
        text, hint = _unknown_key(str(place[-1]), _keys_at(model, place[:-1]))
        return Problem(place_text(place), text, hint, line)
    text = _text(detail)
    is_secret = bool(_SECRET_KEYS & {part for part in place if isinstance(part, str)})
    if not is_secret and place not in filled:
        text += _shown(detail.get("input"), text)
    return Problem(place_text(place), text, _hint(detail["type"]), line)


def _shown(value: object, text: str) -> str:
    """Return the wrong value as an end of the text, where it is short and helps."""
    if not isinstance(value, (str, int, float)) or len(str(value)) > _LONGEST_VALUE or not value:
        return ""
    if text.startswith("must"):
        return f", not `{value}`"
    return "" if "is `" in text else f" (it is `{value}`)"


def _text(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {str(context['expected']).replace(chr(39), '`')}"
    if kind in ("greater_than", "greater_than_equal", "less_than_equal"):
        bound = context.get("gt", context.get("ge", context.get("le")))
        relation = {"greater_than": "more than", "greater_than_equal": "at least", "less_than_equal": "at most"}[kind]
        return f"must be {relation} {bound:g}"
    return _WORDS.get(kind, detail["msg"][:1].lower() + detail["msg"][1:])


def _hint(kind: str) -> str | None:
    return "`st-export init` writes a starter configuration that explains every key" if kind == "missing" else None


def _unknown_key(key: str, known: list[str]) -> tuple[str, str]:
    nearest = get_close_matches(key, known, n=1, cutoff=0.0)
    return "is not a known key", f"the nearest known key is `{nearest[0]}`; here there are: {', '.join(known)}"


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """Return the known keys of the section at a place: the model's fields, followed through lists and named entries."""
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel) and isinstance(part, str) and part in current.model_fields:
            current = current.model_fields[part].annotation
        current = _section_of(current)
    return sorted(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _section_of(annotation: Any) -> Any:
    """Return the section inside an annotation such as `tuple[Tenant, ...]` or `dict[str, EntityOptions]`, else the annotation."""
    for argument in get_args(annotation):
        section = _section_of(argument)
        if isinstance(section, type) and issubclass(section, BaseModel):
            return section
    return annotation

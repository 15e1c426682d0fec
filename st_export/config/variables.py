"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in the texts of a configuration, filled in once, byte for byte.

Filling in happens after YAML has been read, so that no value can break the file; what is filled in is never looked at again.
`$${` stands for a literal `${`. Values come from the environment, else from a `.env` file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dotenv.parser import parse_stream

if TYPE_CHECKING:
    from pathlib import Path

    from st_export.config.rules import Place
    from st_export.flow import Json

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL | re.ASCII)
_FILE = "file:"
_LARGEST_SECRET_BYTES = 65536

Complain = Callable[["Place", str, "str | None"], None]
"""Takes a problem: place, what is wrong, what to do."""


class Variables:
    """Where references are looked up, and which places of the data had any: their values are never shown in an error."""

    def __init__(self, environment: Mapping[str, str], folder: Path, complain: Complain) -> None:
        self._environment = environment
        self._folder = folder
        self._complain = complain
        self._dotenv: dict[str, str] | None = None
        self.filled: set[Place] = set()

    def fill(self, data: Json, place: Place = ()) -> Json:
        """Return the data with every reference filled in; keys stay as they are. A text that is one empty default becomes None."""
        if isinstance(data, dict):
            return {key: self.fill(value, (*place, key)) for key, value in data.items()}
        if isinstance(data, list):
            return [self.fill(value, (*place, index)) for index, value in enumerate(data)]
        if not isinstance(data, str) or "${" not in data:
            return data
        self.filled.add(place)
        text = _REFERENCE.sub(lambda match: self._value(match, place), data)
        return text or None

    def _value(self, match: re.Match[str], place: Place) -> str:
        if match[0] == "$${":
            return "${"
        inside = match[1]
        if inside is not None and inside.startswith(_FILE):
            return self._file(inside.removeprefix(_FILE), place)
        reference = _NAME.fullmatch(inside) if inside is not None else None
        if reference is None:
            self._complain(
                place, "has a `${…}` that is no reference", "write `${NAME}`, `${NAME:-default}` or `${file:PATH}`; `$${` is a plain `${`"
            )
            return ""
        return self._variable(reference[1], reference[2], place)

    def _variable(self, name: str, default: str | None, place: Place) -> str:
        value = self._environment.get(name)
        if value is None:
            value = self._from_dotenv().get(name)
        if value:
            return value
        if default is not None:
            return default
        state = "is not set" if value is None else "is empty"
        self._complain(
            place, f"needs the variable `{name}`, which {state}", f"set `{name}` in the environment or in {self._folder / '.env'}"
        )
        return ""

    def _file(self, name: str, place: Place) -> str:
        path = self._folder / name
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST_SECRET_BYTES + 1)
            text = content.decode()
        except OSError as error:
            self._complain(
                place,
                f"needs the file {path}, which cannot be read: {error.strerror}",
                "a relative path starts at the configuration's folder",
            )
            return ""
        except UnicodeDecodeError:
            self._complain(place, f"needs the file {path}, which is not UTF-8 text", None)
            return ""
        if not text or len(content) > _LARGEST_SECRET_BYTES:
            self._complain(place, f"needs the file {path}, which is {'too large for a value' if text else 'empty'}", None)
        return text.removesuffix("\n").removesuffix("\r")

    def _from_dotenv(self) -> dict[str, str]:
        if self._dotenv is None:
            self._dotenv = self._read_dotenv(self._folder / ".env")
        return self._dotenv

    def _read_dotenv(self, path: Path) -> dict[str, str]:
        """Read a `.env` file without any expansion; a line that cannot be read is a problem, its text is not shown."""
        values: dict[str, str] = {}
        try:
            with path.open(encoding="utf-8-sig") as stream:
                for binding in parse_stream(stream):
                    if binding.error:
                        hint = "write NAME=value, the value in single quotes where it has blanks or `#`"
                        self._complain((), f"{path}:{binding.original.line}: is no assignment", hint)
                    elif binding.key is not None and binding.value is not None:
                        values[binding.key] = binding.value
        except FileNotFoundError:
            return values
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self._complain((), f"{path}: cannot be read: {reason}", None)
        return values

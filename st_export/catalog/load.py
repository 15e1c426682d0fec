"""The catalog in use: the package's files, module by module when they are asked for, and a user's file over them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from st_export.catalog.files import LeftOut, Module, read_modules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from st_export.catalog.entity import Entity
    from st_export.flow import EntityName

PACKAGE_DATA = Path(__file__).parent / "data"
"""The folder of the package's own catalog files: `<module>.json`, and `corrections.json`, which is none."""

CORRECTIONS = PACKAGE_DATA / "corrections.json"


class Catalog:
    """All entities, aliases among them. A module is read when the first of its entities is asked for.

    Build it with `load_catalog`, or from modules in memory.
    """

    def __init__(self, files: Mapping[str, Path], modules: Mapping[str, Module]) -> None:
        self._files = dict(files)
        self._modules = dict(modules)

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the names of the modules, sorted."""
        return tuple(sorted(self._files.keys() | self._modules.keys()))

    def module(self, name: str) -> Module | None:
        """Return a module by name, None where there is none."""
        if name not in self._modules and name in self._files:
            self._modules.update(read_modules(self._files[name]))
        return self._modules.get(name)

    def get(self, name: str) -> Entity | None:
        """Return the entity or alias with this full name, None where there is none. Reads its module only."""
        module = self.module(name.partition(".")[0])
        if module is None:
            return None
        return next((entity for entity in module.entities if entity.name == name), None)

    @cached_property
    def entities(self) -> dict[EntityName, Entity]:
        """Return all entities and aliases by name, in the order of the names inside that of the modules."""
        return {entity.name: entity for module in self._all() for entity in module.entities}

    @cached_property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Return the GETs of the API that are not exported, with the reasons."""
        return tuple(item for module in self._all() for item in module.left_out)

    def _all(self) -> list[Module]:
        return [module for name in self.modules if (module := self.module(name)) is not None]


def load_catalog(user_file: Path | None = None) -> Catalog:
    """Return the package's catalog; the modules in `user_file` stand in place of the package's modules of the same name.

    Raises `ConfigError` where a file is missing or damaged: the user's at once, the package's when it is first needed.
    """
    files = {file.stem: file for file in PACKAGE_DATA.glob("*.json") if file != CORRECTIONS}
    return Catalog(files, read_modules(user_file) if user_file is not None else {})

"""An intent: the files that a commit is about to put, written before the first of them, so that a dead run's can be removed.

This module leaves out when it is written, used and removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from st_export.commit import paths
from st_export.commit.positions import object_of, text_of

if TYPE_CHECKING:
    from st_export.flow import Unit

VERSION = 1


@dataclass(frozen=True, slots=True)
class Intent:
    """One commit under way: the entity, the unit's name, the run, and the paths of the data files to come."""

    tenant: int
    entity: str
    unit: str
    run: str
    files: tuple[str, ...]

    @property
    def path(self) -> str:
        """Return where the intent lies."""
        return paths.intent(self.entity, self.tenant, self.unit)

    def encoded(self) -> bytes:
        """Return the intent as JSON bytes."""
        document = {
            "version": VERSION,
            "tenant": self.tenant,
            "entity": self.entity,
            "unit": self.unit,
            "run_id": self.run,
            "files": list(self.files),
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def belongs(path: str, unit: Unit) -> bool:
    """Return whether a data file's path is one that the unit may write: in its entity's folder, its name the unit's and a part."""
    return path.startswith(f"{paths.data_folder(unit.entity, unit.tenant)}/") and paths.unit_of(path) == unit.name


def intent_from(data: bytes, tenant: int) -> Intent | None:
    """Return the intent of JSON bytes, None where it is damaged: the sweep by names finds its files all the same.

    Files that do not lie where the unit's may lie are left out: what is removed on an intent's word stays inside its entity.
    """
    try:
        fields = object_of(orjson.loads(data))
        entity, unit, run, files = text_of(fields, "entity"), text_of(fields, "unit"), text_of(fields, "run_id"), fields["files"]
        if not entity or not unit or not isinstance(files, list):
            return None
        folder = f"{paths.data_folder(entity, tenant)}/"
        paths.checked_name(unit)
    except (ValueError, KeyError):
        return None
    inside = tuple(path for path in files if isinstance(path, str) and path.startswith(folder) and paths.unit_of(path) == unit)
    return Intent(tenant, entity, unit, run or "", inside)

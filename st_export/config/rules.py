"""What must hold between several keys of the configuration, as a list of problems with their places."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from st_export.config.model import Config

Place = tuple[str | int, ...]
"""A path in the file: `("tenants", 0, "id")`."""


Contradiction = tuple[Place, str, str | None]
"""Where it is, what is wrong, and what to do."""


def contradictions(config: Config) -> list[Contradiction]:
    """Return what the keys of the configuration say against each other."""
    checks = (_empty_lists, _repeated_ids, _missing_app_keys, _repeated_reports, _missing_hash_key, _stray_names)
    return [found for check in checks for found in check(config)]


def _empty_lists(config: Config) -> list[Contradiction]:
    lists: dict[str, tuple[object, ...]] = {"tenants": config.tenants, "kinds": config.kinds, "select": config.select}
    return [((name,), "needs at least one entry", None) for name, entries in lists.items() if not entries]


def _repeated_ids(config: Config) -> list[Contradiction]:
    seen: set[int] = set()
    found: list[Contradiction] = []
    for index, tenant in enumerate(config.tenants):
        if tenant.id in seen:
            found.append((("tenants", index, "id"), f"stands twice: tenant {tenant.id}", "keep one entry for each tenant"))
        seen.add(tenant.id)
    return found


def _missing_app_keys(config: Config) -> list[Contradiction]:
    if config.app_key is not None:
        return []
    text, hint = (
        "is missing, and there is no general `app_key`",
        "write `app_key: ${ST_APP_KEY}` at the top of the file, or one in each tenant",
    )
    return [(("tenants", index, "app_key"), text, hint) for index, tenant in enumerate(config.tenants) if tenant.app_key is None]


def _repeated_reports(config: Config) -> list[Contradiction]:
    seen: set[str] = set()
    found: list[Contradiction] = []
    for index, report in enumerate(config.reports):
        if report.name in seen:
            hint = "the name becomes the entity's: each report needs its own"
            found.append((("reports", index, "name"), f"stands twice: `{report.name}`", hint))
        seen.add(report.name)
    return found


def _missing_hash_key(config: Config) -> list[Contradiction]:
    if config.hash_key is not None and config.hash_key.get_secret_value():
        return []
    hint = "set `hash_key: ${ST_HASH_KEY}`: the same key gives the same hash in every run"
    hashed = [name for name, options in config.entities.items() if options.hash_columns]
    return [(("entities", name, "hash_columns"), "needs `hash_key`", hint) for name in hashed]


def _stray_names(config: Config) -> list[Contradiction]:
    hint = "write a name such as `jpm.jobs`, or a glob such as `jpm.*`"
    stray = [name for name in config.entities if not name or any(character.isspace() for character in name)]
    return [(("entities", name), "is no name or glob of entities", hint) for name in stray]

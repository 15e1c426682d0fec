"""st-export: a whole ServiceTitan account into a data lake, complete, once, resumable.

From Python: `from st_export import Config, ExportRequest, export`, then `await export(Config.model_validate({...}), ExportRequest())`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from st_export.config.model import Config
    from st_export.exporter import ExportRequest, export

__all__ = ["Config", "ExportRequest", "export"]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the command line's help must not wait for Arrow."""
    if name == "Config":
        from st_export.config.model import Config  # noqa: PLC0415 -- see above

        return Config
    if name in ("ExportRequest", "export"):
        from st_export import exporter  # noqa: PLC0415 -- see above

        return getattr(exporter, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What commands do before and around their work: the configuration, the request, the lake, and somebody who watches the events."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from st_export.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from st_export.commands.options import Globals
    from st_export.commit.store import Store
    from st_export.config.model import Config
    from st_export.events import Events
    from st_export.exporter import ExportRequest
    from st_export.observe.progress import Progress
    from st_export.observe.wording import Level


def configured(settings: Globals, *, needs_credentials: bool = True) -> Config:
    """Return the configuration that the global options name; its secrets pass no error from now on.

    Raises:
        ConfigError: It is not there, or wrong.

    """
    from st_export.config.load import load_config

    config = load_config(settings.config, needs_credentials=needs_credentials)
    settings.secrets = config.secrets()
    return config


def configured_lake(settings: Globals, lake: str | None) -> Config:
    """Return a configuration for reading a lake only: of `--lake`, or of the file, whose credentials may be unset.

    Raises:
        ConfigError: There is no configuration, or it is wrong.

    """
    from st_export.config.model import Config

    if lake is None:
        return configured(settings, needs_credentials=False)
    if settings.config is not None:
        raise ConfigError("`--lake` and `--config` both name a lake", hint="give one of the two")
    return Config.of_lake(lake)


def check_tenants(config: Config, tenants: Sequence[int]) -> tuple[int, ...]:
    """Return the wanted tenants.

    Raises:
        ConfigError: One of them is not in the configuration.

    """
    for tenant in tenants:
        if config.tenants and config.tenant(tenant) is None:
            known = ", ".join(str(found.id) for found in config.tenants)
            raise ConfigError(f"tenant {tenant} is not in the configuration", hint=f"it has: {known}")
    return tuple(tenants)


def request_for(
    config: Config, command: str, tenants: Sequence[int], select: Sequence[str], exclude: Sequence[str], **more: Any
) -> ExportRequest:  # fmt: skip
    """Return what `run`, `backfill`, `check` and `plan` ask of the exporter.

    Raises:
        ConfigError: A tenant that the configuration does not have.

    """
    from st_export.exporter import ExportRequest

    wanted = check_tenants(config, tenants)
    return ExportRequest(command=command, tenants=wanted, select=tuple(select), exclude=tuple(exclude), **more)


@contextmanager
def watched(settings: Globals, *, with_progress: bool = True, with_lines: bool = True) -> Iterator[tuple[Events, Progress]]:
    """Hand out a stream of events that the log, the live view or the lines listen to, as the global options say."""
    import stamina

    from st_export.commands.console import stderr_console
    from st_export.events import Events
    from st_export.observe.lines import ProgressLines
    from st_export.observe.logs import LogWriter
    from st_export.observe.progress import Progress

    # Each retry is an event of ours; stamina's own log lines would only repeat it.
    stamina.instrumentation.set_on_retry_hooks(())
    progress = Progress()
    events = Events(progress)
    is_plain = settings.log_format == "json" or settings.quiet or not settings.progress or bool(settings.verbosity)
    with ExitStack() as stack:
        if with_progress and not is_plain and (console := stderr_console()).is_terminal:
            from st_export.observe.live import LiveView

            events.listen(stack.enter_context(LiveView(progress, console, secrets=settings.secrets)))
        else:
            is_brief = settings.quiet or not with_progress or not with_lines
            level: Level = "debug" if settings.verbosity else "warning" if is_brief else "info"
            writer = LogWriter(sys.stderr, log_format=settings.log_format, level=level, secrets=settings.secrets)
            events.listen(writer if is_brief else ProgressLines(progress, writer))
        yield events, progress


async def open_for_reading(config: Config, *, must_exist: bool = False) -> Store:
    """Return the store of the lake after a look at what lies there; with `must_exist` a place without a lake is an error.

    Raises:
        ConfigError: `output.url` or `output.options` are wrong, foreign files lie there, or no lake where there must be one.
        CheckpointUnreadable: A newer version wrote the lake.
        StoreError: It cannot be reached.

    """
    from st_export.commit.paths import LAKE
    from st_export.storage.open import open_lake

    store = await open_lake(config.output.url, config.output.options, config.folder, writing=False)
    if must_exist and not await store.exists(LAKE):
        raise ConfigError(f"there is no lake at {store.url}", hint="`st-export run` begins one; check output.url or `--lake`")
    return store


async def written_entities(store: Store) -> frozenset[str]:
    """Return the names of the entities that something has been committed for.

    Raises:
        StoreError: The lake cannot be read.

    """
    from st_export.commit.paths import MANIFESTS

    return frozenset(await store.folders(MANIFESTS))

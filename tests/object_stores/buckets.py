"""Runs into a bucket. A copy of the bucket on disk is what the truth is held against."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from obstore.store import from_url

from st_export.commands.app import run
from tests.crash.runs import Runs
from tests.truth import Lake

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class BucketRuns(Runs):
    """Like `Runs`, but the lake lies in an object store; `lake` is a copy as of the last `download`."""

    url: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    copied: dict[str, str | None] = field(default_factory=dict)

    def config(self) -> dict[str, Any]:
        """Return the configuration: the bucket in place of the folder."""
        return {**super().config(), "output": {"url": self.url, "options": self.options, "partition": self.partition}}

    def store(self) -> Any:
        """Return the place of the lake, through obstore alone."""
        return from_url(self.url, config=self.options, client_options={"allow_http": "true"})

    def objects(self) -> dict[str, bytes]:
        """Return every object below the lake's URL."""
        store = self.store()
        return {item["path"]: bytes(store.get(item["path"]).bytes()) for chunk in store.list() for item in chunk}

    def download(self) -> Path:
        """Bring the copy on disk to what the bucket holds now: only objects that changed are fetched."""
        store = self.store()
        now = {item["path"]: item["e_tag"] for chunk in store.list() for item in chunk}
        for path in self.copied.keys() - now.keys():
            (self.lake / path).unlink()
        for path in (path for path, tag in now.items() if self.copied.get(path) != tag):
            at = self.lake / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(bytes(store.get(path).bytes()))
        self.copied = now
        return self.lake

    def compare(self) -> list[str]:
        """Return how the bucket differs from the truth, and where files and manifests do not agree."""
        self.download()
        return super().compare()

    def check_readable(self) -> None:
        """Read every file that a reader of the bucket sees, whole."""
        self.download()
        super().check_readable()

    def committed(self) -> int:
        """Return how many commits with files are in the bucket."""
        self.download()
        return super().committed()

    def left_over(self) -> list[str]:
        """Return intents that nobody has taken away."""
        self.download()
        return super().left_over()

    def rows_of(self, *entities: str) -> int:
        """Return the rows of the copy."""
        return sum(len(Lake(self.lake).rows(name)) for name in entities)


def command(runs: BucketRuns, *arguments: str) -> tuple[int, str, str]:
    """Run a command line in this process; return exit code, stdout and stderr. A process of its own would cost a second each."""
    config, stdout, stderr = runs.folder / "st-export.yaml", io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    config.write_text(json.dumps(runs.config()))
    with redirect_stdout(stdout), redirect_stderr(stderr):
        code = run([*arguments, "--config", str(config)])
    return code, _text(stdout), _text(stderr)


def _text(stream: io.TextIOWrapper[Any]) -> str:
    stream.flush()
    return bytes(stream.buffer.getvalue()).decode()

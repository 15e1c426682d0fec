"""Binaries on their way to the lake: streamed into a file of this machine while they are summed up, then named by their unit.

Nothing that came over the network forms a path: see `layout.binary_path`. Leaves out fetching and committing.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio.to_thread

from st_export.flow import DataFile
from st_export.write.layout import binary_path

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from st_export.flow import Unit

_ENDINGS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/svg+xml": "svg",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "text/plain": "txt",
    "text/csv": "csv",
}
"""What files of a content type are called; a name of the service's own goes before it."""


class SpooledBinary:
    """Takes one binary, attempt after attempt, into a local file. `discard` it where it is not committed."""

    def __init__(self, spool: Path) -> None:
        self.content_type: str | None = None
        self.bytes = 0
        self._local = spool / f"binary-{secrets.token_hex(8)}"
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Return the checksum of what was taken."""
        return self._digest.hexdigest()

    async def begin(self, content_type: str | None) -> None:
        """Forget what an earlier attempt wrote. Raises `OSError` where the spool is full."""
        self.content_type = content_type.partition(";")[0].strip().lower() if content_type else None
        self.bytes, self._digest = 0, hashlib.sha256()
        await anyio.to_thread.run_sync(self._open)

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises `OSError` where the spool is full."""
        await anyio.to_thread.run_sync(self._append, chunk)

    def close(self) -> None:
        """End the file; what was taken stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Remove the file; may be called again."""
        self.close()
        self._local.unlink(missing_ok=True)

    def data_file(self, unit: Unit, part: int, asked: str) -> DataFile:
        """Return the file as one of a unit's; `asked` is the id or path that it was asked by."""
        ending = PurePosixPath(asked).suffix.removeprefix(".").lower() or _ENDINGS.get(self.content_type or "", "bin")
        words = PurePosixPath(asked).stem
        path = binary_path(unit.entity, unit.tenant, unit.name, part, words=words, ending=ending)
        return DataFile(path, None, 0, self.bytes, self.sha256, str(self._local))

    def _open(self) -> None:
        self.close()
        self._file = self._local.open("wb")

    def _append(self, chunk: bytes) -> None:
        if self._file is None:
            raise ValueError("a binary's bytes come before its beginning")
        self._file.write(chunk)
        self._digest.update(chunk)
        self.bytes += len(chunk)

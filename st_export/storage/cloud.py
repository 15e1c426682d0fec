"""Object stores as a Store, on obstore: s3, gs, az and abfss, and the memory of this process.

A put is atomic by the clouds' own promise, conditional by ETag or generation. Plain reads and writes are repeated by obstore;
conditional writes are sent once and repeated here, because after a lost answer the second attempt would be refused by the first one's
success: they are looked up by content first. Large files go up in parts, a few at a time. Parts of an upload that was killed stay
invisible; a lifecycle rule of the bucket removes them. This module leaves out the options of each cloud.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from st_export.commit import paths
from st_export.commit.store import AlreadyExists, Changed, Entry, Missing, OutcomeUnknown, checked_path
from st_export.errors import StoreError
from st_export.storage.cloud_errors import Passing, border

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from st_export.storage.spool import Spool

REQUESTS = 32
"""Small requests in flight at once."""

UPLOADS = 4
"""Files that go up at once, each in `PARTS` parts of `PART_BYTES`: about 140 MB with what the client buffers in memory."""

PARTS = 4
PART_BYTES = 5 << 20
"""The smallest part that S3 accepts; 10,000 of them hold 50 GB, far above a data file."""

ATTEMPTS = 5
"""How often a conditional write is sent; with the pauses about 3 s."""

PAUSE_SECONDS = 0.2
EXISTS_SECONDS = 30.0
LIST_CHUNK = 1000


class CloudStore:
    """A lake below a prefix of a bucket. `patient` repeats by itself, `once` sends each request one time."""

    def __init__(self, url: str, patient: Any, once: Any, spool: Spool) -> None:
        self.url = url
        self._patient = patient
        self._once = once
        self._spool = spool
        self._requests = anyio.CapacityLimiter(REQUESTS)
        self._uploads = anyio.CapacityLimiter(UPLOADS)

    @property
    def spool(self) -> Path:
        """The folder for temporary files of this process, in the machine's temporary folder. Made on first use, which blocks."""
        try:
            return self._spool.folder()
        except OSError as error:
            raise StoreError(f"no temporary folder: {error}", hint="set TMPDIR to a folder with some free space") from error

    def local_path(self, path: str) -> Path | None:  # noqa: ARG002 -- of the interface
        """Return None: nothing of an object store lies on this machine."""
        return None

    async def read(self, path: str) -> bytes:
        """Return the whole content. Raises `Missing`."""
        return (await self.read_tagged(path))[0]

    async def read_tagged(self, path: str) -> tuple[bytes, str]:
        """Return the content and its ETag or generation. Raises `Missing`."""
        async with self._requests:
            with border(self._place(path)):
                answer = await self._patient.get_async(path)
                return bytes(await answer.bytes_async()), _tag(answer.meta)

    async def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`. Raises `Missing`."""
        async with self._requests:
            with border(self._place(path)):
                return bytes(await self._patient.get_range_async(path, start=start, end=end))

    async def exists(self, path: str) -> bool:
        """Return whether an object is at the path; gives up after a few seconds, so that a wrong address shows soon."""
        try:
            with anyio.fail_after(EXISTS_SECONDS):
                for attempt in range(ATTEMPTS - 1):
                    try:
                        return await self._is_there(path)
                    except Passing:
                        await anyio.sleep(PAUSE_SECONDS * 2**attempt)
                return await self._is_there(path)
        except TimeoutError as error:
            text = f"{self._place(path)}: the object store did not answer for {EXISTS_SECONDS:.0f} s"
            raise Passing(text, hint="check output.options.endpoint, the network and the proxy") from error

    async def write(self, path: str, data: bytes) -> str:
        """Replace the content and return its tag. Raises `OutcomeUnknown`."""
        try:
            async with self._requests:
                with border(self._place(path)):
                    return _tag(await self._patient.put_async(path, data, use_multipart=False))
        except Passing as lost:
            found = await self._look_up(path, lost)
            if found is not None and found[0] == data:
                return found[1]
            raise _unknown(lost) from lost

    async def create(self, path: str, data: bytes) -> str:
        """Put the content if nothing is there. Raises `AlreadyExists`, `OutcomeUnknown`."""
        lost: Passing | None = None
        for attempt in range(ATTEMPTS):
            try:
                return await self._put_once(path, data, "create")
            except Passing as error:
                lost = error
                await anyio.sleep(PAUSE_SECONDS * 2**attempt)
            except AlreadyExists:
                if lost is None:
                    raise
            found = await self._look_up(path, lost)
            if found is not None and found[0] == data:
                return found[1]
            if found is not None:
                raise AlreadyExists(f"{self._place(path)} is there already")
        raise _unknown(lost)

    async def replace_if(self, path: str, data: bytes, expected_tag: str) -> str:
        """Replace the content if its tag is the expected one. Raises `Changed`, `OutcomeUnknown`."""
        lost: Passing | None = None
        for attempt in range(ATTEMPTS):
            try:
                return await self._put_once(path, data, _version(expected_tag))
            except Passing as error:
                lost = error
                await anyio.sleep(PAUSE_SECONDS * 2**attempt)
            except (Changed, Missing, AlreadyExists) as error:  # S3 answers a race with 409, a vanished object with 404
                if lost is None:
                    raise Changed(f"{self._place(path)} was changed by somebody else") from error
            found = await self._look_up(path, lost)
            if found is not None and found[0] == data:
                return found[1]
            if found is None or found[1] != expected_tag:
                raise Changed(f"{self._place(path)} was changed by somebody else")
        raise _unknown(lost)

    async def put_file(self, path: str, local: Path) -> None:
        """Upload a local file, in parts where it is large, and remove it. Raises `OutcomeUnknown`."""
        async with self._uploads:
            try:
                with border(self._place(path)):
                    await self._patient.put_async(path, local, chunk_size=PART_BYTES, max_concurrency=PARTS)
            except (Passing, Missing) as lost:  # the end of an upload that had succeeded is answered with 404 when it is repeated
                if not await self._holds(path, local):
                    raise _unknown(lost) from lost
            await anyio.to_thread.run_sync(partial(local.unlink, missing_ok=True))

    async def delete(self, path: str) -> None:
        """Remove the object if it is there."""
        async with self._requests:
            try:
                with border(self._place(path)):
                    await self._patient.delete_async(path)
            except Missing:
                return

    async def list(self, *folders: str) -> AsyncIterator[Entry]:
        """Yield every object below the folders, one folder after the other."""
        for folder in folders:
            with border(self._place(folder)):
                async for chunk in self._patient.list(checked_path(folder) if folder else None, chunk_size=LIST_CHUNK):
                    for item in chunk:
                        if not item["path"].endswith("/"):
                            yield Entry(item["path"], item["size"])

    async def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the common prefixes directly below the folder `prefix`, sorted."""
        async with self._requests:
            with border(self._place(prefix)):
                found = await self._patient.list_with_delimiter_async(checked_path(prefix) if prefix else None)
        return tuple(sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]))

    async def probe(self) -> None:
        """Create, refuse to create again, replace and delete a small object: the lock stands on these."""
        path = f"{paths.STATE}/probe-{secrets.token_hex(8)}"
        await self.delete(path)  # there is nothing yet: who may not delete is told so before anything is written
        tag = await self.create(path, path.encode())
        try:
            await self.create(path, b"again")
        except AlreadyExists:
            await self.replace_if(path, b"replaced", tag)
        else:
            raise StoreError(
                f"{self.url}: the object store ignores the condition of a conditional write",
                hint="use a store with conditional writes (If-None-Match, If-Match): the lock needs them",
            )
        finally:
            await self.delete(path)

    async def _is_there(self, path: str) -> bool:
        try:
            async with self._requests:
                with border(self._place(path)):
                    await self._once.head_async(path)
        except Missing:
            await self._check_bucket()
            return False
        except StoreError:
            await self._check_bucket()
            raise
        return True

    async def _put_once(self, path: str, data: bytes, mode: str | dict[str, str]) -> str:
        async with self._requests:
            with border(self._place(path)):
                return _tag(await self._once.put_async(path, data, mode=mode, use_multipart=False))

    async def _look_up(self, path: str, lost: Passing | None) -> tuple[bytes, str] | None:
        try:
            return await self.read_tagged(path)
        except Missing:
            return None
        except Passing as error:
            raise _unknown(lost or error) from error

    async def _holds(self, path: str, local: Path) -> bool:
        expected = await anyio.to_thread.run_sync(_digest_of, local)
        digest = hashlib.sha256()
        try:
            with border(self._place(path)):
                answer = await self._patient.get_async(path)
                async for chunk in answer.stream(min_chunk_size=PART_BYTES):
                    digest.update(chunk)
        except Missing:
            return False
        except Passing as error:
            raise _unknown(error) from error
        return digest.hexdigest() == expected

    async def _check_bucket(self) -> None:
        """List, since an answer to HEAD has no body that would tell a missing bucket or wrong credentials from the rest."""
        with border(self.url):
            async for _ in self._once.list(paths.STATE, chunk_size=1):
                return

    def _place(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/{checked_path(path)}" if path else self.url


def _tag(meta: Any) -> str:
    return f"{meta.get('e_tag') or ''}\x00{meta.get('version') or ''}"


def _version(tag: str) -> dict[str, str]:
    e_tag, _, version = tag.partition("\x00")
    return {name: value for name, value in (("e_tag", e_tag), ("version", version)) if value}


def _unknown(lost: StoreError | None) -> OutcomeUnknown:
    text = lost.message if lost is not None else "the store gave no answer"
    return OutcomeUnknown(f"{text}; whether it was written is not known", hint=lost.hint if lost is not None else None)


def _digest_of(local: Path) -> str:
    with local.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

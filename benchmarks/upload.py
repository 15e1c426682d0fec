"""Uploads to an object store on loopback: MB a second of small and of large files side by side, and what they hold in memory.

python -m benchmarks.upload ENDPOINT FILES MEGABYTES      one measurement in this process, as JSON
"""

from __future__ import annotations

import http.client
import json
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from benchmarks.lookalike import timed
from st_export.storage.open import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from st_export.commit.store import Store

MB = 1 << 20


def measure(small_files: int = 200, large_files: int = 12, large_megabytes: int = 64) -> dict[str, Any]:
    """Return the figures of `put_file` beside those of a bare loop that sends file after file in one request each."""
    with sink() as endpoint:
        small, large = _in_a_process(endpoint, small_files, 1), _in_a_process(endpoint, large_files, large_megabytes)
        bare = _bare(endpoint, large_files, large_megabytes)
    return {
        "small_files_mb_a_second": small["mb_a_second"],
        "large_files_mb_a_second": large["mb_a_second"],
        "bare_loop_mb_a_second": bare,
        "large_files_to_bare_loop_ratio": round(large["mb_a_second"] / bare, 2),
        "peak_mb_beyond_start": {"small_files": small["peak_mb"], "large_files": large["peak_mb"]},
        "large_files_bytes_mb": large_files * large_megabytes,
    }


@contextmanager
def sink() -> Iterator[str]:
    """Run the server in a process of its own; yields its endpoint."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.s3_sink"], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the sink has no pipe")
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


def _in_a_process(endpoint: str, files: int, megabytes: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(timed([sys.executable, "-m", "benchmarks.upload", endpoint, str(files), str(megabytes)]).stdout)
    return found


def _bare(endpoint: str, files: int, megabytes: int) -> float:
    body = b"x" * (megabytes * MB)
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc)
    began = time.perf_counter()
    for number in range(files):
        connection.request("PUT", f"/sink/bare-{number}", body)
        connection.getresponse().read()
    seconds = time.perf_counter() - began
    connection.close()
    return round(files * megabytes / seconds, 1)


async def upload(endpoint: str, files: int, megabytes: int) -> dict[str, Any]:
    """Put so many files of that size, all at once, as a run does; the store bounds how many are under way."""
    options = {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "key", "secret_access_key": "secret"}
    store = open_store("s3://sink/lake", options, Path.cwd())
    spooled = [_spooled(store, number, megabytes) for number in range(files)]
    before, began = _peak_mb(), time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for number, local in enumerate(spooled):
            tasks.start_soon(store.put_file, f"jpm.jobs/tenant_id=1/{number}.parquet", local)
    seconds = time.perf_counter() - began
    return {"mb_a_second": round(files * megabytes / seconds, 1), "peak_mb": round(_peak_mb() - before)}


def _spooled(store: Store, number: int, megabytes: int) -> Path:
    local = store.spool / f"{number}"
    with local.open("wb") as file:
        for _ in range(megabytes):
            file.write(b"x" * MB)
    return local


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(anyio.run(upload, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))

"""A process that has used an object store ends with its own exit code, however soon it ends after its last write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.object_stores.server import BUCKET

if TYPE_CHECKING:
    from tests.object_stores.server import S3

ROOT = Path(__file__).parents[2]
PROCESSES = 12
"""Without the wait about one in eight was aborted."""

WRITES = """
import sys, json, pathlib, anyio
from st_export.storage.open import open_store
store = open_store(sys.argv[1], json.loads(sys.argv[2]), pathlib.Path("."))

async def write():
    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(store.write, f"{number}", b"x" * 100_000)

anyio.run(write)
"""


def test_no_process_is_aborted_at_its_end(s3: S3, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES, f"s3://{BUCKET}/{tmp_path.name}", json.dumps(s3.options())]
    for _ in range(PROCESSES // 2):
        pair = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
        assert [process.wait(60) for process in pair] == [0, 0]


WAITS = """
import threading
from st_export.storage.cloud_exit import wait_for_foreign_threads
ended = threading.Event()
thread = threading.Thread(target=ended.wait)
thread.start()
print(wait_for_foreign_threads())
ended.set()
"""


def test_a_thread_of_python_is_not_waited_for() -> None:
    # In a process of its own: what runs the tests may have foreign threads.
    assert subprocess.run([sys.executable, "-c", WAITS], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "True\n"

"""A process of its own for the tests that kill: `child.py STORE_URL OPTIONS_JSON BASE ROLE [STEP [NUMBER]]`.

Roles: `commit` takes the lock, recovers, commits the units a, b, c and dies by SIGKILL at the NUMBERth time that STEP is
reached (never without STEP); `hold` takes the lock and says so, until it is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import anyio

from st_export.clock import Clock
from st_export.commit.lock import Lock
from st_export.events import CommitStepped, Event, Events
from st_export.storage.open import open_lake
from tests.commit.parts import JOBS, TENANT, start, to_token, unit, work


class KillAt:
    def __init__(self, step: str, number: int) -> None:
        self.step, self.left = step, number

    def __call__(self, event: Event) -> None:
        if isinstance(event, CommitStepped) and event.step == self.step:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def main(*arguments: str) -> None:
    url, options, base, role, step, number = (*arguments, "", "1")[:6] if len(arguments) == 4 else arguments
    store = await open_lake(url, json.loads(options), Path(base), writing=True)
    lock = Lock(store, TENANT, f"run-{os.getpid()}", Clock(), Events())
    async with anyio.create_task_group() as tasks, lock.held(tasks):
        if role == "hold":
            print("held", flush=True)
            await anyio.sleep_forever()
        run = await start(store, lock=lock)
        run.events.listen(KillAt(step, int(number)))
        for label in ("a", "b", "c"):
            if run.manifests.path_of(JOBS, unit(label).name) is None:
                await run.committer.commit(work(store, unit(label)), to_token(label))
        print("done", flush=True)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])

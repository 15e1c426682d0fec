"""`make soak`: `python -m tests.soak --minutes 60 --seed 7`. Ends with 1 where anything differed from the truth."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.soak.campaign import Campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long new rounds are begun")
    parser.add_argument("--seed", type=int, default=None, help="to do the same again")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(1 << 31)
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"[{time.monotonic() - began:7.1f} s] {line}", flush=True)

    tell(f"seed {seed}")
    figures = Campaign(seed, arguments.minutes, tell).run()
    for difference in figures.differences[:50]:
        print(f"difference: {difference[:4000]}")
    print(f"soak with seed {seed}: {figures.line()}")
    return 1 if figures.differences else 0


if __name__ == "__main__":
    sys.exit(main())

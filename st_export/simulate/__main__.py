"""`python -m st_export.simulate`: the look-alike on its own. Prints one line of JSON (URLs, credentials), then serves until stopped."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from st_export.simulate.digest import write_digest
from st_export.simulate.options import Fault, SimulateOptions
from st_export.simulate.server import run

if TYPE_CHECKING:
    from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    """Return the options of the command line."""
    default = SimulateOptions()
    command = argparse.ArgumentParser(prog="st-export simulate", description="A ServiceTitan look-alike on loopback.")
    command.add_argument("--rows", type=int, default=default.rows, help="rows of the largest feeds (default %(default)s)")
    command.add_argument(
        "--count", action="append", default=[], metavar="COLLECTION=N", help="rows of one collection, such as jpm.jobs=500"
    )
    command.add_argument("--seed", type=int, default=default.seed, help="seed of all made-up data and faults")
    command.add_argument("--years", type=float, default=default.years, help="years of history up to the clock")
    command.add_argument("--tenant", type=int, action="append", help="a tenant's id (repeatable; default 1001)")
    command.add_argument("--host", default=default.host)
    command.add_argument("--port", type=int, default=default.port, help="0: any free one")
    command.add_argument("--now", type=datetime.fromisoformat, help="where the clock begins, RFC 3339 (default: the real time)")
    command.add_argument("--limit", type=int, default=default.requests_per_second, help="requests a second (0: none)")
    command.add_argument("--retry-after", choices=["header", "body", "both", "none"], default=default.retry_after)
    command.add_argument("--latency", default="0-0", metavar="MIN-MAX", help="seconds")
    command.add_argument("--feed-page", type=int, default=default.feed_page_rows, help="rows of a feed page")
    command.add_argument("--feed-lag", type=float, default=default.feed_lag_seconds, help="seconds before a feed shows a change")
    command.add_argument("--token-life", type=float, default=default.token_life_seconds, help="seconds")
    command.add_argument("--report-interval", type=float, default=default.report_interval_seconds, help="seconds between runs of a report")
    command.add_argument("--churn", type=int, default=0, metavar="N", help="change records after every N requests")
    command.add_argument("--fault", action="append", default=[], metavar="KIND:RATE…", help="such as error-json:rate=0.1,path=*/jobs*")
    command.add_argument("--no-gzip", action="store_true")
    command.add_argument("--options", help=argparse.SUPPRESS)
    command.add_argument("--digest", nargs=2, metavar=("SPECS", "OUT"), help="derive the digest from a folder of OpenAPI files, and end")
    return command


def options_of(arguments: argparse.Namespace) -> SimulateOptions:
    """Return the options that the command line asks for.

    Raises:
        ValueError: a fault, latency or count that cannot be read.

    """
    low, _, high = arguments.latency.partition("-")
    counts = dict(each.split("=", 1) for each in arguments.count)
    now = arguments.now
    return SimulateOptions(
        rows=arguments.rows, row_counts={name: int(number) for name, number in counts.items()}, seed=arguments.seed, years=arguments.years,
        tenants=tuple(arguments.tenant or (1001,)), host=arguments.host, port=arguments.port,
        now=now.replace(tzinfo=UTC) if now is not None and now.tzinfo is None else now,
        requests_per_second=arguments.limit, retry_after=arguments.retry_after, latency_seconds=(float(low), float(high or low)),
        feed_page_rows=arguments.feed_page, feed_lag_seconds=arguments.feed_lag, token_life_seconds=arguments.token_life,
        report_interval_seconds=arguments.report_interval, churn_every=arguments.churn,
        faults=tuple(Fault.parse(each) for each in arguments.fault), gzip=not arguments.no_gzip,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the look-alike with the options of a command line; return the exit code."""
    command = parser()
    arguments = command.parse_args(argv)
    if arguments.digest:
        count = write_digest(Path(arguments.digest[0]), Path(arguments.digest[1]))
        sys.stdout.write(f"{count} calls\n")
        return 0
    try:
        options = SimulateOptions.from_json(json.loads(sys.stdin.read())) if arguments.options == "-" else options_of(arguments)
    except ValueError as wrong:
        command.error(str(wrong))
    run(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

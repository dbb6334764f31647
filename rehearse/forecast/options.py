"""Read the options for traffic and prices of `rehearse forecast` and `rehearse size`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from platform_facts import MOST_CONCURRENCY
from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.forecast import traces

RATE = 10.0  # requests a minute
DAYS = 1.0
MAX_CONCURRENCY = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add(
        "--trace",
        required=True,
        help=f"a CSV file with the columns minute,requests, or {', '.join(traces.SHAPES)}",
    )
    add(
        "--profile",
        required=True,
        help="the JSON file that `rehearse size` writes, or `example`, which ships with it",
    )
    add("--memory", type=int, metavar="MB", help="default: the smallest size of the profile")
    add("--max-concurrency", type=concurrency, default=MAX_CONCURRENCY, help="%(default)s")
    add_named_trace(parser)
    add("--idle-seconds", type=positive, default=IDLE_SECONDS, help="%(default)s")
    add_prices(parser)
    add("--json", action="store_true", help="print JSON")


def add_named_trace(parser: argparse.ArgumentParser) -> None:
    """Add what a named trace needs."""
    add = parser.add_argument
    add("--rate", type=positive, default=RATE, help="of a named trace, a minute (%(default)s)")
    add("--days", type=positive, default=DAYS, help="of a named trace (%(default)s)")


def add_prices(parser: argparse.ArgumentParser) -> None:
    """Add where prices come from."""
    parser.add_argument("--region", default="us-east-1", help="of the prices (%(default)s)")
    parser.add_argument("--prices", type=Path, help="a file like rehearse/prices.toml")


def read_trace(name: str, rate: float, days: float) -> list[int]:
    """Return the requests of each minute of a named trace, or of a file; raises InputError."""
    if name in traces.SHAPES:
        return traces.make(name, rate, days)
    return traces.read(Path(name))


def positive(text: str) -> float:
    """Return a number above 0; raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def concurrency(text: str) -> int:
    """Return a MaxConcurrency; raises ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_CONCURRENCY:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no MaxConcurrency; use 1 to {MOST_CONCURRENCY}"
        )
    return int(text)

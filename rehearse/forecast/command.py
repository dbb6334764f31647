"""Forecast a trace with a profile: `rehearse forecast`."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path

from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.forecast import profiles, traces
from rehearse.forecast.forecast import forecast
from rehearse.metering.prices import Prices

VALIDATION = Path(__file__).with_name("validation.json")
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
    add("--max-concurrency", type=_concurrency, default=MAX_CONCURRENCY, help="%(default)s")
    add("--rate", type=_positive, default=RATE, help="of a named trace, a minute (%(default)s)")
    add("--days", type=_positive, default=DAYS, help="of a named trace (%(default)s)")
    add("--idle-seconds", type=_positive, default=IDLE_SECONDS, help="%(default)s")
    add("--region", default="us-east-1", help="of the prices (%(default)s)")
    add("--prices", type=Path, help="a file like rehearse/prices.toml")
    add("--json", action="store_true", help="print JSON")


def run(given: argparse.Namespace) -> int:
    """Print the forecast, and how far forecasts have been off."""
    counts = read_trace(given.trace, given.rate, given.days)
    path = profiles.EXAMPLE if given.profile == "example" else Path(given.profile)
    profile = profiles.read(path)
    prices = Prices.nearest(given.region, given.prices)
    memory_mb = given.memory or profile.smallest
    found = forecast(counts, profile, memory_mb, given.max_concurrency, given.idle_seconds, prices)
    validation = json.loads(VALIDATION.read_text(encoding="utf-8"))
    if given.json:
        about = {"profile": profile.image, "cpu": profile.cpu, "validation": validation}
        print(json.dumps(asdict(found) | about, indent=2))
        return 0
    print(found)
    print(
        f"Times are those of {profile.image} on {profile.cpu}, prices those of {prices.region}, "
        f"{prices.dated}.\nForecasts of {validation['runs']} rehearsals were off by at most "
        f"{validation['p50_error']:.0%} for p50, and {validation['throttled_error']:.0%} for "
        "throttled requests."
    )
    return 0


def read_trace(name: str, rate: float, days: float) -> list[int]:
    """Return the requests of each minute of a named trace, or of a file; raises InputError."""
    if name in traces.SHAPES:
        return traces.make(name, rate, days)
    return traces.read(Path(name))


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _concurrency(text: str) -> int:
    # 200 is the most that ServerlessConfig takes:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessConfig.html
    if not text.isdecimal() or not 1 <= int(text) <= 200:
        raise argparse.ArgumentTypeError(f"{text!r} is no MaxConcurrency; use 1 to 200")
    return int(text)

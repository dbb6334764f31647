"""Forecast a trace with a profile: `rehearse forecast`."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.forecast import profile as profiles
from rehearse.forecast import trace as traces
from rehearse.metering.prices import Prices

if TYPE_CHECKING:
    from rehearse.forecast.simulation import Outcome

VALIDATION = Path(__file__).with_name("validation.json")
RATE = 10.0  # requests a minute
DAYS = 1.0
MAX_CONCURRENCY = 5
SEED = 0


@dataclass(frozen=True)
class Forecast:
    """What a trace would see of one memory size and MaxConcurrency, and what it would cost.

    Percentiles are those of answered requests, cold starts included, as the client sees them.
    """

    memory_mb: int
    max_concurrency: int
    requests: int
    answered: int
    cold: int
    throttled: int
    most_environments: int
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    cost_usd: float

    def __str__(self) -> str:
        """Write it for people."""
        share = self.throttled / self.requests
        times = "none was answered"
        if self.p50_ms is not None:
            times = f"p50 {self.p50_ms:,.0f} ms, p99 {self.p99_ms:,.0f} ms"
            times += f", p99.9 {self.p999_ms:,.0f} ms"
        return (
            f"{self.requests:,} requests at {self.memory_mb} MB, MaxConcurrency "
            f"{self.max_concurrency}:\n"
            f"- latency: {times}\n"
            f"- cold starts: {self.cold:,}; environments at once: {self.most_environments}\n"
            f"- throttled: {self.throttled:,} ({share:.2%})\n"
            f"- cost: {self.cost_usd:,.2f} USD"
        )


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
    found = forecast(
        counts, profile, given.memory, given.max_concurrency, given.idle_seconds, prices
    )
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
    """Return the requests of each minute of a named trace, or of a file; raises ForecastError."""
    if name in traces.SHAPES:
        return traces.make(name, rate, days)
    return traces.read(Path(name))


def forecast(
    counts: list[int],
    profile: profiles.Profile,
    memory_mb: int | None,
    max_concurrency: int,
    idle_seconds: float,
    prices: Prices,
) -> Forecast:
    """Simulate a trace with a progress bar; the same arguments give the same forecast.

    Raises ForecastError if the profile has not this memory size.
    """
    import numpy as np
    from tqdm import tqdm

    from rehearse.forecast.simulation import simulate

    memory, times = profile.times(memory_mb)
    random = np.random.default_rng(SEED)
    arrivals = traces.arrivals(counts, random)
    with tqdm(total=len(arrivals), unit=" requests", leave=False, disable=None) as bar:
        found = simulate(arrivals, times, max_concurrency, idle_seconds, random, bar.update)
    return Forecast(
        memory_mb=memory,
        max_concurrency=max_concurrency,
        requests=len(arrivals),
        answered=len(found.latency_ms),
        cold=found.cold,
        throttled=found.throttled,
        most_environments=found.most_environments,
        cost_usd=_cost(found, memory, profile.bytes, prices),
        **_percentiles(found),
    )


def _percentiles(found: Outcome) -> dict[str, float | None]:
    import numpy as np

    names = {"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9}
    if not len(found.latency_ms):
        return dict.fromkeys(names)
    return {
        name: round(float(np.percentile(found.latency_ms, share)), 3)
        for name, share in names.items()
    }


def _cost(found: Outcome, memory_mb: int, data_bytes: int, prices: Prices) -> float:
    """Return the USD of the answered requests; begun milliseconds are billed in full."""
    import numpy as np

    milliseconds = int(np.maximum(np.ceil(found.model_ms), 1).sum())
    usd = prices.inference(memory_mb, milliseconds)
    return round(usd + prices.data(data_bytes * len(found.model_ms)), 6)


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

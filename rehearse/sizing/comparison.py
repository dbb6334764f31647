"""Compare memory sizes and ways to deploy by what a month of the traffic costs, and choose."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from platform_facts import MOST_CONCURRENCY
from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.forecast.forecast import Forecast, forecast
from rehearse.forecast.profiles import Profile, Times
from rehearse.metering.prices import MB_PER_GB, Prices
from rehearse.sizing.measurement import Measured

if TYPE_CHECKING:
    import numpy as np

HOURS_A_MONTH = 730
MILLION = 1_000_000
# So few requests may be throttled; a client that waits and asks again gets through.
THROTTLED_SHARE = 0.001
# Costs so near are equal, and the faster size is chosen.
EQUAL_COST = 0.05
# The instances with prices have two CPUs at least; half of their time is kept for bursts.
INSTANCE_CPUS = 2 * 0.5
RESAMPLES = 1000
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A figure of the measured requests, and its 95 % interval (bootstrap)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SizeCosts:
    """What a memory size would be like under the traffic; milliseconds, USD."""

    memory_mb: int
    p50_ms: Interval
    p95_ms: Interval
    p99_ms: Interval
    usd_a_million: Interval
    usd_a_month: float
    traffic: Forecast


@dataclass(frozen=True)
class Option:
    """A way to deploy, "serverless", "provisioned" or "instance", and what it costs in USD."""

    kind: str
    detail: str
    usd_a_month: float  # under the traffic
    usd_fixed: float  # a month, without a request
    usd_each: float  # a request


@dataclass(frozen=True)
class Recommendation:
    """What to deploy, and from how many requests a month on an instance costs less."""

    memory_mb: int
    max_concurrency: int
    kind: str
    options: tuple[Option, ...]
    break_even_requests: int
    requests_a_month: int


@dataclass(frozen=True)
class Sizing:
    """All that `rehearse size` found."""

    image: str
    cpu: str
    cpu_factor: float
    region: str
    prices_dated: str
    requests_by_minute: tuple[int, ...]
    measured: tuple[Measured, ...]
    costs: tuple[SizeCosts, ...]
    recommendation: Recommendation


def scaled(times: Times, factor: float) -> Times:
    """Return the times of a CPU that takes `factor` times as long."""
    return Times(
        *(
            tuple(value * factor for value in values)
            for values in (times.setup, times.first, times.warm)
        )
    )


def costs(profile: Profile, memory_mb: int, counts: Sequence[int], prices: Prices) -> SizeCosts:
    """Forecast the traffic, requests by minute, at the least MaxConcurrency that carries it."""
    import numpy as np

    def at(most: int) -> Forecast:
        return forecast(list(counts), profile, memory_mb, most, IDLE_SECONDS, prices)

    traffic = at(MOST_CONCURRENCY)
    # No more than were needed at the worst moment can help.
    low, high = 1, max(traffic.most_environments, 1)
    while low < high:
        middle = (low + high) // 2
        found = at(middle)
        if found.throttled <= THROTTLED_SHARE * found.requests:
            high, traffic = middle, found
        else:
            low = middle + 1
    traffic = replace(traffic, max_concurrency=high)
    warm = np.array(profile.memory[memory_mb].warm)
    billed = np.maximum(np.ceil(warm), 1)
    one = prices.inference(memory_mb, 1) * MILLION
    data = prices.data(profile.bytes) * MILLION
    return SizeCosts(
        memory_mb=memory_mb,
        p50_ms=_interval(warm, 50),
        p95_ms=_interval(warm, 95),
        p99_ms=_interval(warm, 99),
        usd_a_million=_interval(billed * one + data, None),
        usd_a_month=traffic.cost_usd * months_in(counts),
        traffic=traffic,
    )


def months_in(counts: Sequence[int]) -> float:
    """Return how often a trace, requests by minute, goes into a month."""
    return HOURS_A_MONTH * 60 / len(counts)


def recommend(
    sizes: Sequence[SizeCosts], profile: Profile, counts: Sequence[int], prices: Prices
) -> Recommendation:
    """Choose the cheapest size, or a faster one that costs about the same, and the cheapest way."""
    least = min(each.usd_a_month for each in sizes)
    near = [each for each in sizes if each.usd_a_month <= least * (1 + EQUAL_COST)]
    best = min(near, key=lambda each: each.p95_ms.value)
    requests = round(sum(counts) * months_in(counts))
    options = tuple(_options(best, profile, requests, max(counts), prices))
    hour = min(prices.instance_hour.values(), default=math.inf)
    return Recommendation(
        memory_mb=best.memory_mb,
        max_concurrency=best.traffic.max_concurrency,
        kind=min(options, key=lambda option: option.usd_a_month).kind,
        options=options,
        break_even_requests=round(hour * HOURS_A_MONTH / best.usd_a_million.value * MILLION),
        requests_a_month=requests,
    )


def _options(
    best: SizeCosts, profile: Profile, requests: int, most_a_minute: int, prices: Prices
) -> Iterator[Option]:
    """Price the ways to deploy this size under so many requests a month."""
    size, traffic = best.memory_mb, best.traffic
    warm = profile.memory[size].warm
    billed = statistics.mean(math.ceil(each) for each in warm)
    data = prices.data(profile.bytes)

    def option(kind: str, fixed: float, each: float, detail: str) -> Option:
        return Option(kind, detail, fixed + requests * each, fixed, each)

    yield option(
        "serverless",
        0.0,
        prices.inference(size, 1) * billed + data,
        f"{traffic.cold / traffic.requests:.2%} of the requests start an environment first",
    )
    yield option(
        "provisioned",
        size / MB_PER_GB * HOURS_A_MONTH * 3600 * prices.reserved_gb_second,
        prices.inference(size, 1, provisioned=True) * billed + data,
        "ProvisionedConcurrency 1: requests that come alone are answered warm",
    )
    if prices.instance_hour:
        name, hour = min(prices.instance_hour.items(), key=lambda item: item[1])
        # CPUs' worth of work in the busiest minute.
        work = most_a_minute / 60 * statistics.mean(warm) / 1e3
        count = max(math.ceil(work / INSTANCE_CPUS), 1)
        yield option("instance", count * hour * HOURS_A_MONTH, 0.0, f"{count} x {name}, always on")


def _interval(values: np.ndarray, percentile: float | None) -> Interval:
    """Return a percentile of values, or their mean, with its interval."""
    import numpy as np

    def figure(rows: np.ndarray) -> np.ndarray:
        if percentile is None:
            return np.asarray(rows.mean(axis=-1))
        return np.asarray(np.percentile(rows, percentile, axis=-1))

    drawn = np.random.default_rng(SEED).choice(values, (RESAMPLES, len(values)))
    low, high = np.percentile(figure(drawn), (2.5, 97.5))
    return Interval(float(figure(values)), float(low), float(high))

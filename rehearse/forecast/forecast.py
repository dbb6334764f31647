"""Forecast what a trace would see of one memory size, and what it would cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rehearse.forecast import traces
from rehearse.forecast.profiles import Profile
from rehearse.metering.prices import Prices

if TYPE_CHECKING:
    from rehearse.forecast.simulation import Outcome

SEED = 0
SPANS = 120


@dataclass(frozen=True)
class Forecast:
    """What a trace would see of one memory size and MaxConcurrency, and what it would cost.

    Percentiles are those of answered requests, cold starts included; None if none was answered.
    """

    memory_mb: int
    max_concurrency: int
    requests: int
    answered: int
    cold: int
    throttled: int
    most_environments: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    cost_usd: float
    timeline: tuple[int, ...]  # the most environments in each of SPANS equal parts of the trace

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


def forecast(
    counts: list[int],
    profile: Profile,
    memory_mb: int,
    max_concurrency: int,
    idle_seconds: float,
    prices: Prices,
) -> Forecast:
    """Simulate a trace with a progress bar; the same arguments give the same forecast.

    Raises InputError if the profile has not this memory size.
    """
    import numpy as np
    from tqdm import tqdm

    from rehearse.forecast.simulation import simulate

    times = profile.times(memory_mb)
    random = np.random.default_rng(SEED)
    arrivals = traces.arrivals(counts, random)
    with tqdm(total=len(arrivals), unit=" requests", leave=False, disable=None) as bar:
        found = simulate(arrivals, times, max_concurrency, idle_seconds, random, bar.update)
    return Forecast(
        memory_mb=memory_mb,
        max_concurrency=max_concurrency,
        requests=len(arrivals),
        answered=len(found.latency_ms),
        cold=found.cold,
        throttled=found.throttled,
        most_environments=int(found.environments.max(initial=0)),
        timeline=_timeline(found, len(counts)),
        cost_usd=_cost(found, memory_mb, profile.bytes, prices),
        **_percentiles(found),
    )


def _percentiles(found: Outcome) -> dict[str, float | None]:
    import numpy as np

    names = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "p999_ms": 99.9}
    if not len(found.latency_ms):
        return dict.fromkeys(names)
    return {
        name: round(float(np.percentile(found.latency_ms, share)), 3)
        for name, share in names.items()
    }


def _timeline(found: Outcome, minutes: int) -> tuple[int, ...]:
    """Return the most environments in each part of a trace of so many minutes."""
    import numpy as np

    most = np.zeros(SPANS, np.int64)
    spans = np.minimum(found.arrived / (minutes * 60) * SPANS, SPANS - 1).astype(np.int64)
    np.maximum.at(most, spans, found.environments)
    return tuple(most.tolist())


def _cost(found: Outcome, memory_mb: int, data_bytes: int, prices: Prices) -> float:
    """Return the USD of the answered requests; begun milliseconds are billed in full."""
    import numpy as np

    milliseconds = int(np.maximum(np.ceil(found.model_ms), 1).sum())
    usd = prices.inference(memory_mb, milliseconds)
    return round(usd + prices.data(data_bytes * len(found.model_ms)), 6)

"""Send the requests of a trace to a real variant, and simulate the same requests."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.rehearsal.recording_engine import RecordingEngine
from rehearse.data_types import InvocationMetrics
from rehearse.errors import Throttled
from rehearse.forecast import simulation
from rehearse.forecast.profiles import Times
from rehearse.sizing import requests

if TYPE_CHECKING:
    import numpy as np

# Requests come in bursts of so many on average, so many seconds apart on average. Between bursts
# there is time to answer twice what one brings.
BURST, APART = 6, 0.005
# An environment is dropped when it has had no request for so many seconds; the variant looks once
# a second. A trace has so many silences, long enough to drop even one that was still starting.
IDLE_SECONDS, SILENCE_SECONDS, SILENCES = 4.0, 8.0, 4
THREADS = 64


@dataclass(frozen=True)
class Replay:
    """What became of the requests that were sent at those seconds, rising."""

    sent: list[float]
    metrics: list[InvocationMetrics]
    cpu_percent: float  # how busy this machine's CPUs were, with all that ran on it

    def figures(self) -> dict[str, float]:
        """Return what a simulation is compared with, and how busy the CPUs were.

        A latency is ModelSetupTime and ModelLatency together, as in the simulation.
        """
        answered = [each for each in self.metrics if not each.throttled]
        return {
            "latency p50": statistics.median(
                each.setup_ms + each.model_us / 1e3 for each in answered
            ),
            "throttled": len(self.metrics) - len(answered),
            "cold": sum(each.cold for each in answered),
            "CPU": self.cpu_percent,
        }


def arrivals(
    count: int, answer_seconds: float, max_concurrency: int, random: np.random.Generator
) -> np.ndarray:
    """Return when so many requests are due, in seconds, float64 (count,).

    The first comes after a silence, so that it meets no environment.
    """
    import numpy as np

    pause = 2 * BURST * answer_seconds / max_concurrency
    begins = random.random(count) < 1 / BURST
    gaps = random.exponential(np.where(begins, APART + pause, APART))
    gaps[:: -(-count // SILENCES)] += SILENCE_SECONDS
    return np.cumsum(gaps)


def replay(
    engine: RecordingEngine, max_concurrency: int, due: np.ndarray, records: Sequence[bytes]
) -> Replay:
    """Send requests when they are due, or as soon as this machine can; raises what a call does."""
    import psutil

    metrics: list[InvocationMetrics] = []
    sent: list[float] = []
    with (
        engine.serving(
            max_concurrency, idle_seconds=IDLE_SECONDS, observe=metrics.append
        ) as variant,
        ThreadPoolExecutor(THREADS) as threads,
    ):

        def ask(number: int) -> None:
            request = requests.invocation(records, first=number)
            sent.append(time.perf_counter() - begun)
            with suppress(Throttled):
                variant.invoke(request)

        begun = time.perf_counter()
        psutil.cpu_percent()  # the next call tells of the time since this one
        asked = []
        for number, at in enumerate(due.tolist()):
            time.sleep(max(begun + at - time.perf_counter(), 0))
            asked.append(threads.submit(ask, number))
        for each in asked:
            each.result()
        busy = psutil.cpu_percent()
    return Replay(sorted(sent), metrics, busy)


def simulated(
    sent: Sequence[float], times: Times, max_concurrency: int, random: np.random.Generator
) -> dict[str, float]:
    """Return the figures of a simulation of the requests that were sent at those seconds."""
    import numpy as np

    found = simulation.simulate(np.array(sent), times, max_concurrency, IDLE_SECONDS, random)
    return {
        "latency p50": statistics.median(found.latency_ms.tolist()),
        "throttled": found.throttled,
        "cold": found.cold,
    }

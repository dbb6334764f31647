"""Replay a trace on a real variant and in the simulation, and compare: FORECAST.md."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import client, containers, pages, texts
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.subjects import DEFAULT_MODEL
from benchmarks.rehearsal.recording_engine import NO_FREEZE, RecordingEngine, open_engine
from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.data_plane.variant import RunningVariant
from rehearse.data_types import ServerlessConfig
from rehearse.errors import Throttled
from rehearse.forecast import profiles, simulation
from rehearse.forecast.command import VALIDATION
from rehearse.sizing import measurement, requests

if TYPE_CHECKING:
    import numpy as np

CONCURRENCIES = (1, 2, 3, 4)
# Requests come in bursts of so many on average, so many seconds apart on average. Between bursts
# there is time to answer twice what one brings, so that this machine's CPUs suffice.
BURST, APART = 6, 0.005
SEED = 1
MILLION = 1_000_000
THREADS = 64
tell = partial(print, file=sys.stderr, flush=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--engine", choices=("docker", "process"), default="docker")
    add("--image", default=containers.default_image("slim"), help="for docker")
    add("--model", type=Path, default=DEFAULT_MODEL, help="the default model")
    add("--memory", type=int, default=1024, help="memory size in MB (1024)")
    add("--requests", type=Path, help="JSON Lines to send; else reviews are invented")
    add("--starts", type=int, default=10, help="cold starts measured (10)")
    add("--calls", type=int, default=500, help="warm calls measured (500)")
    add("--replayed", type=int, default=2000, help="requests of each replay (2000)")
    add("--publish", action="store_true", help="also write what ships with `rehearse forecast`")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Measure a profile, then replay and forecast traces at each MaxConcurrency."""
    import numpy as np

    engine = open_engine(options.engine, options.image, options.model)
    records = _records(options.requests)
    try:
        tell("measure a profile")
        sandbox = measurement.Sandbox(engine, engine.container, options.memory, quotas=NO_FREEZE)
        measured = measurement.measure(sandbox, records, options.starts, options.calls)
        times = measured.times
        if times is None:
            raise SystemExit(f"{options.image}: {measured.failure}")
        found.add("profile", {"p50": statistics.median(times.warm)})
        mean = statistics.mean(times.warm) / 1e3
        for most in CONCURRENCIES:
            tell(f"MaxConcurrency {most}")
            random = np.random.default_rng(SEED + most)
            arrivals = bursts(options.replayed, BURST / most * mean, random)
            found.add(f"rehearsed {most}", replay(engine, options.memory, most, arrivals, records))
            outcome = simulation.simulate(arrivals, times, most, IDLE_SECONDS, random)
            found.add(
                f"forecast {most}",
                figures(outcome.latency_ms.tolist(), outcome.throttled, outcome.cold),
            )
    finally:
        engine.close()
    tell("simulate a million requests")
    found.add("a million", {"seconds": million(times)})
    found.facts["engine"] = f"{options.engine}, {options.memory} MB"
    if options.publish:
        _publish(found, measured, times, options.image)


def bursts(count: int, pause: float, random: np.random.Generator) -> np.ndarray:
    """Return the times of so many requests in bursts, with that pause on average, in seconds."""
    import numpy as np

    begins = random.random(count) < 1 / BURST
    return np.cumsum(random.exponential(np.where(begins, APART + pause * 2, APART)))


def replay(
    engine: RecordingEngine, memory_mb: int, most: int, arrivals: np.ndarray, records: list[bytes]
) -> dict[str, float]:
    """Send requests at their times to a variant without environments; return the figures."""
    latencies: list[float] = []
    colds: list[bool] = []
    throttled: list[int] = []
    lock = threading.Lock()
    variant = RunningVariant(
        engine,
        engine.container,
        ServerlessConfig(memory_mb, most),
        log=lambda _: None,
        observe=lambda _: None,
        quotas=NO_FREEZE,
    )

    def ask(number: int) -> None:
        begun = time.perf_counter()
        try:
            answer = variant.invoke(requests.invocation(records, first=number))
        except Throttled:
            throttled.append(number)
            return
        with lock:
            latencies.append((time.perf_counter() - begun) * 1e3)
            colds.append(answer.cold)

    try:
        with ThreadPoolExecutor(THREADS) as threads:
            begun = time.perf_counter()
            for number, at in enumerate(arrivals.tolist()):
                time.sleep(max(begun + at - time.perf_counter(), 0))
                threads.submit(ask, number)
    finally:
        variant.close()
    return figures(latencies, len(throttled), sum(colds))


def figures(latencies: list[float], throttled: int, cold: int) -> dict[str, float]:
    """Return what is compared."""
    return {"p50 of": statistics.median(latencies), "throttled": throttled, "cold": cold}


def million(times: profiles.Times) -> float:
    """Return the seconds of a simulation of a million requests and 200 environments."""
    import numpy as np

    random = np.random.default_rng(SEED)
    rate = 100 / (statistics.mean(times.warm) / 1e3)  # 100 under way on average
    arrivals = np.cumsum(random.exponential(1 / rate, MILLION))
    begun = time.perf_counter()
    simulation.simulate(arrivals, times, 200, IDLE_SECONDS, random)
    return time.perf_counter() - begun


def errors(results: Results) -> dict[str, float]:
    """Return the largest relative error of any forecast, for p50 and for throttled requests."""
    found = {}
    for what, name in (("p50 of", "p50_error"), ("throttled", "throttled_error")):
        pairs = [
            (results.of(what, f"rehearsed {most}")[0], results.of(what, f"forecast {most}")[0])
            for most in CONCURRENCIES
        ]
        found[name] = max(abs(forecast / rehearsed - 1) for rehearsed, forecast in pairs)
    return found


def page(results: Results) -> str:
    """Write the page."""
    lines = []
    for most in CONCURRENCIES:
        real, made = f"rehearsed {most}", f"forecast {most}"
        line: list[object] = [most]
        for what, digits in (("p50 of", 1), ("throttled", 0), ("cold", 0)):
            one, other = results.of(what, real)[0], results.of(what, made)[0]
            line += [f"{one:.{digits}f}", f"{other:.{digits}f}"]
            if what != "cold":
                line.append(f"{other / one - 1:+.0%}")
        lines.append(line)
    heads = ["MaxConcurrency", "p50, ms", "forecast", "", "throttled", "forecast", "", "cold", ""]
    worst = errors(results)
    return f"""# Forecasts beside rehearsals

    {results.command}

Measured locally: {pages.machine(results)}.

The same requests, at the same times, went to a rehearsed variant and into the simulation of
`rehearse forecast`. They come in bursts of six on average. The simulation knows the times of single
requests in one container, measured before.

{pages.table(heads, lines)}

- p50 is off by {worst["p50_error"]:.0%} at most (target: 15 %), throttled requests by
  {worst["throttled_error"]:.0%} (target: 10 %)
- a million requests in up to 200 environments are simulated in
  {results.of("seconds", "a million")[0]:.1f} s (target: under 45 s)

{pages.facts(results)}
"""


def _records(path: Path | None) -> list[bytes]:
    if path is not None:
        return requests.read(path)
    return [client.body(each).strip() for each in texts.invented(500)]


def _publish(
    found: Results, measured: measurement.Measured, times: profiles.Times, image: str
) -> None:
    """Write the example and the errors that ship with `rehearse forecast`."""
    memory = {measured.memory_mb: times}
    profiles.Profile(image, found.facts["CPU"], measured.bytes, memory).write(profiles.EXAMPLE)
    validation = {"runs": len(CONCURRENCIES), **errors(found)}
    VALIDATION.write_text(json.dumps(validation) + "\n", encoding="utf-8")


BENCHMARK = Benchmark(
    "forecast",
    "Hold forecasts against rehearsals.",
    Path(__file__).with_name("FORECAST.md"),
    add_options,
    measure,
    page,
)
main = BENCHMARK.run

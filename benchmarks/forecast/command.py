"""Replay traces on a real variant and in the simulation, and compare: FORECAST.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.forecast import replay, waiting_container
from benchmarks.forecast.forecast_page import BUNDLED, CONCURRENCIES, WAITING, largest_error, page
from benchmarks.harness import client, containers, machine, texts
from benchmarks.harness.results import Benchmark, Results, read
from benchmarks.harness.subjects import DEFAULT_MODEL
from benchmarks.rehearsal.recording_engine import (
    MEMORY_MB,
    NO_FREEZE,
    RecordingEngine,
    open_engine,
)
from rehearse.container_engines.process_engine import ProcessEngine
from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.data_types import ContainerDefinition
from rehearse.forecast import profiles, simulation
from rehearse.forecast.command import VALIDATION
from rehearse.sizing import measurement, requests

# A simulation draws times at random; so many show what chance does.
SIMULATIONS = 20
SEED = 1
MILLION = "a million"
tell = partial(print, file=sys.stderr, flush=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add(
        "--containers",
        nargs="+",
        choices=(WAITING, BUNDLED),
        default=[WAITING, BUNDLED],
        help="what to measure (both); the page keeps the figures of the other",
    )
    add("--engine", choices=("docker", "process"), default="docker", help="for the bundled model")
    add("--image", default=containers.default_image("slim"), help="for docker")
    add("--model", type=Path, default=DEFAULT_MODEL, help="the bundled model")
    add("--requests", type=Path, help="JSON Lines to send; else reviews are invented")
    add("--starts", type=int, default=15, help="cold starts measured (15)")
    add("--calls", type=int, default=500, help="warm calls measured (500)")
    add("--replayed", type=int, default=2000, help="requests of each replay (2000)")
    add("--publish", action="store_true", help="also write what ships with `rehearse forecast`")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Compare each container, then simulate a million requests."""
    if BENCHMARK.json.exists():
        _keep(read(BENCHMARK.json), found, (*options.containers, MILLION))
    for name in options.containers:
        with closing(
            open_waiting()
            if name == WAITING
            else open_engine(options.engine, options.image, options.model)
        ) as engine:
            profile = compare(name, engine, options, found)
        if options.publish and name == BUNDLED:
            profile.write(profiles.EXAMPLE)
    tell(f"simulate {MILLION} requests")
    found.add(MILLION, million(profile.times(MEMORY_MB)))
    if options.publish:
        validation = {name: errors(found, name) for name in (WAITING, BUNDLED)}
        VALIDATION.write_text(json.dumps(validation) + "\n", encoding="utf-8")


def open_waiting() -> RecordingEngine:
    """Return an engine that runs the container that waits."""
    command = (sys.executable, waiting_container.__file__)
    return RecordingEngine(ProcessEngine(command), ContainerDefinition(WAITING, None, {}))


def compare(
    name: str, engine: RecordingEngine, options: argparse.Namespace, found: Results
) -> profiles.Profile:
    """Measure a container's profile, then replay and simulate traces at each MaxConcurrency."""
    import numpy as np

    facts = machine.facts()
    load = facts["load of the machine at the start"]
    when = f"{facts['date']}, load of the machine at the start {load}, niceness {os.nice(0)}"
    found.say(name, {"measured": when, "CPU": facts["CPU"]})
    tell(f"{name}: measure a profile")
    records = _records(options.requests)
    sandbox = measurement.Sandbox(engine, engine.container, MEMORY_MB, quotas=NO_FREEZE)
    measured = measurement.measure(sandbox, records, options.starts, options.calls)
    times = measured.times
    if times is None:
        raise SystemExit(f"{name}: {measured.failure}")
    answer_seconds = statistics.mean(times.warm) / 1e3
    for most in CONCURRENCIES:
        tell(f"{name}: MaxConcurrency {most}")
        random = np.random.default_rng(SEED + most)
        due = replay.arrivals(options.replayed, answer_seconds, most, random)
        replayed = replay.replay(engine, most, due, records)
        found.add(f"{name}, rehearsed {most}", replayed.figures())
        for _ in range(SIMULATIONS):
            simulated = replay.simulated(replayed.sent, times, most, random)
            found.add(f"{name}, forecast {most}", simulated)
    image = engine.container.image
    return profiles.Profile(image, facts["CPU"], measured.bytes, {MEMORY_MB: times})


def million(times: profiles.Times) -> dict[str, float]:
    """Return what a simulation of a million requests and 200 environments takes."""
    import numpy as np

    random = np.random.default_rng(SEED)
    rate = 100 / (statistics.mean(times.warm) / 1e3)  # 100 under way on average
    arrivals = np.cumsum(random.exponential(1 / rate, 1_000_000))
    begun, used = time.perf_counter(), time.process_time()
    simulation.simulate(arrivals, times, 200, IDLE_SECONDS, random)
    return {
        "seconds": time.perf_counter() - begun,
        "CPU seconds": time.process_time() - used,
    }


def errors(found: Results, name: str) -> dict[str, object]:
    """Return the largest errors for a container, as a forecast prints them."""
    return {
        "cpu": found.words["CPU"][name],
        "runs": len(CONCURRENCIES),
        "p50_error": largest_error(found, name, "latency p50"),
        "throttled_error": largest_error(found, name, "throttled"),
    }


def _keep(before: Results, found: Results, measured: tuple[str, ...]) -> None:
    """Take over the figures and words of all but what is measured now."""
    for what, figures in before.values.items():
        found.values[what] = {
            who: each for who, each in figures.items() if not who.startswith(measured)
        }
    for what, words in before.words.items():
        found.words[what] = {who: each for who, each in words.items() if who not in measured}


def _records(path: Path | None) -> list[bytes]:
    if path is not None:
        return requests.read(path)
    return [client.body(each).strip() for each in texts.invented(500)]


BENCHMARK = Benchmark(
    "forecast",
    "Hold forecasts against rehearsals.",
    Path(__file__).with_name("FORECAST.md"),
    add_options,
    measure,
    page,
)
main = BENCHMARK.run

"""Measure the data plane of the rehearsal: its overhead, its bursts and its faults: REHEARSE.md."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from benchmarks.harness import containers, machine
from benchmarks.harness.client import Client
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.subjects import DEFAULT_MODEL
from benchmarks.rehearsal import endpoint, injected_faults, rehearse_page
from benchmarks.rehearsal.recording_engine import BODY, CALL, RecordingEngine, open_engine
from rehearse.errors import ContainerEngineError, Throttled

CONCURRENCY = 4
BURSTS = (4, 5, 8, 20, 64)
WARM_UP = 50  # pairs
tell = partial(print, file=sys.stderr, flush=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--engines", nargs="+", choices=("docker", "process"), default=("docker",))
    parser.add_argument("--image", default=containers.default_image("slim"), help="for docker")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the default model")
    parser.add_argument("--pairs", type=int, default=2000, help="calls compared (2000)")
    parser.add_argument("--runs", type=int, default=5, help="bursts from zero (5)")
    parser.add_argument("--calls", type=int, default=10_000, help="calls with faults (10000)")
    parser.add_argument("--every", type=int, default=100, help="calls for each fault (100)")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Measure everything on each engine."""
    others = machine.OtherWork()
    try:
        for kind in options.engines:
            measure_engine(kind, options, found)
    except ContainerEngineError as error:
        raise SystemExit(f"rehearsal: {error}") from error
    if "docker" in options.engines:
        found.facts["image"] = containers.named(options.image)
    else:  # what containers do is not told from what others do
        found.facts["other work"] = others.words()


def measure_engine(kind: str, options: argparse.Namespace, found: Results) -> None:
    """Measure everything on one engine."""
    with closing(open_engine(kind, options.image, options.model.resolve())) as engine:
        found.say(kind, {"limits": "; ".join(engine.not_imposed)})
        tell(f"{kind}: {options.pairs} pairs")
        found.add(f"{kind}, data plane", overhead(engine, options.pairs))
        for way, figures in whole(kind, options.image, options.pairs).items():
            found.add(f"{kind}, {way}", figures)
        tell(f"{kind}: {options.runs} bursts")
        for times in bursts(engine, options.runs):
            found.add(kind, times)
        tell(f"{kind}: throttling")
        for calls in BURSTS:
            found.add(kind, {f"throttled of {calls}": throttling(engine, calls)})
        tell(f"{kind}: {options.calls} calls with faults")
        found.add(kind, injected_faults.run(engine, CONCURRENCY, options.calls, options.every))
        found.add(kind, {"left": len(engine.alive())})


def overhead(engine: RecordingEngine, pairs: int) -> dict[str, float]:
    """Compare a call through the data plane with the same call past it."""
    with engine.serving(1) as variant, closing(Client(engine.started[-1].port)) as direct:
        return compared(lambda: variant.invoke(CALL), lambda: direct.post(BODY), pairs)


def whole(kind: str, image: str, pairs: int) -> dict[str, dict[str, float]]:
    """Compare InvokeEndpoint of a `rehearse up` with the same call past it: by HTTP, and boto3."""
    with endpoint.endpoint(kind, image) as (by_boto3, by_http, past):
        return {
            "HTTP": compared(by_http, past, pairs),
            "boto3": compared(by_boto3, past, pairs),
        }


def compared(
    one: Callable[[], object], other: Callable[[], object], pairs: int
) -> dict[str, float]:
    """Return the milliseconds of the two, and what the first takes more.

    They are called by turns, so that both meet the same machine.
    """
    through: list[float] = []
    past: list[float] = []
    ways = [(through, one), (past, other)]
    for turn in range(pairs + WARM_UP):
        for times, call in ways if turn % 2 else reversed(ways):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1e3)
    through, past = through[WARM_UP:], past[WARM_UP:]
    more = [slow - fast for slow, fast in zip(through, past, strict=True)]
    return {
        "pairs": pairs,
        "past": median(past),
        "through": median(through),
        "more": median(more),
        "more_p95": quantiles(more, n=20)[-1],
    }


def bursts(engine: RecordingEngine, runs: int) -> list[dict[str, float]]:
    """Return for each run the seconds of one cold start, and of four at once."""
    found: list[dict[str, float]] = []
    with engine.serving(CONCURRENCY, idle_seconds=0.0) as variant:
        for _ in range(runs):
            times = {}
            for name, count in (("alone", 1), ("together", CONCURRENCY)):
                while variant.sizes()[0] or engine.alive():  # from zero
                    variant.sweep()
                    time.sleep(0.05)
                begun = time.perf_counter()
                with ThreadPoolExecutor(count) as threads:
                    calls = [threads.submit(variant.invoke, CALL) for _ in range(count)]
                    assert all(call.result().cold for call in calls)
                times[name] = time.perf_counter() - begun
            found.append(times)
    return found


def throttling(engine: RecordingEngine, calls: int) -> int:
    """Count the throttled of so many calls at once; all come before a cold start can end."""
    with engine.serving(CONCURRENCY, idle_seconds=0.0) as variant:
        while variant.sizes()[0]:
            variant.sweep()
        together = threading.Barrier(calls)

        def call() -> bool:
            together.wait()
            try:
                variant.invoke(CALL)
            except Throttled:
                return True
            return False

        with ThreadPoolExecutor(calls) as threads:
            return sum(each.result() for each in [threads.submit(call) for _ in range(calls)])


BENCHMARK = Benchmark(
    "rehearsal",
    "Measure the data plane of the rehearsal.",
    Path(__file__).with_name("REHEARSE.md"),
    add_options,
    measure,
    rehearse_page.page,
)
main = BENCHMARK.run

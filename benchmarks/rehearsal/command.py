"""The rehearsal's data plane in, its overhead, its bursts and its faults out: REHEARSE.md.

python -m benchmarks rehearsal [--engines docker process] [--image IMAGE] [--calls 10000]
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

from benchmarks.harness import containers, machine
from benchmarks.harness.client import Client
from benchmarks.harness.subjects import DEFAULT_MODEL
from benchmarks.rehearsal import endpoint, environments, injected_faults, rehearse_page
from benchmarks.rehearsal.rehearse_page import Burst, Found, Overhead
from rehearse.engines import EngineError
from rehearse.model import Serverless, Throttled

PAGE = Path(__file__).with_name("REHEARSE.md")
MEMORY_MB = 1024
CONCURRENCY = 4
BURSTS = (4, 5, 8, 20, 64)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Measure the data plane of the rehearsal.")
    parser.add_argument("--engines", nargs="+", choices=("docker", "process"), default=("docker",))
    parser.add_argument("--image", default=containers.default_image("slim"), help="for docker")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the default model")
    parser.add_argument("--pairs", type=int, default=2000, help="calls compared (2000)")
    parser.add_argument("--runs", type=int, default=5, help="bursts from zero (5)")
    parser.add_argument("--calls", type=int, default=10_000, help="calls with faults (10000)")
    parser.add_argument("--every", type=int, default=100, help="calls for each fault (100)")
    options = parser.parse_args(arguments)
    words = [Path(word).name if "/" in word else word for word in arguments or ()]
    command = shlex.join(["python", "-m", "benchmarks", "rehearsal", *words])
    facts = machine.facts() | {"load of the machine at the start": f"{os.getloadavg()[0]:.1f}"}
    if "docker" in options.engines:
        facts["image"] = containers.named(options.image)
    try:
        found = [measure(kind, options) for kind in options.engines]
    except EngineError as error:
        raise SystemExit(f"plane: {error}") from error
    PAGE.write_text(rehearse_page.page(command, facts, found), encoding="utf-8")
    print(PAGE.read_text())


def measure(kind: str, options: argparse.Namespace) -> Found:
    """Everything, on one engine."""
    place = environments.of(kind, options.image, options.model.resolve())
    try:
        say(f"{kind}: {options.pairs} pairs")
        pairs = overhead(place, options.pairs)
        by_http, by_boto3 = whole(kind, options.image, options.pairs)
        say(f"{kind}: {options.runs} bursts")
        burst = bursts(place, options.runs)
        say(f"{kind}: throttling")
        throttled = {calls: throttling(place, calls) for calls in BURSTS}
        say(f"{kind}: {options.calls} calls with faults")
        spec = Serverless(MEMORY_MB, CONCURRENCY)
        faults = injected_faults.run(place, spec, options.calls, options.every)
        left = len(place.alive())
    finally:
        place.close()
    return Found(kind, place.limits, pairs, by_http, by_boto3, burst, throttled, faults, left)


def overhead(place: environments.Desk, pairs: int) -> Overhead:
    """Times of the same call through the data plane and past it."""
    with place.fleet(Serverless(MEMORY_MB, 1)) as fleet, closing(_direct(place)) as direct:
        return compared(
            lambda: fleet.invoke(environments.CALL), lambda: direct.post(environments.BODY), pairs
        )


def _direct(place: environments.Desk) -> Client:
    return Client(place.started[-1].port)


def whole(kind: str, image: str, pairs: int) -> tuple[Overhead, Overhead]:
    """InvokeEndpoint of a `rehearse up`, and past it: by HTTP, and by boto3."""
    with endpoint.endpoint(kind, image, MEMORY_MB) as (client, wire, direct):

        def past() -> object:
            return direct.post(environments.BODY)

        return (
            compared(lambda: wire.post(environments.BODY), past, pairs),
            compared(lambda: endpoint.invoke(client), past, pairs),
        )


def compared(one: Callable[[], object], other: Callable[[], object], pairs: int) -> Overhead:
    """By turns, so that both meet the same machine."""
    through: list[float] = []
    past: list[float] = []
    ways = [(through, one), (past, other)]
    for turn in range(pairs + 50):
        for times, call in ways if turn % 2 else reversed(ways):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1e3)
    through, past = through[50:], past[50:]  # the first ones only warm up
    more = [slow - fast for slow, fast in zip(through, past, strict=True)]
    return Overhead(pairs, median(past), median(through), median(more), quantiles(more, n=20)[-1])


def bursts(place: environments.Desk, runs: int) -> Burst:
    """Seconds of one cold start, and of four at once."""
    alone: list[float] = []
    together: list[float] = []
    with place.fleet(Serverless(MEMORY_MB, CONCURRENCY), idle_seconds=0.0) as fleet:
        for _ in range(runs):
            for count, times in ((1, alone), (CONCURRENCY, together)):
                while fleet.sizes()[0] or place.alive():  # from zero
                    fleet.sweep()
                    time.sleep(0.05)
                begun = time.perf_counter()
                with ThreadPoolExecutor(count) as threads:
                    calls = [threads.submit(fleet.invoke, environments.CALL) for _ in range(count)]
                    assert all(call.result().cold for call in calls)
                times.append(time.perf_counter() - begun)
    return Burst(runs, median(alone), median(together), min(together), max(together))


def throttling(place: environments.Desk, calls: int) -> int:
    """How many of so many calls at once are throttled; all come before a cold start can end."""
    with place.fleet(Serverless(MEMORY_MB, CONCURRENCY), idle_seconds=0.0) as fleet:
        while fleet.sizes()[0]:
            fleet.sweep()
        together = threading.Barrier(calls)

        def call() -> bool:
            together.wait()
            try:
                fleet.invoke(environments.CALL)
            except Throttled:
                return True
            return False

        with ThreadPoolExecutor(calls) as threads:
            return sum(each.result() for each in [threads.submit(call) for _ in range(calls)])


def say(what: str) -> None:
    """Progress, for who watches."""
    print(what, file=sys.stderr, flush=True)

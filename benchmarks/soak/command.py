"""Keep a server under load, and count what it loses, how long it takes and how it grows: SOAK.md.

benchmarks/soak/phases.py says what is done, in which order.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.harness import machine, servers, texts
from benchmarks.harness.client import body
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.subjects import DEFAULT_MODEL
from benchmarks.soak import soak_page, soak_plot
from benchmarks.soak.known_answers import Questions, learn
from benchmarks.soak.phases import Phases


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--minutes", type=float, default=30, help="of the rounds (default 30)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of the server (default 0)")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the default model")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Go through all phases, against a server that is started for them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    # As it is deployed: it writes its log, and metrics.
    launch = servers.ours(options.model.resolve(), LOG_LEVEL="info")
    found.facts["packages"] += f", hdrhistogram {metadata.version('hdrhistogram')}"
    found.facts["model"] = options.model.name
    others = machine.OtherWork()
    with servers.running(launch, {options.cpu}, output=subprocess.DEVNULL) as running:
        running.wait(body(texts.FIRST))
        known = learn(running.client.post)
        found.facts["texts"] = f"{len(known)}, invented; no two have the same answer"
        seconds = options.minutes * 60
        Phases(running, Questions(known), found, options.connections, seconds).run()
    found.facts["other work"] = others.words()


BENCHMARK = Benchmark(
    "soak",
    "Keep a server busy, and count what it loses.",
    Path(__file__).with_name("SOAK.md"),
    add_options,
    measure,
    soak_page.page,
    soak_plot.draw,
)
main = BENCHMARK.run

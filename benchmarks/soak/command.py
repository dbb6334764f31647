"""Keep a server under load, and count what it loses, how long it takes and how it grows.

python -m benchmarks soak [--minutes 30] [--connections 1 8 64 256] [--redraw]
writes SOAK.md, soak.json and soak.svg. benchmarks/soak/phases.py says what is done, in which order.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.harness import machine, results, servers, texts
from benchmarks.harness.client import body
from benchmarks.harness.subjects import DEFAULT_MODEL
from benchmarks.soak import soak_page, soak_plot
from benchmarks.soak.known_answers import Questions, learn
from benchmarks.soak.phases import Phases

HERE = Path(__file__).resolve().parent


def main() -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Keep a server busy, and count what it loses.")
    parser.add_argument("--minutes", type=float, default=30, help="of the rounds (default 30)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of the server (default 0)")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the default model")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    parser.add_argument("--redraw", action="store_true", help="only from soak.json")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    if options.redraw:
        found = results.read(options.out / "soak.json")
    else:
        found = run(options)
        found.write(options.out / "soak.json")
    (options.out / "SOAK.md").write_text(soak_page.page(found), encoding="utf-8")
    soak_plot.draw(found, options.out / "soak.svg")
    print((options.out / "SOAK.md").read_text(encoding="utf-8"))


def run(options: argparse.Namespace) -> results.Results:
    """All phases, against a server that is started for them."""
    # As it is deployed: it writes its log, and metrics.
    launch = servers.ours(options.model.resolve(), LOG_LEVEL="info")
    # Where folders lie on this machine is nobody's business.
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    command = shlex.join(["python", "-m", "benchmarks", "soak", *words])
    facts = machine.facts()
    facts["packages"] += f", hdrhistogram {metadata.version('hdrhistogram')}"
    facts["model"] = options.model.name
    found = results.Results(command, facts)
    others = machine.OtherWork()
    with servers.running(launch, {options.cpu}, output=subprocess.DEVNULL) as running:
        running.wait(body(texts.FIRST))
        known = learn(running.client.post)
        facts["texts"] = f"{len(known)}, invented; no two have the same answer"
        phases = Phases(running, Questions(known), found, options.connections, options.minutes)
        phases.run()
    facts["other work"] = others.words()
    return found

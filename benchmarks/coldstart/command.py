"""A packed model directory in; its server's cold start, or the stages it is made of, out.

python -m benchmarks coldstart [MODEL_DIR] [--runs 5] [--breakdown]

Threads of one CPU take turns, so stages of different lanes overlap: a stage's wall time holds what
others did meanwhile, its CPU time does not.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.coldstart import stages
from benchmarks.harness import servers, texts
from benchmarks.harness.client import body

DEFAULT_MODEL = servers.ROOT / "models" / "clothing-sentiment"
# Counters of /proc/PID/io, all processes added up.
COUNTERS = ("rchar", "syscr", "read_bytes")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Time cold starts of `serve`.")
    parser.add_argument("model", type=Path, nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of the server (default 0)")
    parser.add_argument("--breakdown", action="store_true", help="stage by stage")
    options = parser.parse_args(arguments)
    from tqdm import tqdm

    launch = servers.ours(options.model.resolve())
    start(launch, options.cpu)  # fills the page cache
    colds: list[float] = []
    traces: list[list[stages.Stage]] = []
    counts: dict[str, int] = {}
    for _ in tqdm(range(options.runs), unit="run", disable=not sys.stderr.isatty()):
        seconds, counts = start(launch, options.cpu)
        colds.append(seconds * 1e3)
        if options.breakdown:
            traces.append(traced(options.model.resolve(), options.cpu))
    middle, least, most = statistics.median(colds), min(colds), max(colds)
    print(f"cold start: {middle:.0f} ms ({least:.0f}-{most:.0f}), {options.runs} starts")
    if options.breakdown:
        last = statistics.median(max(stage.end for stage in trace) for trace in traces)
        print(f"with the tracer: {last:.0f} ms; medians of its stages:\n")
        print(stages.table(stages.medians(traces)))
        read = ", ".join(f"{name} {counts[name]:,}" for name in COUNTERS)
        print(f"\nread by then (/proc/PID/io; mapped pages are not in rchar): {read}")
        print(f"files opened: {opened(launch)}")


def start(launch: servers.Launch, cpu: int) -> tuple[float, dict[str, int]]:
    """Seconds of one cold start, and what was read by its end."""
    with servers.running(launch, {cpu}) as running:
        running.wait(body(texts.FIRST))
        seconds = time.perf_counter() - running.started
        return seconds, {name: running.io(name) for name in COUNTERS}


def traced(model: Path, cpu: int) -> list[stages.Stage]:
    """The stages of one start; the last is the client's."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        launch = servers.ours(model, "benchmarks.coldstart.tracer", TRACE_FILE=str(trace))
        with servers.running(launch, {cpu}) as running:
            running.wait(body(texts.FIRST))
            end = (time.perf_counter() - running.started) * 1e3
            asked = (running.client.asked - running.started) * 1e3
            answer = stages.Stage("client", 0, "first answer", asked, end, 0.0)
            return [*stages.read(trace, running.started), answer]


def opened(launch: servers.Launch) -> str:
    """How many files a start opens, as strace counts them; or why that is not known."""
    if shutil.which("strace") is None:
        return "unknown, since strace is not installed"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "strace"
        command = ("strace", "-f", "-e", "trace=open,openat", "-o", str(log), *launch.command)
        with servers.running(replace(launch, command=command), {0}) as running:
            running.wait(body(texts.FIRST))
            # strace would leave the server behind; without one it ends by itself.
            _, server_itself, *_ = servers.tree(running.process.pid)
            os.kill(server_itself, signal.SIGTERM)
            running.process.wait(servers.STOP_SECONDS)
        calls = re.findall(r"open(?:at)?\b.*= (-?\d+)", log.read_text())
    found = sum(int(result) >= 0 for result in calls)
    return f"{found}, and {len(calls) - found} that were looked for in vain"

"""Time cold starts, show the stages that one is made of, and what lazy imports save: COLDSTART.md.

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
from dataclasses import replace
from pathlib import Path

from benchmarks.coldstart import stages
from benchmarks.harness import machine, pages, servers, texts
from benchmarks.harness.client import body
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.subjects import DEFAULT_MODEL

# Counters of /proc/PID/io, all processes added up.
COUNTERS = ("rchar", "syscr", "read_bytes")
# The same start twice; in the second, nothing takes the place of a module that is put off.
LAZY = "from serve.__main__ import main; main()"
PROGRAMS = {
    "lazy": LAZY,
    "all": f"from serve import lazy_imports; lazy_imports.install = lambda: None; {LAZY}",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", type=Path, nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--runs", type=int, default=5, help="starts (default 5)")
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of the server (default 0)")
    parser.add_argument("--breakdown", action="store_true", help="stage by stage")
    parser.add_argument(
        "--pairs", type=int, default=0, help="starts with and without lazy imports (default 0)"
    )


def measure(options: argparse.Namespace, found: Results) -> None:
    """Start the server again and again."""
    from tqdm import tqdm

    model = options.model.resolve()
    launch = servers.ours(model)
    found.facts["model"] = model.name
    others = machine.OtherWork()
    start(launch, options.cpu)  # fills the page cache
    figures: dict[str, float] = {}
    for _ in tqdm(range(options.runs), unit="run", disable=not sys.stderr.isatty()):
        figures = start(launch, options.cpu)
        found.add("all", {"cold": figures["cold"]})
        if options.breakdown:
            trace(model, options.cpu, found)
    if options.breakdown:
        found.add("all", {name: figures[name] for name in COUNTERS})
        found.say("all", {"files opened": opened(launch)})
    for turn in tqdm(range(options.pairs), unit="pair", disable=not sys.stderr.isatty()):
        for who in PROGRAMS if turn % 2 else reversed(PROGRAMS):
            command = (sys.executable, "-c", PROGRAMS[who])
            figures = start(replace(launch, command=command), options.cpu)
            found.add(who, {"first answer": figures["cold"], "CPU time": figures["cpu"]})
    found.facts["other work"] = others.words()


def start(launch: servers.Launch, cpu: int) -> dict[str, float]:
    """Return the milliseconds and CPU milliseconds of one cold start, and what was read by then."""
    with servers.running(launch, {cpu}) as running:
        running.wait(body(texts.FIRST))
        cold = (time.perf_counter() - running.started) * 1e3
        figures = {"cold": cold, "cpu": running.cpu_seconds() * 1e3}
        return figures | {name: running.io(name) for name in COUNTERS}


def trace(model: Path, cpu: int, found: Results) -> None:
    """Add the stages of one start; the last is the client's."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "trace"
        launch = servers.ours(model, "benchmarks.coldstart.tracer", TRACE_FILE=str(written))
        with servers.running(launch, {cpu}) as running:
            running.wait(body(texts.FIRST))
            end = (time.perf_counter() - running.started) * 1e3
            asked = (running.client.asked - running.started) * 1e3
            stages.keep(written, running.started, found)
            stages.add(stages.Stage("client", 0, "first answer", asked, end, 0.0), found)


def opened(launch: servers.Launch) -> str:
    """Say how many files a start opens, as strace counts them; or why that is not known."""
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


def page(results: Results) -> str:
    """Write the page."""
    colds = results.of("cold", "all")
    parts = [
        f"# Cold starts\n\n    {results.command}",
        f"Measured locally: {pages.machine(results)}. Other work on the machine meanwhile: "
        f"{results.facts['other work']}.",
        f"From exec of the server to its first answer, on one CPU, with its files in the page "
        f"cache: **{pages.spread(colds, 0, 'ms')}**, {len(colds)} starts.",
    ]
    if "lane" in results.words:
        parts += [_breakdown(results)]
    if results.of("first answer", "all"):
        parts += [_savings(results)]
    return "\n\n".join([*parts, pages.facts(results)]) + "\n"


def _breakdown(results: Results) -> str:
    last = statistics.median(results.of("end", "first answer"))
    read = ", ".join(f"{name} {results.of(name, 'all')[0]:,.0f}" for name in COUNTERS)
    return f"""## Stage by stage

With the tracer the first answer comes after {last:.0f} ms; medians of its stages, in ms:

```
{stages.table(results)}
```

Threads of one CPU take turns, so stages of different lanes overlap: a stage's wall time holds what
others did meanwhile, its CPU time does not.

- read by then (/proc/PID/io; mapped pages are not in rchar): {read}
- files opened: {results.words["files opened"]["all"]}"""


def _savings(results: Results) -> str:
    """Compare starts with lazy imports to those without, pair by pair."""
    lines = []
    for what in ("first answer", "CPU time"):
        lazy, every = results.of(what, "lazy"), results.of(what, "all")
        saved = [more - less for more, less in zip(every, lazy, strict=True)]
        ratio = statistics.median(every) / statistics.median(lazy)
        figures = [pages.spread(each, 0, "ms") for each in (lazy, every, saved)]
        lines.append([f"{what}, ms", *figures, f"{ratio:.2f}"])
    heads = ("", "lazy imports", "without", "saved in a pair", "ratio of medians")
    return f"""## What lazy imports save

`serve/lazy_imports.py` puts off the import of modules that serving one model does not need. Here a
start with it and one without follow each other, {len(saved)} pairs, by turns the one and the other
first. CPU time is that of all processes of the server until the first answer.

{pages.table(heads, lines)}"""


BENCHMARK = Benchmark(
    "coldstart",
    "Time cold starts of `serve`, and show what they are made of.",
    Path(__file__).with_name("COLDSTART.md"),
    add_options,
    measure,
    page,
)
main = BENCHMARK.run

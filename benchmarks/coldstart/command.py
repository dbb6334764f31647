"""Time cold starts, count what they touch, and show what they are made of: COLDSTART.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.coldstart import blocks, causes, coldstart_page, sandbox_start, stages
from benchmarks.harness import containers, machine, servers, subjects, texts
from benchmarks.harness.client import body
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.subjects import Subject

PARTS = ("start", "blocks", "sandbox")
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
    parser.add_argument(
        "models", type=Path, nargs="*", help="packed; default: RoBERTa-base's shape, the bundled"
    )
    parser.add_argument("--runs", type=int, default=5, help="starts of each model (default 5)")
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of the server (default 0)")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default all)"
    )
    parser.add_argument("--breakdown", action="store_true", help="CPU time stage by stage, too")
    parser.add_argument(
        "--pairs", type=int, default=0, help="starts with and without lazy imports (default 0)"
    )
    parser.add_argument("--image", default=containers.default_image("slim"), help="for the sandbox")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Start the servers again and again."""
    models = _models(options.models)
    found.facts["models"] = ", ".join(models)
    others = machine.OtherWork()
    if "start" in options.parts:
        add_starts(models, options, found)
    if "blocks" in options.parts:
        for who, subject in models.items():
            try:
                add_blocks(who, subject, found)
            except blocks.UnknownError as error:
                found.missing["blocks"] = str(error)
    if "sandbox" in options.parts:
        add_sandbox(models, options, found)
    *_, last = models.values()
    add_pairs(last, options, found)
    found.facts["other work"] = others.words()


def _models(folders: list[Path]) -> dict[str, Subject]:
    """Return the models that were asked for by name, or the two of every figure."""
    if folders:
        return {each.resolve().name: subjects.served(each.resolve()) for each in folders}
    found = subjects.prepare(subjects.DEFAULT_MODEL, subjects.CHECKPOINT, None)
    return {coldstart_page.LARGE: found.ours, coldstart_page.DEFAULT: found.default}


def add_starts(models: Mapping[str, Subject], options: argparse.Namespace, found: Results) -> None:
    """Add the times of starts with files in the page cache, and their stages; models take turns."""
    from tqdm import tqdm

    for subject in models.values():
        start(subject, options.cpu)  # fills the page cache
    for _ in tqdm(range(options.runs), unit="run", disable=not sys.stderr.isatty()):
        for who, subject in models.items():
            found.add(who, start(subject, options.cpu))
            if options.breakdown:
                trace(subject, options.cpu, who, found)


def start(subject: Subject, cpu: int) -> dict[str, float]:
    """Return the seconds and CPU seconds of one cold start, and what was read by then."""
    with servers.running(subject.launch, {cpu}) as running:
        answers = running.wait(body(texts.FIRST))
        cold = time.perf_counter() - running.started
        figures = {"cold": cold, "cpu_seconds": running.cpu_seconds()}
        figures |= {name: running.io(name) for name in COUNTERS}
    subject.check(answers)
    return figures


def trace(subject: Subject, cpu: int, who: str, found: Results) -> None:
    """Add the stages of one start; the last is the client's."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "trace"
        tracer = "benchmarks.coldstart.tracer"
        launch = servers.ours(subject.folder, tracer, TRACE_FILE=str(written))
        with servers.running(launch, {cpu}) as running:
            running.wait(body(texts.FIRST))
            end = (time.perf_counter() - running.started) * 1e3
            asked = (running.client.asked - running.started) * 1e3
            stages.keep(written, running.started, who, found)
            stages.add(stages.Stage("client", 0, "first answer", asked, end, 0.0), who, found)


def add_blocks(who: str, subject: Subject, found: Results) -> None:
    """Add the blocks that a start touches, by cause and file; raises UnknownError."""
    opened = blocks.opened(subject)
    found.add(who, {"opened": opened.times, "in_vain": opened.in_vain})
    causes.add(blocks.touched(subject, opened.files), subject.folder, who, found)


def add_sandbox(models: Mapping[str, Subject], options: argparse.Namespace, found: Results) -> None:
    """Add starts in the sandbox of an endpoint, if there is an engine with the image."""
    why = containers.missing(options.image)
    if why:
        found.missing["sandbox"] = why
        return
    found.facts["image"] = containers.named(options.image)
    for subject in models.values():
        sandbox_start.start(options.image, subject)  # fills the page cache
    for _ in range(options.runs):
        for who, subject in models.items():
            found.add(who, sandbox_start.start(options.image, subject))


def add_pairs(subject: Subject, options: argparse.Namespace, found: Results) -> None:
    """Add starts with and without lazy imports, by turns the one and the other first."""
    from tqdm import tqdm

    for turn in tqdm(range(options.pairs), unit="pair", disable=not sys.stderr.isatty()):
        for who in PROGRAMS if turn % 2 else reversed(PROGRAMS):
            command = (sys.executable, "-c", PROGRAMS[who])
            launch = replace(subject.launch, command=command)
            figures = start(replace(subject, launch=launch), options.cpu)
            found.add(who, {name: figures[name] for name in ("cold", "cpu_seconds")})


BENCHMARK = Benchmark(
    "coldstart",
    "Time cold starts of `serve`, and show what they are made of.",
    Path(__file__).with_name("COLDSTART.md"),
    add_options,
    measure,
    coldstart_page.page,
    by_kind=True,
)
main = BENCHMARK.run

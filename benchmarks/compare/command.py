"""Compare this container with a plain one, side by side: RESULTS.md."""

from __future__ import annotations

import argparse
import compileall
import sys
from pathlib import Path

from benchmarks.compare import cost, results_page, results_plot, schedule
from benchmarks.harness import containers, servers, texts
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.subjects import CHECKPOINT, DEFAULT_MODEL, Subjects, prepare

PARTS = ("start", "disk", "load", "cost")
COST_RUNS = 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--runs", type=int, default=7, help="starts of each server (default 7)")
    parser.add_argument("--requests", type=int, default=300, help="single records a start")
    parser.add_argument("--seconds", type=float, default=10, help="under the load of 8 clients")
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of a server (default 0)")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the default model")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="made if not there")
    parser.add_argument("--data", type=Path, help=f"folder with {texts.REVIEWS}; else invented")
    parser.add_argument("--image", default=containers.default_image(), help="for the cost")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)


def measure(options: argparse.Namespace, found: Results) -> None:
    """Take the figures of every part that was asked for."""
    from tqdm import tqdm

    subjects = prepare(options.model, options.checkpoint, options.data)
    # As in the image: no start has to compile.
    for folder in (servers.ROOT / "serve", servers.ROOT / "model_handler", servers.PLAIN):
        compileall.compile_dir(folder, quiet=1)
    found.facts["counts"] = (
        f"{options.runs} runs, {options.requests} single records, {options.seconds:g} s of load"
    )
    found.facts["reviews"] = (
        "real ones, from --data" if options.data else "invented, as long as real ones"
    )
    for part in PARTS:
        if part not in options.parts:
            found.missing[part] = "not asked for"
    steps = schedule.steps(options, subjects, found)
    for who, step in tqdm(steps, unit="step", disable=not sys.stderr.isatty()):
        found.add(who, step())
    if "cost" in options.parts:
        add_images(found)
        add_cost(found, options, subjects)


def add_images(found: Results) -> None:
    """Add the sizes of the images that ./build.sh makes."""
    for target in ("slim", "full"):
        tag = containers.default_image(target)
        why = containers.missing(tag)
        if why:
            found.missing[f"image {target}"] = why
        else:
            found.add(target, {"image": containers.size(tag) / 1e6})


def add_cost(found: Results, options: argparse.Namespace, subjects: Subjects) -> None:
    """Add what a million predictions cost, where an engine has the image."""
    why = containers.missing(options.image)
    if why:
        found.missing["cost"] = why
        return
    try:
        remarks = cost.measure(found, options.image, subjects, min(options.runs, COST_RUNS))
    except OSError as error:  # of the engine; what was measured before it must not be lost
        found.missing["cost"] = f"the Docker engine failed: {error}"
        return
    found.facts["cost"] = "; ".join([containers.named(options.image), *remarks])


BENCHMARK = Benchmark(
    "compare",
    "Compare this container with a plain one.",
    Path(__file__).with_name("RESULTS.md"),
    add_options,
    measure,
    results_page.page,
    results_plot.draw,
    by_kind=True,
)
main = BENCHMARK.run

"""This container and the plain one in, side by side; RESULTS.md, results.json and .svg out.

make bench [DATA=DIR], or
python -m benchmarks compare [--runs 7] [--data DIR] [--parts start disk load cost] [--redraw]
"""

from __future__ import annotations

import argparse
import compileall
import shlex
import sys
from pathlib import Path

from benchmarks.compare import comparisons, cost, measurements, results_page, results_plot, schedule
from benchmarks.harness import containers, machine, results, servers, texts
from benchmarks.harness.subjects import CHECKPOINT, DEFAULT_MODEL, Subjects, prepare

HERE = Path(__file__).resolve().parent
PARTS = ("start", "disk", "load", "cost")
# A start from disk takes long and varies little.
DISK_RUNS = 3
COST_RUNS = 3


def main() -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Compare this container with a plain one.")
    parser.add_argument("--runs", type=int, default=7, help="starts of each server (default 7)")
    parser.add_argument("--requests", type=int, default=300, help="single records a start")
    parser.add_argument("--seconds", type=float, default=10, help="under the load of 8 clients")
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of a server (default 0)")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the default model")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="made if not there")
    parser.add_argument("--data", type=Path, help=f"folder with {texts.REVIEWS}; else invented")
    parser.add_argument("--image", default=containers.default_image(), help="for the cost")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    parser.add_argument("--redraw", action="store_true", help="only from results.json")
    options = parser.parse_args()
    if options.redraw:
        found = results.read(options.out / "results.json")
    else:
        found = run(options)
        found.write(options.out / "results.json")
    write(found, options.out)
    print((options.out / "RESULTS.md").read_text())


def write(found: results.Results, out: Path) -> None:
    """The page and the picture, from the results alone."""
    (out / "RESULTS.md").write_text(results_page.page(found), encoding="utf-8")
    results_plot.draw(found, out / "results.svg")


def run(options: argparse.Namespace) -> results.Results:
    """Every part that was asked for."""
    from tqdm import tqdm

    subjects = prepare(options.model, options.checkpoint, options.data)
    # As in the image: no start has to compile.
    for folder in (servers.ROOT / "serve", servers.ROOT / "model_handler", servers.PLAIN):
        compileall.compile_dir(folder, quiet=1)
    # Where folders lie on this machine is nobody's business.
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    command = shlex.join(["python", "-m", "benchmarks", "compare", *words])
    counts = (
        f"{options.runs} runs, {options.requests} single records, {options.seconds:g} s of load"
    )
    origin = "real ones, from --data" if options.data else "invented, as long as real ones"
    facts = {"counts": counts, "reviews": origin}
    found = results.Results(command, machine.facts() | facts)
    for part in PARTS:
        if part not in options.parts:
            found.missing[part] = "not asked for"
    for who, step in tqdm(_steps(options, subjects, found), unit="step"):
        found.add(who, step())
    if "cost" in options.parts:
        add_images(found)
        add_cost(found, options, subjects)
    return found


def _steps(
    options: argparse.Namespace, subjects: Subjects, found: results.Results
) -> list[schedule.Step]:
    """What is to be done on the bare machine, in order."""
    steps = []
    if "start" in options.parts:
        steps += schedule.starts(subjects, options.cpu, options.runs, options.requests)
    if "disk" in options.parts:
        why = measurements.undroppable()
        if why:
            found.missing[comparisons.DISK] = why
        else:
            steps += schedule.disk(subjects, options.cpu, min(options.runs, DISK_RUNS))
    if "load" in options.parts:
        steps += schedule.loads(subjects, options.runs, options.seconds)
    return steps


def add_images(found: results.Results) -> None:
    """Sizes of the images that ./build.sh makes."""
    for target in ("slim", "full"):
        tag = containers.default_image(target)
        why = containers.missing(tag)
        if why:
            found.missing[f"image {target}"] = why
        else:
            found.add(target, {"image": containers.size(tag) / 1e6})


def add_cost(found: results.Results, options: argparse.Namespace, subjects: Subjects) -> None:
    """What a million predictions cost, where an engine has the image."""
    why = containers.missing(options.image)
    if why:
        found.missing["cost"] = why
        return
    try:
        runs, remarks = cost.of_subjects(options.image, subjects, min(options.runs, COST_RUNS))
    except OSError as error:  # of the engine; what was measured before it must not be lost
        found.missing["cost"] = f"the Docker engine failed: {error}"
        return
    for who, figures in runs.items():
        for one in figures:
            found.add(who, one)
    found.facts["cost"] = "; ".join([containers.named(options.image), *remarks])

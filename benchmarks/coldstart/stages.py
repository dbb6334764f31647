"""Read the stages of a start from its trace, and draw them as a table with a bar for each."""

from __future__ import annotations

import itertools
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.results import Results

# What a start is known to be made of; a stage that leaves no line is named below the table.
KNOWN = (
    "interpreter",
    "import serve.__main__",
    "gunicorn config",
    "gunicorn arbiter",
    "socket bound",
    "fork",
    "worker up",
    "app",
    "import flask",
    "model load",
    "import numpy",
    "import onnxruntime",
    "import tokenizers",
    "session",
    "tokenizer",
    "probe run",
    "first request",
    "first answer",
)
BAR = 40


@dataclass(frozen=True)
class Stage:
    """One stage, in milliseconds since exec; `lane` is the process and thread it ran in."""

    lane: str
    depth: int
    name: str
    start: float
    end: float
    cpu: float


def read(trace: Path, started: float) -> list[Stage]:
    """Return the stages of a start that began at `started` (time.perf_counter), in order."""
    found = []
    times: Counter[str] = Counter()
    rows = [line.split("\t") for line in trace.read_text().splitlines()]
    for lane, depth, name, start, end, cpu in sorted(rows, key=lambda row: float(row[3])):
        times[name] += 1
        title = name if times[name] == 1 else f"{name} {times[name]}"
        lane = re.sub(r"[-_]\d+", "", lane)  # ThreadPoolExecutor-0_3: whichever came
        since, until = ((max(float(value), started) - started) * 1e3 for value in (start, end))
        found.append(Stage(lane, int(depth), title, since, until, float(cpu) * 1e3))
    return found


def medians(runs: Sequence[Sequence[Stage]]) -> list[Stage]:
    """Return each stage that most runs have, with the medians of its times; lane by lane.

    A stage may run in another thread the next time (whichever comes first imports numpy), so the
    lane is the most frequent one.
    """
    same: dict[str, list[Stage]] = {}
    for stage in itertools.chain.from_iterable(runs):
        same.setdefault(stage.name, []).append(stage)
    found = []
    for name, all_of_it in same.items():
        if 2 * len(all_of_it) > len(runs):
            start, end, cpu = (
                statistics.median(getattr(stage, field) for stage in all_of_it)
                for field in ("start", "end", "cpu")
            )
            lane, depth = statistics.mode((stage.lane, stage.depth) for stage in all_of_it)
            found.append(Stage(lane, depth, name, start, end, cpu))
    lanes = list(dict.fromkeys(stage.lane for stage in found))
    return sorted(found, key=lambda stage: (lanes.index(stage.lane), stage.start, stage.depth))


def keep(found: Sequence[Stage], results: Results) -> None:
    """Add stages to results."""
    for stage in found:
        figures = {field: getattr(stage, field) for field in ("depth", "start", "end", "cpu")}
        results.add(stage.name, figures)
        results.say(stage.name, {"lane": stage.lane})


def kept(results: Results) -> list[Stage]:
    """Return the stages that were added to results."""
    found = []
    for name, lane in results.words["lane"].items():
        depth, start, end, cpu = (
            results.of(field, name)[0] for field in ("depth", "start", "end", "cpu")
        )
        found.append(Stage(lane, int(depth), name, start, end, cpu))
    return found


def table(stages: Sequence[Stage]) -> str:
    """Draw a line for each stage: start, end, wall time, CPU time, and a bar on one time axis."""
    whole = max(stage.end for stage in stages)
    lines = [f"{'ms':36} {'start':>7} {'end':>7} {'wall':>7} {'CPU':>7}"]
    lane = ""
    for stage in stages:
        if stage.lane != lane:
            lane = stage.lane
            lines.append(f"{lane}:")
        name = "  " * (stage.depth + 1) + stage.name
        numbers = (stage.start, stage.end, stage.end - stage.start, stage.cpu)
        cells = " ".join(f"{number:7.1f}" for number in numbers)
        lines.append(f"{name:36} {cells}  {_bar(stage, whole)}".rstrip())
    names = {stage.name for stage in stages}
    unseen = [name for name in KNOWN if name not in names]
    if unseen:
        lines.append(f"not seen: {', '.join(unseen)}")
    return "\n".join(lines)


def _bar(stage: Stage, whole: float) -> str:
    left = round(stage.start / whole * BAR)
    width = round(stage.end / whole * BAR) - left
    return " " * left + ("#" * width or "|")

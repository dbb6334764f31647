"""Keep the stages of starts, read from their traces, and draw them as a table with bars."""

from __future__ import annotations

import re
import statistics
from collections import Counter
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
    "import tokie",
    "session",
    "tokenizer",
    "first request",
    "first answer",
)
BAR = 40
TIMES = ("depth", "start", "end", "cpu")


@dataclass(frozen=True)
class Stage:
    """One stage, in milliseconds since exec; `lane` is the process and thread it ran in."""

    lane: str
    depth: int
    name: str
    start: float
    end: float
    cpu: float


def keep(trace: Path, started: float, who: str, found: Results) -> None:
    """Add the stages of a start that began at `started` (time.perf_counter), in order."""
    times: Counter[str] = Counter()
    lines = [line.split("\t") for line in trace.read_text().splitlines()]
    for lane, depth, name, start, end, cpu in sorted(lines, key=lambda line: float(line[3])):
        times[name] += 1
        title = name if times[name] == 1 else f"{name} {times[name]}"
        lane = re.sub(r"[-_]\d+", "", lane)  # ThreadPoolExecutor-0_3: whichever came
        since, until = ((max(float(value), started) - started) * 1e3 for value in (start, end))
        add(Stage(lane, int(depth), title, since, until, float(cpu) * 1e3), who, found)


def add(stage: Stage, who: str, found: Results) -> None:
    """Add a stage of one start of a model."""
    figures = {what: getattr(stage, what) for what in TIMES}
    found.add(f"{who}: {stage.name}", figures)
    found.say(f"{who}: {stage.name}", {"lane": stage.lane})


def medians(found: Results, who: str) -> list[Stage]:
    """Return each stage that most starts have, with the medians of its times; lane by lane.

    A stage may run in another thread the next time (whichever comes first imports numpy); the last
    lane stands for all.
    """
    stages = []
    starts = len(found.of("end", f"{who}: first answer"))
    for key, lane in found.words.get("lane", {}).items():
        model, _, name = key.partition(": ")
        if model == who and 2 * len(found.of("end", key)) > starts:
            depth, start, end, cpu = (statistics.median(found.of(what, key)) for what in TIMES)
            stages.append(Stage(lane, int(depth), name, start, end, cpu))
    lanes = list(dict.fromkeys(stage.lane for stage in stages))
    return sorted(stages, key=lambda stage: (lanes.index(stage.lane), stage.start, stage.depth))


def own_cpu(found: Results, who: str) -> dict[str, float]:
    """Return the CPU milliseconds of each stage without those of the stages in it."""
    stages = medians(found, who)
    own = {stage.name: stage.cpu for stage in stages}
    for inner in stages:
        around = [
            stage.name
            for stage in stages
            if (stage.lane, stage.depth) == (inner.lane, inner.depth - 1)
            and stage.start <= (inner.start + inner.end) / 2 <= stage.end
        ]
        for name in around:
            own[name] -= inner.cpu
    return own


def table(found: Results, who: str) -> str:
    """Draw a line for each stage: start, end, wall time, CPU time, and a bar on one time axis."""
    stages = medians(found, who)
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

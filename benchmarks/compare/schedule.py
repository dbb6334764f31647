"""List what is measured on the bare machine, in order: servers take turns."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.compare import measurements
from benchmarks.compare.comparisons import DISK
from benchmarks.harness import servers, texts
from benchmarks.harness.results import Results
from benchmarks.harness.subjects import Subjects

# A start from disk takes long and varies little.
DISK_RUNS = 3
# Whose figures they are, and what takes them.
Step = tuple[str, Callable[[], Mapping[str, float]]]


def steps(options: Namespace, subjects: Subjects, found: Results) -> list[Step]:
    """Return the steps of the parts that were asked for and that can be measured here."""
    made: list[Step] = []
    if "start" in options.parts:
        made += _starts(subjects, options)
    if "disk" in options.parts:
        why = measurements.undroppable()
        if why:
            found.missing[DISK] = why
        else:
            runs = min(options.runs, DISK_RUNS)
            made += _each(subjects, measurements.from_disk, options.cpu) * runs
    if "load" in options.parts:
        made += _loads(subjects, options)
    return made


def _each(
    subjects: Subjects, measure: Callable[..., Mapping[str, float]], *arguments: object
) -> list[Step]:
    """Return a step for each server."""
    named = (("ours", subjects.ours), ("plain", subjects.plain), ("default", subjects.default))
    return [(who, partial(measure, subject, *arguments)) for who, subject in named]


def _starts(subjects: Subjects, options: Namespace) -> list[Step]:
    """Return starts with files in the page cache; the first turn only puts them there."""
    runs: int = options.runs
    reviews, ours = subjects.reviews, subjects.ours
    asked = (options.cpu, options.requests, reviews)
    large = texts.large(reviews)
    turns: list[Step] = [
        ("ours", partial(measurements.warm, ours, *asked, large)),
        ("engine", partial(measurements.engine, ours, options.cpu, options.requests)),
        ("floor", partial(measurements.floor, ours, options.cpu)),
        ("plain", partial(measurements.warm, subjects.plain, *asked, b"")),
        ("default", partial(measurements.warm, subjects.default, *asked, large)),
    ]
    return _each(subjects, measurements.fill, options.cpu) + turns * runs


def _loads(subjects: Subjects, options: Namespace) -> list[Step]:
    """Return loads of many clients; the plain container as it comes, and tuned by its owner."""
    runs: int = options.runs
    ours, plain = subjects.ours, subjects.plain
    tuned = servers.plain(plain.folder, "--workers", "2", OMP_NUM_THREADS="1")
    turns: list[Step] = [
        (who, partial(measurements.under_load, launch, subject, subjects.reviews, options.seconds))
        for who, launch, subject in (
            ("ours", ours.launch, ours),
            ("plain", plain.launch, plain),
            ("plain_omp", tuned, plain),
        )
    ]
    return turns * runs

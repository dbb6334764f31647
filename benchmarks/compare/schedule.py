"""Subjects and counts in; the measurements to make, in order, out. Servers take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.compare import measurements
from benchmarks.harness import servers, texts
from benchmarks.harness.subjects import Subject, Subjects

CLIENTS = 8
# Whose figures they are, and what takes them.
Step = tuple[str, Callable[[], Mapping[str, float]]]


def starts(subjects: Subjects, cpu: int, runs: int, requests: int) -> list[Step]:
    """Starts with files in the page cache; the first turn only puts them there."""
    large = texts.large(subjects.reviews)

    def turn(who: str, subject: Subject, body: bytes) -> Step:
        return who, partial(measurements.warm, subject, cpu, requests, subjects.reviews, body)

    turns: list[Step] = [
        turn("ours", subjects.ours, large),
        ("engine", partial(measurements.engine, subjects.ours, cpu, requests)),
        ("floor", partial(measurements.floor, subjects.ours, cpu)),
        turn("plain", subjects.plain, b""),
        turn("default", subjects.default, large),
    ]
    fill: list[Step] = [
        (who, partial(measurements.fill, one, cpu)) for who, one in _named(subjects)
    ]
    return fill + turns * runs


def disk(subjects: Subjects, cpu: int, runs: int) -> list[Step]:
    """Starts with nothing in the page cache."""
    turns: list[Step] = [
        (who, partial(measurements.from_disk, subject, cpu)) for who, subject in _named(subjects)
    ]
    return turns * runs


def loads(subjects: Subjects, runs: int, seconds: float) -> list[Step]:
    """Many clients; the plain container as it comes, and as its owner may tune it."""
    checkpoint = subjects.plain.folder
    tuned = servers.plain(checkpoint, "--workers", "2", OMP_NUM_THREADS="1")

    def turn(who: str, launch: servers.Launch, subject: Subject) -> Step:
        reviews = subjects.reviews
        return who, partial(measurements.under_load, launch, subject, reviews, CLIENTS, seconds)

    turns = [
        turn("ours", subjects.ours.launch, subjects.ours),
        turn("plain", subjects.plain.launch, subjects.plain),
        turn("plain_omp", tuned, subjects.plain),
    ]
    return turns * runs


def _named(subjects: Subjects) -> list[tuple[str, Subject]]:
    return [("ours", subjects.ours), ("plain", subjects.plain), ("default", subjects.default)]

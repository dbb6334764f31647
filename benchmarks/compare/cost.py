"""An image and two model directories in, what a million predictions cost with each out.

python -m benchmarks.cost [--runs 1] [--image TAG] [--checkpoint DIR] [--data DIR]
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.measurements import SETTLED_SECONDS
from benchmarks.harness import containers, subjects
from benchmarks.harness.client import body

# USD a second for 1024 MB, linear in the memory size, billed by the millisecond:
# https://github.com/aws-samples/sagemaker-serverless-inference-benchmarking, cost_constants.py
USD_PER_SECOND = 0.0000200
SINGLES = 20


@dataclass(frozen=True)
class Asked:
    """What a container has to live through: single records, then many in one body."""

    image: str
    single: bytes
    many: bytes


def usd(milliseconds: float, memory: int) -> float:
    """The price of a million requests that each take so long at a memory size."""
    billed = math.ceil(milliseconds)
    return billed / 1000 * USD_PER_SECOND * memory / 1024 * 1_000_000


def run(asked: Asked, setup: containers.Setup, memory: int) -> float:
    """Mean milliseconds of a single record; raises GoneError."""
    with containers.running(asked.image, setup, memory) as running:
        running.wait(asked.single)
        time.sleep(SETTLED_SECONDS)
        seconds = [running.post(asked.single) for _ in range(SINGLES)]
        running.post(asked.many)
        # What a large request broke, or slowed for good, the next one shows.
        running.post(asked.single)
    return statistics.fmean(seconds) * 1e3


def smallest(asked: Asked, setup: containers.Setup) -> tuple[int, float, list[str]]:
    """The first size that is survived, the milliseconds there, and why smaller ones were not.

    Raises GoneError when none is that this machine has the CPUs for.
    """
    reasons: list[str] = []
    for memory in fitting():
        try:
            return memory, run(asked, setup, memory), reasons
        except containers.GoneError as error:
            reasons.append(f"{memory} MB: {error}")
    raise containers.GoneError("; ".join(reasons) or "no size fits this machine's CPUs")


def fitting() -> list[int]:
    """Memory sizes whose CPU share this machine has."""
    return [size for size in containers.SIZES if containers.share(size) <= (os.cpu_count() or 1)]


def measure(
    asked: Asked, setups: dict[str, containers.Setup], runs: int
) -> tuple[dict[str, list[dict[str, float]]], list[str]]:
    """Figures of each run, by whose they are, and remarks. Runs are interleaved."""
    found: dict[str, list[dict[str, float]]] = {who: [] for who in setups}
    remarks = [f"sizes up to {max(fitting(), default=0)} MB have a CPU share that fits here"]
    sizes: dict[str, int] = {}
    for who, setup in setups.items():
        try:
            sizes[who], milliseconds, reasons = smallest(asked, setup)
        except containers.GoneError as error:
            remarks.append(f"{who} survives no size that can be measured here: {error}")
            continue
        remarks += [f"{who} at {reason}" for reason in reasons]
        found[who].append(_figures(milliseconds, sizes[who]))
    for turn in range(1, runs):
        for who, memory in sizes.items():
            try:
                found[who].append(_figures(run(asked, setups[who], memory), memory))
            except containers.GoneError as error:
                remarks.append(f"{who} at {memory} MB, run {turn + 1}: {error}")
    return found, remarks


def _figures(milliseconds: float, memory: int) -> dict[str, float]:
    return {"cost_mb": memory, "cost_ms": milliseconds, "cost": usd(milliseconds, memory)}


def of_subjects(
    image: str, prepared: subjects.Subjects, runs: int
) -> tuple[dict[str, list[dict[str, float]]], list[str]]:
    """The two that are compared, each asked for 64 tokens and for the reviews."""
    asked = Asked(image, body(prepared.ours.long), body(*prepared.reviews))
    setups = {
        "ours": containers.ours(prepared.ours.folder),
        "plain": containers.plain(prepared.plain.folder),
    }
    return measure(asked, setups, runs)


def main() -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Measure what a million predictions cost.")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--image", default=containers.default_image())
    parser.add_argument("--checkpoint", type=Path, default=subjects.CHECKPOINT)
    parser.add_argument("--data", type=Path, help="folder with reviews; else they are invented")
    options = parser.parse_args()
    why = containers.missing(options.image)
    if why:
        raise SystemExit(why)
    prepared = subjects.prepare(subjects.DEFAULT_MODEL, options.checkpoint, options.data)
    found, remarks = of_subjects(options.image, prepared, options.runs)
    for who, runs in found.items():
        for one in runs:
            size, time = one["cost_mb"], one["cost_ms"]
            print(f"{who}: {size:.0f} MB, {time:.1f} ms a record, {one['cost']:.2f} USD a million")
    print(*remarks, sep="\n")

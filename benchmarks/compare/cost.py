"""Find the smallest memory size that each container lives in, and the price of a million records.

The price is that of prices.toml, by which the rehearsal writes its bills.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass

from benchmarks.compare.measurements import SETTLED_SECONDS
from benchmarks.harness import containers
from benchmarks.harness.client import body
from benchmarks.harness.results import Results
from benchmarks.harness.subjects import LONG, Subjects
from rehearse.metering.prices import Prices

REGION = "us-east-1"
SINGLES = 20


@dataclass(frozen=True)
class Asked:
    """What a container has to live through: single records, then many in one body."""

    image: str
    single: bytes
    many: bytes


def usd(milliseconds: float, memory: int) -> float:
    """Return the price of a million requests that each take so long at a memory size."""
    billed = math.ceil(milliseconds)
    return billed / 1000 * Prices.read(REGION).on_demand_gb_second * memory / 1024 * 1_000_000


def run(asked: Asked, setup: containers.Setup, memory: int) -> dict[str, float]:
    """Return memory size, mean milliseconds of a single record and price; raises GoneError."""
    with containers.running(asked.image, setup, memory) as running:
        running.wait(asked.single)
        time.sleep(SETTLED_SECONDS)
        seconds = [running.post(asked.single) for _ in range(SINGLES)]
        running.post(asked.many)
        # What a large request broke, or slowed for good, the next one shows.
        running.post(asked.single)
    milliseconds = statistics.fmean(seconds) * 1e3
    return {"cost_mb": memory, "cost_ms": milliseconds, "cost": usd(milliseconds, memory)}


def measure(found: Results, image: str, subjects: Subjects, runs: int) -> list[str]:
    """Add the figures of both containers, run by turns, and return remarks.

    Each is asked for records of 64 tokens, and for the reviews, at the smallest size that it
    survives in its first turn.
    """
    asked = Asked(image, body(subjects.ours.texts[LONG]), body(*subjects.reviews))
    setups = {
        "ours": containers.ours(subjects.ours.folder),
        "plain": containers.plain(subjects.plain.folder),
    }
    fitting = containers.fitting()
    remarks = [f"sizes up to {max(fitting, default=0)} MB have a CPU share that fits here"]
    sizes = dict.fromkeys(setups, fitting)
    for _ in range(runs):
        for who, setup in setups.items():
            for memory in sizes[who]:
                try:
                    found.add(who, run(asked, setup, memory))
                    sizes[who] = [memory]
                    break
                except containers.GoneError as error:
                    remarks.append(f"{who} at {memory} MB: {error}")
            else:
                sizes[who] = []
                remarks.append(f"{who} survives no size that can be measured here")
    return remarks

"""Say what is compared with what, and what was aimed at: the rows of the page."""

from __future__ import annotations

from benchmarks.harness.pages import Goal, Row, at_most
from benchmarks.harness.subjects import LENGTHS

WHO = {
    "ours": "packed RoBERTa-base",
    "default": "default model",
    "plain": "plain container",
    "plain_omp": "plain, one OpenMP thread a worker",
    "floor": "bare script",
    "engine": "engine alone",
    "slim": "image slim",
    "full": "image full",
}


def part(of: float) -> Goal:
    """Demand no more than 1/of of the other."""
    return Goal(f"<= 1/{of:g}", lambda own, other: own * of <= other)


def times(most: float) -> Goal:
    """Demand no more than so many times the other."""
    return Goal(f"<= {most:g} times", lambda own, other: own <= most * other)


def faster(least: float) -> Goal:
    """Demand at least so many times the other."""
    return Goal(f">= {least:g} times", lambda own, other: own >= least * other)


def over(extra: float, unit: str) -> Goal:
    """Demand no more than the other and a little."""
    return Goal(f"<= it + {extra:g} {unit}", lambda own, other: own <= other + extra)


BELOW = Goal("below it", lambda own, other: own < other)

COLD = "cold start"
DISK = "cold start, page cache dropped"
ONE = "one record of {} tokens"
SHORT = ONE.format(16)
MANY = "64 reviews in one body"
LOAD = "8 clients, 2 CPUs"

ROWS = (
    Row(COLD, "cold", "s", 2, goals=(at_most(0.25, "s"), part(9))),
    Row(COLD, "cold", "s", 2, other="floor", goals=(times(1.6),)),
    Row(COLD, "cold", "s", 2, "default", None, (at_most(0.20, "s"),)),
    Row(DISK, "cold_disk", "s", 2, goals=(part(6),)),
    Row(DISK, "cold_disk", "s", 2, "default", None),
    Row("bytes read from disk by then", "disk", "MB", 0, goals=(part(5),)),
    Row("bytes read from disk by then", "disk", "MB", 0, "default", None),
    *(
        Row(f"{ONE.format(tokens)}, p50", f"p50_{tokens}", "ms", 1, goals=goals)
        for tokens, goals in zip(LENGTHS, ((), (part(4.5),), (), (), ()), strict=True)
    ),
    Row(f"{SHORT}, p50", "p50_16", "ms", 1, other="engine", goals=(over(1.5, "ms"),)),
    Row(f"{SHORT}, p50", "p50_16", "ms", 1, "default", None),
    Row(f"{SHORT}, p99", "p99_16", "ms", 1),
    Row(MANY, "reviews", "records/s", 1, goals=(faster(4.5),)),
    Row(MANY, "reviews", "records/s", 1, "default", None),
    Row(LOAD, "load", "records/s", 1),
    Row(LOAD, "load", "records/s", 1, other="plain_omp", goals=(faster(3),)),
    Row(f"{LOAD}, p50", "load_p50", "ms", 0),
    Row(f"{LOAD}, p50", "load_p50", "ms", 0, other="plain_omp"),
    Row(f"{LOAD}, p99", "load_p99", "ms", 0, goals=(BELOW,)),
    Row(f"{LOAD}, p99", "load_p99", "ms", 0, other="plain_omp", goals=(BELOW,)),
    Row("peak RSS, loaded", "rss_loaded", "MB", 0),
    Row("peak RSS, 64 reviews scored", "rss", "MB", 0),
    Row("peak RSS, body of 4 MB scored", "rss_large", "MB", 0, "ours", None, (at_most(260, "MB"),)),
    Row("peak RSS, body of 4 MB scored", "rss_large", "MB", 0, "default", None),
    Row("PSS, after all requests", "pss", "MB", 0),
    Row("image", "image", "MB", 0, "slim", None, (at_most(450, "MB"),)),
    Row("image", "image", "MB", 0, "full", None, (at_most(1600, "MB"),)),
    Row("smallest memory size", "cost_mb", "MB", 0),
    Row("64 tokens at that size, mean", "cost_ms", "ms", 1),
    Row("a million predictions of 64 tokens", "cost", "USD", 2, goals=(part(4.5),)),
)

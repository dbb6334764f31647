"""What `python -m benchmarks rehearsal` has found in, REHEARSE.md out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TARGET_MS = 3.0


@dataclass(frozen=True)
class Overhead:
    """Milliseconds at p50 past the data plane, through it, and what is added (p50, p95)."""

    pairs: int
    past: float
    through: float
    more: float
    more_p95: float


@dataclass(frozen=True)
class Burst:
    """Seconds from zero to one answer, and to four."""

    runs: int
    alone: float
    together: float
    least: float
    most: float


@dataclass(frozen=True)
class Faults:
    """What became of calls while environments were broken."""

    calls: int
    injected: Mapping[str, int]
    outcomes: Mapping[str, int]
    unanswered: int
    longest: float
    started: int
    seconds: float
    patience: float


@dataclass(frozen=True)
class Found:
    """Everything of one engine."""

    engine: str
    limits: Sequence[str]
    overhead: Overhead
    by_http: Overhead
    by_boto3: Overhead
    burst: Burst
    throttled: Mapping[int, int]
    faults: Faults
    left: int


def page(command: str, facts: Mapping[str, str], found: Sequence[Found]) -> str:
    """The whole page."""
    head = ["# The data plane of the rehearsal", "", f"    {command}", ""]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]
    return "\n".join([*head, *table, *(line for each in found for line in _engine(each)), ""])


def _pairs(way: str, pairs: Overhead) -> str:
    return (
        f"| {way} | {pairs.past:.2f} ms | {pairs.through:.2f} ms | {pairs.more:.2f} ms "
        f"| {pairs.more_p95:.2f} ms |"
    )


def _engine(found: Found) -> list[str]:
    burst, faults = found.burst, found.faults
    return [
        "",
        f"## Engine {found.engine}",
        "",
        "What it cannot impose: " + "; ".join(found.limits) + ".",
        "",
        "**Overhead** of a call over the same call straight to its container, "
        f"{found.overhead.pairs:,} pairs by turns:",
        "",
        "| way | straight | through | more, p50 | more, p95 |",
        "|---|---|---|---|---|",
        _pairs("Fleet.invoke, in the process of the rehearsal", found.overhead),
        _pairs("InvokeEndpoint of a `rehearse up`: HTTP, metrics, logs", found.by_http),
        _pairs("the same with boto3, and all that it does itself", found.by_boto3),
        "",
        f"Target of the data plane: {TARGET_MS:g} ms more at p50.",
        "",
        f"**From zero to four**, {burst.runs} bursts of four calls with MaxConcurrency 4: four "
        f"answers after {burst.together:.2f} s ({burst.least:.2f}-{burst.most:.2f}), one cold "
        f"start alone after {burst.alone:.2f} s; one after the other they would take "
        f"{4 * burst.alone:.2f} s.",
        "",
        "**Throttled**, calls at once from zero, MaxConcurrency 4:",
        "",
        "| calls | throttled | expected |",
        "|---|---|---|",
        *(f"| {calls} | {count} | {calls - 4} |" for calls, count in found.throttled.items()),
        "",
        f"**Faults**, {faults.calls:,} calls of four clients in {faults.seconds:.0f} s; injected: "
        + ", ".join(f"{count} {name}" for name, count in faults.injected.items())
        + f". Calls without an answer: {faults.unanswered}. The longest took "
        f"{faults.longest:.1f} s (a call may take {faults.patience:g} s here, after a cold start). "
        f"{faults.started} environments were started, and {found.left} "
        "were left at the end.",
        "",
        "| outcome | calls |",
        "|---|---|",
        *(
            f"| {name} | {count:,} |"
            for name, count in sorted(faults.outcomes.items(), key=lambda item: -item[1])
        ),
    ]

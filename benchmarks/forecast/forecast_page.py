"""Write FORECAST.md from the figures."""

from __future__ import annotations

import statistics

from benchmarks.harness import pages
from benchmarks.harness.results import Results
from benchmarks.rehearsal.recording_engine import MEMORY_MB
from platform_facts import vcpus

CONCURRENCIES = (1, 2, 3, 4)
# The containers, by the names of their figures.
WAITING, BUNDLED = "waiting", "bundled"
P50_TARGET, THROTTLED_TARGET = 0.15, 0.10


def relative_error(results: Results, name: str, most: int, what: str) -> float:
    """Return how far forecasts of a figure are off, as a share of what was rehearsed."""
    forecast = statistics.median(results.of(what, f"{name}, forecast {most}"))
    return forecast / results.of(what, f"{name}, rehearsed {most}")[0] - 1


def largest_error(results: Results, name: str, what: str) -> float:
    """Return the largest error of a figure at any MaxConcurrency, without its sign."""
    return max(abs(relative_error(results, name, most, what)) for most in CONCURRENCIES)


def page(results: Results) -> str:
    """Write the page."""
    share = vcpus(MEMORY_MB)
    seconds, used = (results.of(what, "a million")[0] for what in ("seconds", "CPU seconds"))
    return f"""# Forecasts beside rehearsals

{pages.commands(results)}

Measured locally: {pages.machine(results)}.

The same requests, at the times at which they were really sent, went to a rehearsed variant and into
the simulation of `rehearse forecast`. The simulation knows how long cold starts and single requests
took in one container, measured before. Requests come in bursts of six on average, and after
silences in which all environments are dropped. A latency is `ModelSetupTime` and `ModelLatency`
together, in both. The simulation draws its times at random: the tables have the median of its runs,
with the least and the most. Other programs count in "CPUs busy", and as errors where they come or
go between the measurement and the rehearsal.

Environments are not frozen between requests here, as with `rehearse up --no-freeze`: a forecast
does not know how long it takes to thaw them.

## A container that waits: the error of the simulation

It waits where others compute: 30 ms for an answer and 1 s for a start in the median, both
log-normal. It runs as a process, and hardly needs a CPU. So what is off here is what the simulation
says of environments, cold starts, throttling and idle times.

{_section(results, WAITING)}

## The bundled model: the same, and the CPUs of this machine

It computes, and there are too few CPUs for three containers or four. At {MEMORY_MB:,} MB one may
use {share:.2f} CPUs: three want {3 * share:.1f}, four {4 * share:.1f}, beside the client and the
rehearsal on the same machine, {results.words["CPU"][BUNDLED]}.
So containers that start together, after each silence, take longer than the one that was measured
alone, and more requests find all environments busy; "CPUs busy" is the average, with the silences.
On the platform an environment has a CPU share of its own, so there the waiting container's errors
are the ones to go by.

{_section(results, BUNDLED)}

## A million requests

In up to 200 environments they are simulated in {seconds:.1f} s (target: under 45 s), of which
{used:.1f} s are on a CPU.

{pages.facts(results)}
"""


def _section(results: Results, name: str) -> str:
    """Return how a container was measured, the table of its figures, and its errors."""
    heads = ["MaxConcurrency", "p50, ms", "forecast", "", "throttled", "forecast", "", "cold"]
    table = pages.table(
        [*heads, "forecast", "CPUs busy"], (_line(results, name, most) for most in CONCURRENCIES)
    )
    p50, throttled = (largest_error(results, name, what) for what in ("latency p50", "throttled"))
    return f"""Measured: {results.words["measured"][name]}.

{table}

p50 is off by {p50:.0%} at most (target: {P50_TARGET:.0%}), throttled requests by {throttled:.0%}
(target: {THROTTLED_TARGET:.0%})."""


def _line(results: Results, name: str, most: int) -> list[object]:
    line: list[object] = [most]
    for what, digits in (("latency p50", 1), ("throttled", 0), ("cold", 0)):
        for source in ("rehearsed", "forecast"):
            line.append(pages.spread(results.of(what, f"{name}, {source} {most}"), digits))
        if what != "cold":
            line.append(f"{relative_error(results, name, most, what):+.0%}")
    line.append(pages.spread(results.of("CPU", f"{name}, rehearsed {most}"), 0, "%"))
    return line

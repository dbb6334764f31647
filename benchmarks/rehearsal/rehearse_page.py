"""Write REHEARSE.md, the page on the data plane of the rehearsal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from benchmarks.harness.pages import facts, spread, table
from benchmarks.harness.results import Results

TARGET_MS = 3.0
WAYS = {
    "data plane": "the data plane alone, in the process of the rehearsal",
    "HTTP": "InvokeEndpoint of a `rehearse up`: HTTP, metrics, logs",
    "boto3": "the same with boto3, and all that it does itself",
}
TIMES = ("past", "through", "more", "more_p95")


def page(results: Results) -> str:
    """Return the whole page."""
    engines = "\n".join(_engine(results, engine) for engine in results.words["limits"])
    return f"""# The data plane of the rehearsal

    {results.command}

{facts(results)}

{engines}"""


def named(figures: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Return the figures whose names begin with a prefix, without that."""
    return {
        name.removeprefix(prefix): value
        for name, value in figures.items()
        if name.startswith(prefix)
    }


def _engine(results: Results, engine: str) -> str:
    """Return the section of an engine."""
    found = {what: by[engine][0] for what, by in results.values.items() if engine in by}
    alone, together = results.of("alone", engine), results.of("together", engine)
    limits = results.words["limits"][engine]
    ways = [
        [words, *(f"{results.of(what, f'{engine}, {way}')[0]:.2f} ms" for what in TIMES)]
        for way, words in WAYS.items()
    ]
    (pairs,) = results.of("pairs", f"{engine}, data plane")
    throttled = [
        [calls, f"{count:.0f}", int(calls) - 4]
        for calls, count in named(found, "throttled of ").items()
    ]
    injected = ", ".join(f"{n:.0f} {name}" for name, n in named(found, "injected ").items())
    outcomes = [[name, f"{n:,.0f}"] for name, n in named(found, "outcome ").items()]
    return f"""## Engine {engine}

What it cannot impose: {limits}.

**Overhead** of a call over the same call straight to its container,
{pairs:,.0f} pairs by turns:

{table(("way", "straight", "through", "more, p50", "more, p95"), ways)}

Target of the data plane: {TARGET_MS:g} ms more at p50.

**From zero to four**, {len(together)} bursts of four calls with MaxConcurrency 4: four answers
after {spread(together, 2, "s")}, one cold start alone after {spread(alone, 2, "s")}; one after the
other they would take {4 * statistics.median(alone):.2f} s.

**Throttled**, calls at once from zero, MaxConcurrency 4:

{table(("calls", "throttled", "expected"), throttled)}

**Faults**, {found["calls"]:,.0f} calls of four clients in {found["seconds"]:.0f} s; injected:
{injected}. Calls without an answer: {found["unanswered"]:.0f}.
The longest took {found["longest"]:.1f} s: a call may take {found["call_seconds"]:g} s here after a
cold start, and a container that hangs while it starts has three minutes, as on the platform.
{found["started"]:.0f} environments were started, and {found["left"]:.0f} were left at the end.

{table(("outcome", "calls"), outcomes)}
"""

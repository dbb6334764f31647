"""Write what `rehearse size` found for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from rehearse.sizing.comparison import Interval, SizeCosts, Sizing
from rehearse.sizing.measurement import Measured

HEADS = (
    "memory, MB",
    "cold start, s",
    "p50, ms",
    "p95, ms",
    "p99, ms",
    "peak, MB",
    "throttled",
    "USD a million",
    "USD a month",
)
WAYS = {
    "serverless": "Serverless, on demand",
    "provisioned": "Serverless with provisioned concurrency",
    "instance": "An instance",
}


def text(found: Sizing) -> str:
    """Return the table of the sizes, what to deploy, and where the figures come from."""
    costs = {each.memory_mb: each for each in found.costs}
    rows = [_row(each, costs.get(each.memory_mb)) for each in found.measured]
    widths = [max(len(row[place]) for row in (HEADS, *rows)) for place in range(len(HEADS))]
    lines = [
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (HEADS, *rows)
    ]
    return "\n".join([*lines, "", *notes(found), "", *recommendation(found), "", *_source(found)])


def _row(measured: Measured, costs: SizeCosts | None) -> Sequence[str]:
    size = str(measured.memory_mb)
    if costs is None:
        return (size, *["-"] * (len(HEADS) - 1))
    starts = [
        (setup + first) / 1e3
        for setup, first in zip(measured.setup_ms, measured.first_ms, strict=True)
    ]
    return (
        size,
        f"{statistics.median(starts):.2f} ({min(starts):.2f}-{max(starts):.2f})",
        *(_shown(each, 1) for each in (costs.p50_ms, costs.p95_ms, costs.p99_ms)),
        "-" if measured.peak_mb is None else f"{measured.peak_mb:.0f}",
        f"{costs.traffic.throttled:,}",
        _shown(costs.usd_a_million, 2),
        f"{costs.usd_a_month:,.2f}",
    )


def _shown(figure: Interval, digits: int) -> str:
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f}-{figure.high:.{digits}f})"


def notes(found: Sizing) -> Iterator[str]:
    """Yield a line for each size: the largest body that it answers, or why none."""
    for each in found.measured:
        if each.failure:
            yield f"{each.memory_mb} MB: {each.failure}"
        else:
            yield f"{each.memory_mb} MB: answers {each.largest:,} records in one body"


def recommendation(found: Sizing) -> Iterator[str]:
    """Yield what to deploy, and what the ways to do so cost."""
    chosen = found.recommendation
    yield (
        f"Recommended: {WAYS[chosen.kind].lower()}, {chosen.memory_mb} MB, "
        f"MaxConcurrency {chosen.max_concurrency}."
    )
    for option in chosen.options:
        yield f"- {WAYS[option.kind]}: {option.usd_a_month:,.2f} USD a month; {option.detail}"
    yield (
        f"An instance costs less from {chosen.break_even_requests:,} requests a month on; this "
        f"traffic has {chosen.requests_a_month:,}."
    )


def _source(found: Sizing) -> Iterator[str]:
    yield (
        f"Measured with {found.image} on {found.cpu}; the platform's CPU is assumed to take "
        f"{found.cpu_factor:g} times as long."
    )
    yield "In brackets: of cold starts the least and the most, else the 95 % interval (bootstrap)."
    yield f"List prices of {found.region}, {found.prices_dated}."

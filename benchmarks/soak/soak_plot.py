"""Draw soak.svg: latency by percentile, and memory by requests."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.pages import INK, picture
from benchmarks.harness.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0969da", "#1a7f37", "#bf8700", "#cf222e")
GREY = "#8c959f"
# As HdrHistogram's own plots have it: each nine is as wide as the one before.
TICKS = (0.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def draw(results: Results, path: Path) -> None:
    """Write the picture."""
    with picture(path, 8.4, 3.2) as figure:
        left, right = figure.subplots(1, 2)
        _latencies(left, results)
        _memory(right, results)


def _bare(axis: Axes, title: str, across: str) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_facecolor("white")
    axis.set_title(title, fontsize=9)
    axis.set_xlabel(across, color=INK)


def _latencies(axis: Axes, results: Results) -> None:
    _bare(axis, "latency, ms", "percentile")
    curves = results.values.get("percentile", {})
    longest = 10.0
    for colour, who in zip(COLOURS * len(curves), curves, strict=False):
        # The last point, 100 %, lies at infinity; the one before is as high.
        points = [
            (1 / (1 - percentile / 100), latency)
            for percentile, latency in zip(curves[who], results.of("latency", who), strict=True)
            if percentile < 100
        ]
        if points:
            axis.plot(*zip(*points, strict=True), color=colour, label=who, linewidth=1.2)
            longest = max(longest, points[-1][0])
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:,g}")
    axis.set_xticks([], minor=True)
    places = {1 / (1 - tick / 100): f"{tick:g}" for tick in TICKS}
    shown = {place: words for place, words in places.items() if place <= 1.01 * longest}
    axis.set_xticks([*shown], [*shown.values()])
    axis.grid(color=GREY, alpha=0.3, linewidth=0.5)
    if curves:
        axis.legend(title="connections", frameon=False)


def _memory(axis: Axes, results: Results) -> None:
    _bare(axis, "RSS, MB", "requests")
    requests, rss = results.of("requests", "all"), results.of("rss", "all")
    slope = results.of("slope_rss", "all")
    if not slope:
        return
    axis.plot(requests, rss, ".", color=COLOURS[0], markersize=3)
    line = statistics.linear_regression(requests, rss)
    ends = [min(requests), max(requests)]
    axis.plot(ends, [line.intercept + line.slope * end for end in ends], color=INK, linewidth=1)
    axis.set_ylim(0, 1.2 * max(rss))
    words = f"{slope[0]:+.2f} MB in 10,000 requests"
    axis.annotate(words, (0.05, 0.92), xycoords="axes fraction", color=INK)

"""Draw the plots of report.html as SVG whose colours are those of the page, light or dark."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from compress.figures import Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches; a phone shows a plot in about its own size.
WIDTH, HEIGHT = 4.4, 3.3
# Each stands for a colour of the page, by the name of its CSS variable.
COLOURS = {"#111111": "ink", "#777777": "before", "#0000ff": "after", "#cccccc": "line"}
INK, BEFORE, AFTER, LINE = COLOURS
MARKERS = "os^vD"
# Text stays text, and the same figures give the same bytes.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": LINE,
    "legend.frameon": False,
}


class Point(NamedTuple):
    """A model of the chain: its name, how good it is, and what it costs.

    `interval` holds 95 % of the resamples of `quality`, None where that was not resampled.
    """

    name: str
    quality: float
    interval: tuple[float, float] | None
    costs: Mapping[str, float]


def pareto(points: Sequence[Point], cost: str, unit: str, quality: str) -> str:
    """Plot quality against one cost of each model, on a scale of powers, as SVG."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        figure, axes = _figure()
        places = [point.costs[cost] for point in points]
        axes.plot(places, [point.quality for point in points], color=LINE, linewidth=1, zorder=1)
        for number, (point, place) in enumerate(zip(points, places, strict=True)):
            colour = AFTER if point is points[-1] else BEFORE
            axes.plot(place, point.quality, "o", color=colour, markersize=7)
            if point.interval:
                axes.plot([place, place], point.interval, color=colour, linewidth=1)
            inwards = 1 if place * place <= min(places) * max(places) else -1
            axes.annotate(
                point.name,
                (place, point.quality),
                (7 * inwards, -7 if number % 2 else 7),  # beside the interval
                textcoords="offset points",
                ha="left" if inwards > 0 else "right",
                va="top" if number % 2 else "bottom",
            )
        axes.set_xscale("log")
        axes.set_xlim(min(places) / 1.6, max(places) * 1.6)
        axes.margins(y=0.25)
        _plain_ticks(axes, places)
        axes.set_xlabel(unit)
        axes.set_ylabel(quality)
        return _svg(figure, f"{quality} against {unit}")


def reliability(curves: Mapping[str, Sequence[Bin]]) -> str:
    """Plot the share of right predictions against their probability, a curve a model, as SVG."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        figure, axes = _figure()
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle="--")
        for place, (name, bins) in enumerate(curves.items()):
            last = place == len(curves) - 1
            axes.plot(
                [each.confidence for each in bins],
                [each.hits for each in bins],
                f"{MARKERS[place % len(MARKERS)]}-",
                color=AFTER if last else BEFORE,
                label=name,
                linewidth=1.5,
                markersize=5,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("probability that was given")
        axes.set_ylabel("share that is right")
        axes.legend(loc="upper left")
        return _svg(figure, "share of right predictions against their probability")


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, linewidth=0.5)
    return figure, axes


def _plain_ticks(axes: Axes, places: Sequence[float]) -> None:
    """Mark the axis where the models are, in plain numbers that do not overlap."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axes.get_xlim()
    marked: list[float] = []
    for place in sorted(places):
        if not marked or place / marked[-1] > (high / low) ** 0.15:
            marked.append(place)
    axes.xaxis.set_major_locator(FixedLocator(marked))
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.xaxis.set_minor_locator(NullLocator())


def _plain(value: float, _: object) -> str:
    """Write a number with three digits, or all that it has before the point."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _svg(figure: Figure, label: str) -> str:
    """Write a figure as an element of the page, which has its width and its colours."""
    stream = io.StringIO()
    nothing: dict[str, Any] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=nothing)
    _, _, rest = stream.getvalue().partition("<svg ")
    _, _, inside = rest.partition(">")
    box = f"0 0 {WIDTH * 72:g} {HEIGHT * 72:g}"
    for colour, name in COLOURS.items():
        inside = inside.replace(colour, f"var(--{name})")
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{inside}'

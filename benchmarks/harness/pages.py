"""Write what pages have in common: tables, figures with their spread, and targets met or missed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2328"
# Text stays text, and the same results give the same bytes.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "results",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "xtick.color": INK,
}


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Give a figure of so many inches to draw on, and write it as SVG.

    Its background is white, so that it is readable on a dark page.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
        yield figure
        figure.savefig(path, format="svg", metadata={"Date": None})


def table(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table without a last line end."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def facts(results: Results) -> str:
    """Return the table of the machine and the way it was measured; a column for each kind."""
    each = [found.facts for found in results.kinds()]
    names = dict.fromkeys(name for known in each for name in known)
    lines = ([name, *(known.get(name, "") for known in each)] for name in names)
    return table(("", *([""] * len(each))), lines)


def machine(results: Results) -> str:
    """Name the CPU that the figures are of and the day: they are its own, not AWS's."""
    known = results.facts
    # The flag that makes products of 8-bit numbers fast.
    vnni = "with" if "vnni yes" in known.get("CPU flags", "") else "without"
    _, comma, hidden = known.get("CPU kind", "").partition(", ")
    vnni += f" VNNI ({hidden})" if comma else " VNNI"
    return f"{known.get('CPU', 'unknown CPU')}, {vnni}, {known.get('date', 'undated')}"


def commands(results: Results) -> str:
    """Return the commands that took the figures, one for each kind of CPU, as a code block."""
    return "\n".join(f"    {found.command}" for found in results.kinds())


def machines(results: Results) -> str:
    """Say where figures were taken, those with VNNI second: they are not the platform's."""
    first, *others = results.kinds()
    second = "".join(f" With VNNI: {machine(found)}." for found in others)
    return f"Measured locally: {machine(first)}.{second}"


def sections(results: Results, write: Callable[[Results], str]) -> str:
    """Return a section for each kind of CPU, so that no table has figures of two."""
    return "\n\n".join(f"## {machine(found)}\n\n{write(found)}" for found in results.kinds())


@dataclass(frozen=True)
class Goal:
    """A target in words, and whether medians (own, the other's) meet it."""

    words: str
    met: Callable[[float, float], bool]


def at_most(limit: float, unit: str) -> Goal:
    """Demand no more than a limit."""
    return Goal(f"<= {limit:g} {unit}", lambda own, _: own <= limit)


def under(limit: float, unit: str) -> Goal:
    """Demand less than a limit."""
    return Goal(f"< {limit:g} {unit}", lambda own, _: own < limit)


def exactly(wanted: float) -> Goal:
    """Demand neither more nor less."""
    return Goal(f"{wanted:g}", lambda own, _: own == wanted)


@dataclass(frozen=True)
class Row:
    """One line of a table of targets: a figure, perhaps that of another, and the goals."""

    title: str
    what: str  # the key in Results.values
    unit: str
    digits: int
    who: str = "ours"
    other: str | None = "plain"
    goals: tuple[Goal, ...] = ()


def verdicts(results: Results, row: Row) -> list[str]:
    """Say for each goal of a row whether it was met, missed, or not measured."""
    own = results.of(row.what, row.who)
    other = results.of(row.what, row.other) if row.other else [0.0]
    if not own or not other:
        return ["not measured"]
    medians = statistics.median(own), statistics.median(other)
    return ["yes" if goal.met(*medians) else "**no**" for goal in row.goals]


def spread(values: Sequence[float], digits: int, unit: str = "") -> str:
    """Return median (least-most) and unit; one value stands alone."""
    if not values:
        return "not measured"
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) > 1:
        middle += f" ({min(values):.{digits}f}-{max(values):.{digits}f})"
    return f"{middle} {unit}".strip()

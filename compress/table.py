"""Put the figures of models side by side: a row for each model, a column for each figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from compress.figures import Bin
from compress.report import Change, Report

# Figures of a comparison that say how far a model is from the one it is compared with.
_DISTANCES = (
    "agreement",
    "flipped",
    "correlation",
    "mean_difference",
    "largest_difference",
    "macro_f1_change_interval",
    "worst_recall_change_interval",
    "mean_error_change_interval",
)


@dataclass(frozen=True)
class Row:
    """A model: its name, its figures by their names, and what a page shows of its answers.

    `bins`, `confusion` and `changes` are as in a Report, empty where they are not known.
    """

    name: str
    figures: Mapping[str, Any]
    bins: Sequence[Bin] = ()
    confusion: Sequence[Sequence[int]] = ()
    changes: Sequence[Change] = ()


class Column(NamedTuple):
    """A figure by its name, the head of its column, and how a value is written."""

    name: str
    head: str
    write: Callable[[Any], str]


COLUMNS = (
    Column("parameters", "parameters", lambda value: f"{value:,}"),
    Column("megabytes", "MB", lambda value: f"{value:,.1f}"),
    Column("multiplications", "multiplications a token", lambda value: f"{value:,}"),
    Column("agreement", "same answers", lambda value: f"{value:.2%}"),
    Column("correlation", "correlation", lambda value: f"{value:.4f}"),
    Column("macro_f1", "macro-F1", lambda value: f"{value:.4f}"),
    Column("macro_f1_interval", "its interval", lambda ends: "{:.3f}-{:.3f}".format(*ends)),
    Column("worst_recall", "worst recall", lambda value: f"{value:.4f}"),
    Column("ece", "ECE", lambda value: f"{value:.4f}"),
    Column("mean_error", "mean error", lambda value: f"{value:.4g}"),
    Column("p50_ms", "p50, ms", lambda value: f"{value:.2f}"),
    Column("start_ms", "start, ms", lambda value: f"{value:,.0f}"),
)


def before(name: str, report: Report) -> Row:
    """Make the row of the source of a comparison."""
    when = "before"
    figures = side(report.found, when)
    return Row(name, figures, report.bins.get(when, ()), report.confusion.get(when, ()))


def after(name: str, report: Report) -> Row:
    """Make the row of the result of a comparison."""
    when = "after"
    figures = side(report.found, when) | distances(report.found)
    bins, confusion = report.bins.get(when, ()), report.confusion.get(when, ())
    return Row(name, figures, bins, confusion, report.changes)


def side(scores: Mapping[str, Any], when: str) -> dict[str, Any]:
    """Take the figures of one model, "before" or "after", from those of a comparison."""
    end = f"_{when}"
    return {name.removesuffix(end): scores[name] for name in scores if name.endswith(end)}


def distances(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Take the figures that say how far the result of a comparison is from its source."""
    return {name: scores[name] for name in _DISTANCES if name in scores}


def cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Give the heads of a table, and the cells of each row; columns that no row has are left out.

    The first column has the names of the models.
    """
    shown = [
        each for each in COLUMNS if any(row.figures.get(each.name) is not None for row in rows)
    ]
    lines = [
        [row.name]
        + [
            "" if row.figures.get(name) is None else write(row.figures[name])
            for name, _, write in shown
        ]
        for row in rows
    ]
    return ["model", *(each.head for each in shown)], lines


def text(rows: Sequence[Row]) -> str:
    """Write the table for a terminal."""
    heads, lines = cells(rows)
    columns = list(zip(heads, *lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (heads, *lines)
    )

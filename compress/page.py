"""Write report.html, a page that needs nothing else: how models compare on the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress import plots, table
from compress.chain import Step
from compress.plots import Point
from compress.report import Report
from compress.table import Row

NAME = "report.html"
TEMPLATE = "page.html"
# Characters of a text that are shown, and labels of a table of confusion.
LONGEST_SHOWN = 400
MOST_LABELS = 30
# What models are held up against each other by: the cost, and its name on the axis.
_COSTS = {"p50_ms": "ms for 16 tokens, p50", "megabytes": "MB"}


def write_chain(folder: Path, name: str, steps: Sequence[Step], report: Report) -> None:
    """Write the page of a model, `name`, that was made in steps, the last of which has the report.

    Earlier models are shown with the figures of their own steps, if those are of the same texts.
    The page holds texts of the owner, so no archive takes it along.
    """
    rows: list[Row] = []
    distances: Mapping[str, Any] = {}
    for step in steps[:-1]:
        scores = step["scores"]
        if scores is None or _texts(scores) != _texts(report.found):
            rows, distances = [], {}
            continue
        rows.append(Row(step["source"]["name"], {**table.side(scores, "before"), **distances}))
        distances = table.distances(scores)
    source = table.before(steps[-1]["source"]["name"], report)
    rows += [
        replace(source, figures={**source.figures, **distances}),
        table.after(name, report),
    ]
    write(folder / NAME, rows, report, steps, "the model on its left")


def _texts(scores: Mapping[str, Any]) -> tuple[str, int]:
    """Tell texts from others: the hash of their file, and how many of it were used."""
    return scores["sha256"], scores["rows"]


def write(
    path: Path,
    rows: Sequence[Row],
    about: Report,
    steps: Sequence[Step] = (),
    compared_with: str = "the first model",
) -> None:
    """Write the page of some models; `about` names the file and the labels.

    `steps` are those that the models were made by, `compared_with` is what answers are the same as.
    """
    heads, lines = table.cells(rows)
    template = _environment().get_template(TEMPLATE)
    text = template.render(
        found=about.found,
        labels=about.labels,
        rows=rows,
        figures=list(zip(heads, *lines, strict=True))[1:],
        steps=steps,
        plots=_plots(rows),
        compared_with=compared_with,
        most_labels=MOST_LABELS,
        longest=LONGEST_SHOWN,
    )
    path.write_text(text, encoding="utf-8")


def _environment() -> Any:
    """Read templates from this folder; what they are filled with is escaped."""
    # Flask brings it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _plots(rows: Sequence[Row]) -> list[str]:
    """Draw what the figures allow, as SVG."""
    points, what = _points(rows)
    drawn = [
        plots.pareto(points, cost, unit, what)
        for cost, unit in _COSTS.items()
        if all(cost in point.costs for point in points)
    ]
    curves = {row.name: row.bins for row in rows if row.bins}
    return [*drawn, plots.reliability(curves)] if curves else drawn


def _points(rows: Sequence[Row]) -> tuple[list[Point], str]:
    """Place models by the best measure of quality that all of them have, and name it."""
    measures = {
        "macro_f1": "macro-F1",
        "mean_error": "mean absolute error",
        "agreement": "share of the same answers",
        "correlation": "correlation",
    }
    name = next((each for each in measures if each in rows[-1].figures), "agreement")
    return [
        Point(
            row.name,
            row.figures.get(name, 1.0),  # the first agrees with itself
            row.figures.get(f"{name}_interval"),
            row.figures,
        )
        for row in rows
    ], measures[name]

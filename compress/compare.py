"""Compare any models on the same texts: the command pack-model compare."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from compress import (
    command,
    comparison,
    costs,
    examples,
    folder,
    gate,
    page,
    progress,
    scores,
    table,
    validate,
)
from compress.costs import Costs, Opened
from compress.examples import Data
from compress.report import Report
from compress.table import Row
from model_handler import Limits, artifacts, extras, resources
from model_handler.engines import Options
from model_handler.errors import ArtifactError
from model_handler.tokens import Pairs

if TYPE_CHECKING:
    import numpy as np

NAME = "pack-model compare"
DESCRIPTION = """\
Print a table of models: how well they answer the same texts, what they cost, and how many of their
answers are those of the first one. Models are folders: what pack-model wrote, or checkpoints."""


def main(argv: Sequence[str]) -> None:
    """Run the command line behind `pack-model compare`; --help describes it."""
    options = _read(argv)
    lacking = extras.missing("compress", "comparing")
    if lacking is not None:
        command.fail(NAME, lacking, 2)
    command.run(NAME, lambda say: _run(options, say))


def _read(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; exits with 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog=NAME, description=DESCRIPTION)
    add = parser.add_argument
    add("models", nargs="+", type=Path, metavar="MODEL", help="folder of a model")
    add(
        "--data",
        type=Path,
        required=True,
        metavar="reviews.jsonl",
        help='the texts: JSON Lines with records as the server takes them, such as {"text": "..."};'
        " may be compressed with gzip",
    )
    gate.add_label_options(add)
    add(
        "--pairs",
        action="store_true",
        help='records have two texts that belong together as their "features"',
    )
    add("--report", type=Path, metavar="FILE.html", help="also write a page with plots")
    add("--json", action="store_true", help="print all figures as JSON, instead of the table")
    return parser.parse_args(argv)


def _run(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Do what the command line asks for; raises ModelError or ExamplesError."""
    if options.report:
        folder.check_writable(options.report.parent)
    data = open_data(options.models, options.data, options.labels, options.pairs)
    rows, about = compare(options.models, data, options.pairs, say)
    if options.report:
        page.write(options.report, rows, about)
    with suppress(OSError):
        if options.json:
            models = [{"model": row.name, **row.figures} for row in rows]
            about_file = {name: about.found[name] for name in ("file", "sha256", "rows")}
            print(json.dumps({**about_file, "models": models}, indent=1), flush=True)
        else:
            print(table.text(rows), flush=True)


def open_data(
    models: Sequence[Path], path: Path, labelled: bool | None, pairs: bool = False
) -> Data:
    """Read the texts for models that have the same task and the same labels.

    Raises ArtifactError if they do not, or one is no model, and ExamplesError.
    """
    for model in models:
        if not model.is_dir():
            raise ArtifactError(f"{model} is not a directory; name one with a model")
    first, *others = [validate.task_of(model, pairs) for model in models]
    for model, task in zip(models[1:], others, strict=True):
        if (task.problem_type, task.labels) != (first.problem_type, first.labels):
            raise ArtifactError(
                f"{model} answers with {task.problem_type}: {list(task.labels)}, but {models[0]} "
                f"with {first.problem_type}: {list(first.labels)}; they cannot be compared"
            )
    return examples.open_data(path, first, labelled)


def compare(
    models: Sequence[Path], data: Data, pairs: bool, say: Callable[[str], None]
) -> tuple[list[Row], Report]:
    """Score the texts with each model, one after the other; the rows are in their order.

    The report is that of the last model by the first.
    """
    measured: list[tuple[np.ndarray, Costs]] = []
    for model in models:
        say(f"score {data.rows:,} texts with {model}")
        measured.append(_measure(model, data, pairs))
    (first, its_costs), *others = measured
    reports = [
        comparison.compare(first, logits, data).with_costs(its_costs, each)
        for logits, each in others or measured
    ]
    names = _names(models)
    rows = [table.before(names[0], reports[0])]
    rows += [table.after(name, report) for name, report in zip(names[1:], reports, strict=False)]
    return rows, reports[-1]


def _measure(model: Path, data: Data, pairs: bool) -> tuple[np.ndarray, Costs]:
    """Open a model, and close it again: there may be many, and large ones."""
    options = Options(pairs=Pairs.FEATURES if pairs else Pairs.TEXT_PAIR)
    opened = Opened(model, artifacts.open_model(model, Limits(resources.threads()), options))
    opened.model.engine.settle()
    with progress.bar(data.rows, " texts") as count:
        logits = scores.logits(opened.model, data, count)
    return logits, costs.measure(opened)


def _names(models: Sequence[Path]) -> list[str]:
    """Name folders as briefly as tells them from each other."""
    names = [model.resolve().name for model in models]
    return names if len(set(names)) == len(names) else [str(model) for model in models]

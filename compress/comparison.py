"""Compare what two models answer to the same examples: figures, and the answers that changed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from compress import figures, scores
from compress.examples import Data, ExamplesError, Task
from compress.figures import Places
from compress.report import Change, Report
from model_handler import manifest as manifests
from model_handler.outputs import ProblemType

if TYPE_CHECKING:
    import numpy as np

# Changed answers that are kept, to be shown.
KEPT = 50


def compare(source: np.ndarray, result: np.ndarray, data: Data) -> Report:
    """Compare the logits of two models for the same examples, float32 (N, L) each.

    Raises ExamplesError if the labels of the file tell nothing.
    """
    task = data.task
    before, after = scores.scores(source, task), scores.scores(result, task)
    found = {"file": data.path.name, "sha256": manifests.sha256(data.path), "rows": data.rows}
    if task.problem_type is ProblemType.VALUES:
        sizes = abs(before - after).max(axis=1)
        return Report(
            found | _values(before, after, data), _changes(sizes, before, after, data), task.labels
        )
    given, others = scores.places(before, task), scores.places(after, task)
    sizes = abs(before - after).max(axis=1)
    sizes[[one == other for one, other in zip(given, others, strict=True)]] = 0
    changes = _changes(sizes, before, after, data)
    if not data.labelled:
        nothing: list[Places] = [()] * data.rows
        found |= figures.agreement(Counter(zip(nothing, given, others, strict=True)))
        return Report(found, changes, task.labels)
    expected = _expected(data)
    answers: figures.Answers = Counter(zip(expected, given, others, strict=True))
    found |= figures.agreement(answers) | figures.quality(answers, task.labels)
    bins, confusion = {}, {}
    for when, table in (("before", before), ("after", after)):
        found[f"ece_{when}"], bins[when] = figures.calibration(*_sure(table, expected, task))
    if task.problem_type is ProblemType.ONE_LABEL:
        confusion = figures.confusion(answers, len(task.labels))
    return Report(found, changes, task.labels, bins, confusion)


def _values(before: np.ndarray, after: np.ndarray, data: Data) -> dict[str, Any]:
    """Compare values, float64 (N, L)."""
    import numpy as np

    found = figures.differences(before, after)
    if data.labelled:
        right = np.array([each.expected for each in data])
        found |= figures.errors(right, before, after)
    return found


def _expected(data: Data) -> list[Places]:
    """Read the places of the right labels of each example, if any example has one."""
    expected = [tuple(map(int, each.expected or ())) for each in data]
    if not any(expected):
        raise ExamplesError(f"{data.path} has no label in any line")
    return expected


def _sure(table: np.ndarray, expected: list[Places], task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Give the probabilities of what was predicted, (M,), and whether it was right, (M,).

    Of one label, the likeliest is predicted, M = N; of several, each is, M = N x L.
    """
    import numpy as np

    right = np.zeros(table.shape, np.bool_)
    for row, places in enumerate(expected):
        right[row, list(places)] = True
    if task.problem_type is ProblemType.SEVERAL_LABELS:
        return table.ravel(), right.ravel()
    rows, best = np.arange(len(table)), table.argmax(axis=1)
    return table[rows, best], right[rows, best]


def _changes(
    sizes: np.ndarray, before: np.ndarray, after: np.ndarray, data: Data
) -> tuple[Change, ...]:
    """Find the examples whose answers changed most, largest first; a size of 0 is no change."""
    import numpy as np

    order = np.argsort(-sizes, kind="stable")[:KEPT]
    wanted = [row for row in order.tolist() if sizes[row] > 0]
    found = {row: example for row, example in enumerate(data) if row in set(wanted)}
    return tuple(
        Change(
            float(sizes[row]),
            found[row].number,
            found[row].text,
            _shown(before[row], data.task),
            _shown(after[row], data.task),
        )
        for row in wanted
    )


def _shown(row: np.ndarray, task: Task) -> str:
    """Write the answer that a row of scores gives, (L,)."""
    if task.problem_type is ProblemType.VALUES:
        return ", ".join(f"{value:.4f}" for value in row)
    (places,) = scores.places(row[None], task)
    return ", ".join(f"{task.labels[place]} ({row[place]:.3f})" for place in places) or "no label"

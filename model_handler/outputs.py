"""Turn logits into what the model's task answers: one label, several labels, or values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Label = int | str

# A label of several is predicted from this score on; sigmoid gives it for a logit of 0.
THRESHOLD = 0.5


class ProblemType(StrEnum):
    """The tasks of sequence classification, by the names of transformers' `problem_type`.

    https://huggingface.co/docs/transformers/main_classes/configuration
    """

    ONE_LABEL = "single_label_classification"
    SEVERAL_LABELS = "multi_label_classification"
    VALUES = "regression"


class Function(StrEnum):
    """The functions that turn logits into scores, by transformers' `function_to_apply`.

    https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TextClassificationPipeline
    """

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    NONE = "none"


class Prediction(NamedTuple):
    """The likeliest label of one text and its probability, in (0, 1].

    `scores` has the probability of each label, if it was asked for.
    """

    probability: float
    predicted_label: Label
    scores: dict[Label, float] | None = None


class Labels(NamedTuple):
    """The labels of one text whose score reaches the threshold, and the score of each label."""

    predicted_labels: list[Label]
    scores: dict[Label, float]


class Values(NamedTuple):
    """The values of one text by the names of the model's outputs; often only one."""

    predicted_values: dict[Label, float]


Output = Prediction | Labels | Values


def labels_of(id2label: Mapping[str, object]) -> tuple[Label, ...]:
    """Give the labels in the order of the logits, from config.json's `id2label` (keys "0", "1"...).

    They are integers when every name is written as one ("-1", "0", "1"), else the names as they are
    ("01" is a name, or it would come out as "1"). Raises ValueError when the keys are not 0 to n-1,
    or two labels have the same name.
    """
    names = {int(key): str(value) for key, value in id2label.items()}
    if sorted(names) != list(range(len(names))):
        raise ValueError(f"id2label must have the keys 0 to n-1, not {sorted(names)}")
    ordered = [names[index] for index in range(len(names))]
    twice = next((name for name in ordered if ordered.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"id2label has two labels with the name {twice!r}; rename one of them")
    try:
        numbers = tuple(int(name) for name in ordered)
    except ValueError:
        return tuple(ordered)
    return numbers if list(map(str, numbers)) == ordered else tuple(ordered)


def read(
    logits: np.ndarray,
    labels: Sequence[Label],
    problem_type: ProblemType = ProblemType.ONE_LABEL,
    scores: bool = False,
    threshold: float = THRESHOLD,
) -> list[Output]:
    """Read the outputs for N texts off their logits, float32 (N, L), for L labels.

    `scores`: of one label, give the probability of all others as well.
    """
    if problem_type is ProblemType.VALUES:
        return [Values(dict(zip(labels, row, strict=True))) for row in logits.tolist()]
    if problem_type is ProblemType.SEVERAL_LABELS:
        return [_several(row, labels, threshold) for row in sigmoid(logits).tolist()]
    return [*_one(logits, labels, scores)]


def apply(function: Function, logits: np.ndarray) -> list[list[float]]:
    """Compute the scores of N texts from their logits, float32 (N, L)."""
    table = logits
    if function is Function.SOFTMAX:
        table = softmax(logits)
    elif function is Function.SIGMOID:
        table = sigmoid(logits)
    scores: list[list[float]] = table.tolist()
    return scores


def softmax(logits: np.ndarray) -> np.ndarray:
    """Compute probabilities that exclude each other, float64 (N, L): rows add up to 1."""
    import numpy as np

    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    table: np.ndarray = exponents / exponents.sum(axis=1, keepdims=True)
    return table


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Compute probabilities that do not exclude each other, float64 (N, L)."""
    import numpy as np

    table: np.ndarray = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
    return table


def _one(logits: np.ndarray, labels: Sequence[Label], scores: bool) -> list[Prediction]:
    best = logits.argmax(axis=1).tolist()
    return [
        Prediction(
            row[index], labels[index], dict(zip(labels, row, strict=True)) if scores else None
        )
        for row, index in zip(softmax(logits).tolist(), best, strict=True)
    ]


def _several(row: Sequence[float], labels: Sequence[Label], threshold: float) -> Labels:
    found = dict(zip(labels, row, strict=True))
    return Labels([label for label, score in found.items() if score >= threshold], found)

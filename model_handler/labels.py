"""Logits in, predictions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Label = int | str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest label of one text and its probability, in (0, 1].

    `scores` has the probability of each label, if it was asked for.
    """

    probability: float
    predicted_label: Label
    scores: dict[Label, float] | None = None


def from_id2label(id2label: Mapping[str, object]) -> tuple[Label, ...]:
    """Labels in the order of the logits, from config.json's `id2label` (keys "0", "1", ...).

    Integers when every name parses as one ("-1", "0", "1"), else the names as they are.
    Raises ValueError when the keys are not 0..n-1.
    """
    names = {int(key): str(value) for key, value in id2label.items()}
    if sorted(names) != list(range(len(names))):
        raise ValueError(f"id2label must have the keys 0 to n-1, not {sorted(names)}")
    ordered = [names[index] for index in range(len(names))]
    try:
        return tuple(int(name) for name in ordered)
    except ValueError:
        return tuple(ordered)


def read_off(logits: np.ndarray, labels: Sequence[Label], scores: bool = False) -> list[Prediction]:
    """Softmax logits, float32 (N, L), and take the likeliest of the L labels for each row.

    `scores`: keep the probabilities of all labels.
    """
    import numpy as np

    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    best = logits.argmax(axis=1)
    # exp of the row's maximum is 1, so the likeliest class has probability 1 / sum.
    probability = 1.0 / exponents.sum(axis=1)
    found = [
        Prediction(float(p), labels[int(index)]) for p, index in zip(probability, best, strict=True)
    ]
    if not scores:
        return found
    table = (exponents * probability[:, None]).tolist()
    return [
        Prediction(one.probability, one.predicted_label, dict(zip(labels, row, strict=True)))
        for one, row in zip(found, table, strict=True)
    ]

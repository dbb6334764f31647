"""Measure how well a model answers, and choose the biases and the temperature that set it right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from model_handler import outputs
from training.data import LABELS, Sentence

if TYPE_CHECKING:
    import numpy as np

BINS = 15  # of confidence, for the calibration error
RESAMPLED = 2000  # bootstrap samples
TEMPERATURES = [round(0.3 + 0.02 * step, 2) for step in range(136)]
BIASES = [round(0.1 * step, 1) for step in range(-15, 16)]
# Biases are the mean of this share of the best ones, since the very best is so by chance.
BEST = 0.02


class Answers(NamedTuple):
    """The labels that a model finds likeliest for N texts, int (N,), and their probabilities."""

    labels: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are (logits + biases) / temperature; biases are those of LABELS."""

    biases: tuple[float, ...] = (0.0, 0.0, 0.0)
    temperature: float = 1.0

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Calibrate logits (N, L)."""
        import numpy as np

        found: np.ndarray = (logits + np.array(self.biases, np.float32)) / self.temperature
        return found


def answers(logits: np.ndarray) -> Answers:
    """Return the likeliest label for each row of logits (N, L)."""
    import numpy as np

    confidence = outputs.softmax(logits).max(axis=1)
    return Answers(np.array(LABELS)[logits.argmax(axis=1)], confidence)


def calibrate(logits: np.ndarray, expected: Sequence[int]) -> Calibration:
    """Choose biases for the best macro F1, then the temperature of the least calibration error.

    Use predictions for texts that the model has not learnt from. The bias of 0 stays 0.
    """
    import numpy as np

    grid = [(low, 0.0, high) for low in BIASES for high in BIASES]
    quality = [
        macro_f1(answers(logits + np.array(each, np.float32)).labels, expected) for each in grid
    ]
    best = np.argsort(quality)[-max(1, round(BEST * len(grid))) :]
    mean = np.mean([grid[place] for place in best], axis=0).round(3)
    tried = (Calibration(tuple(map(float, mean)), each) for each in TEMPERATURES)
    return min(tried, key=lambda each: calibration_error(answers(each.apply(logits)), expected))


def macro_f1(found: np.ndarray, expected: Sequence[int] | np.ndarray) -> float:
    """Return the mean F1 of LABELS; a class that is neither there nor found counts as 0."""
    import numpy as np

    places = np.searchsorted(LABELS, expected) * len(LABELS) + np.searchsorted(LABELS, found)
    table = np.bincount(places, minlength=len(LABELS) ** 2).reshape(len(LABELS), -1)
    both = table.sum(axis=0) + table.sum(axis=1)
    return float((2 * table.diagonal() / both.clip(1)).mean())


def calibration_error(found: Answers, expected: Sequence[int]) -> float:
    """Return the expected calibration error (ECE, bins of equal width)."""
    import numpy as np

    right = found.labels == np.array(expected)
    bins = np.minimum((found.confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - found.confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


def interval(
    found: np.ndarray, expected: Sequence[int] | np.ndarray, seed: int = 1
) -> tuple[float, float]:
    """Return the 95 % interval of the macro F1, by the bootstrap."""
    import numpy as np

    rng = np.random.default_rng(seed)
    right = np.array(expected)
    draws = (rng.integers(0, len(right), len(right)) for _ in range(RESAMPLED))
    scores = [macro_f1(found[places], right[places]) for places in draws]
    low, high = np.quantile(scores, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def report(found: Answers, expected: Sequence[int]) -> dict[str, Any]:
    """Measure macro F1 with its interval, accuracy, ECE, and each class's figures, to 1e-4."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        expected, found.labels, labels=list(LABELS), zero_division=0
    )
    classes = {
        str(label): {
            "precision": round(float(precision), 4),
            "recall": round(float(recall), 4),
            "f1": round(float(f1), 4),
            "support": int(support),
        }
        for label, precision, recall, f1, support in zip(LABELS, *columns, strict=True)
    }
    return {
        "macro_f1": round(macro_f1(found.labels, expected), 4),
        "interval": interval(found.labels, expected),
        "accuracy": round(float(accuracy_score(expected, found.labels)), 4),
        "ece": round(calibration_error(found, expected), 4),
        "classes": classes,
    }


def by_group(found: np.ndarray, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Return the accuracy on all sentences, and on those of each domain and each style."""
    right: dict[str, list[bool]] = {}
    for label, sentence in zip(found, sentences, strict=True):
        for group in ("all", sentence.domain, sentence.style):
            right.setdefault(group, []).append(bool(label == sentence.label))
    return {group: round(sum(each) / len(each), 4) for group, each in right.items()}

"""Measure how well logits answer, and choose the biases and the temperature that set them right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.data import LABELS, Sentence

if TYPE_CHECKING:
    import numpy as np

BINS = 15  # of confidence, for the calibration error
RESAMPLED = 2000  # bootstrap samples
TEMPERATURES = [round(0.3 + 0.02 * step, 2) for step in range(136)]
BIASES = [round(0.1 * step, 1) for step in range(-15, 16)]
# Biases are the mean of this share of the best ones, since the very best is so by chance.
BEST = 0.02


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


def by_group(sentences: Sequence[Sentence], logits: np.ndarray) -> dict[str, float]:
    """Return the accuracy on all sentences, and on those of each domain and each style."""
    right: dict[str, list[bool]] = {}
    for sentence, found in zip(sentences, labels(logits), strict=True):
        for group in ("all", sentence.domain, sentence.style):
            right.setdefault(group, []).append(found == sentence.label)
    return {group: round(sum(each) / len(each), 4) for group, each in right.items()}


def labels(logits: np.ndarray) -> list[int]:
    """Return the likeliest label of each row of logits."""
    return [LABELS[int(index)] for index in logits.argmax(axis=1)]


def calibrate(logits: np.ndarray, expected: Sequence[int]) -> Calibration:
    """Choose biases for the best macro F1, then the temperature of the least calibration error.

    Use predictions of texts that the model has not learnt from. The bias of 0 stays 0.
    """
    import numpy as np

    grid = [(low, 0.0, high) for low in BIASES for high in BIASES]
    quality = [_macro_f1(logits + np.array(each, np.float32), expected) for each in grid]
    best = np.argsort(quality)[-max(1, round(BEST * len(grid))) :]
    biases = tuple(
        float(each) for each in np.mean([grid[place] for place in best], axis=0).round(3)
    )
    tried = (Calibration(biases, each) for each in TEMPERATURES)
    return min(tried, key=lambda each: calibration_error(each.apply(logits), expected))


def _macro_f1(logits: np.ndarray, expected: Sequence[int]) -> float:
    import numpy as np

    right, found = np.searchsorted(LABELS, expected), logits.argmax(axis=1)
    table = np.bincount(right * len(LABELS) + found, minlength=len(LABELS) ** 2)
    table = table.reshape(len(LABELS), -1)
    both = table.sum(axis=0) + table.sum(axis=1)
    return float((2 * table.diagonal() / both.clip(1)).mean())


def calibration_error(logits: np.ndarray, expected: Sequence[int]) -> float:
    """Return the expected calibration error of the likeliest label (ECE, bins of equal width)."""
    import numpy as np
    from scipy.special import softmax

    confidence = softmax(logits, axis=1).max(axis=1)
    right = np.array(labels(logits)) == np.array(expected)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


def interval(logits: np.ndarray, expected: Sequence[int], seed: int = 1) -> tuple[float, float]:
    """Return the 95 % interval of the macro F1, by the bootstrap."""
    import numpy as np

    rng = np.random.default_rng(seed)
    right = np.array(expected)
    draws = (rng.integers(0, len(right), len(right)) for _ in range(RESAMPLED))
    found = [_macro_f1(logits[places], right[places]) for places in draws]
    low, high = np.quantile(found, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def report(logits: np.ndarray, expected: Sequence[int]) -> dict[str, Any]:
    """Measure macro F1 with its interval, accuracy, ECE, and each class's figures, to 1e-4."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    predicted = labels(logits)
    columns = precision_recall_fscore_support(
        expected, predicted, labels=list(LABELS), zero_division=0
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
        "macro_f1": round(float(sum(columns[2]) / len(LABELS)), 4),
        "interval": interval(logits, expected),
        "accuracy": round(float(accuracy_score(expected, predicted)), 4),
        "ece": round(calibration_error(logits, expected), 4),
        "classes": classes,
    }

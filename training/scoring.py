"""A model and texts in, logits out; logits and labels in, the class biases that suit them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.data import LABELS

if TYPE_CHECKING:
    import numpy as np

MAX_LENGTH = 128
BATCH = 32


def encode(tokenizer: Any, texts: list[str]) -> Any:
    """Texts to padded PyTorch tensors, cut to MAX_LENGTH tokens."""
    return tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
    )


def logits(model: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """Logits of texts in their order, float32 (N, 3)."""
    import numpy as np
    import torch

    model.eval()
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = np.zeros((len(texts), len(LABELS)), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            found[places] = model(**encode(tokenizer, [texts[place] for place in places])).logits
    return found


def labels(scores: np.ndarray) -> list[int]:
    """The likeliest label of each row of logits."""
    return [LABELS[int(index)] for index in scores.argmax(axis=1)]


def calibrate(scores: np.ndarray, expected: list[int]) -> tuple[float, float, float]:
    """The smallest biases of the classes, on a grid, that give the best macro F1.

    Balanced epochs show the rare classes far more often than they occur, so a model trained on
    them sees them too often. Chosen on the data it is measured on, so that figure is a little
    optimistic.
    """
    import numpy as np

    truth = np.array([LABELS.index(label) for label in expected])
    grid = np.round(np.arange(-1.5, 1.51, 0.1), 1)
    choices = sorted(((a, 0.0, b) for a in grid for b in grid), key=lambda c: abs(c[0]) + abs(c[2]))

    def quality(bias: tuple[float, float, float]) -> float:
        found = (scores + np.array(bias, dtype=np.float32)).argmax(axis=1)
        table = np.bincount(3 * truth + found, minlength=9).reshape(3, 3)
        f1 = 2 * table.diagonal() / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1)
        return float(f1.mean())

    best = max(choices, key=quality)
    return float(best[0]), 0.0, float(best[2])

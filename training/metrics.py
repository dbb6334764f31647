"""True and predicted labels in, the figures of a model card out."""

from __future__ import annotations

from typing import Any

from training.data import LABELS


def report(labels: list[int], predicted: list[int]) -> dict[str, Any]:
    """Macro F1, accuracy, and precision, recall, F1 and support of each class, rounded to 1e-4."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        labels, predicted, labels=list(LABELS), zero_division=0
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
        "accuracy": round(float(accuracy_score(labels, predicted)), 4),
        "classes": classes,
    }

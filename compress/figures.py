"""Compare the answers of two models to the same texts: agreement, macro-F1, recall, differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# The places of labels among the model's: one, or any number of them.
Places = tuple[int, ...]
# The right labels of a text (none if they are not known), those of the checkpoint, those of the
# packed model: how often each of these occurs is all that the figures need.
Answers = Counter[tuple[Places, Places, Places]]

RESAMPLES = 2000
SEED = 20240501
# Resamples at a time, so that many texts do not take as many times the memory.
AT_ONCE = 50


def agreement(answers: Answers) -> dict[str, Any]:
    """Give the share of texts that get the same labels from both, and how many do not."""
    flipped = sum(count for (_, one, other), count in answers.items() if one != other)
    return {"agreement": 1 - flipped / answers.total(), "flipped": flipped}


def quality(answers: Answers, labels: Sequence[object]) -> dict[str, Any]:
    """Give macro-F1 and the worst recall of a label, before and after packing.

    Over the labels that occur. The interval of macro-F1's change is that of a paired bootstrap: of
    95 % of the resamples of the texts, which are the same for both models.
    https://aclanthology.org/D12-1091/
    """
    import numpy as np

    right, before, after = (_indicators(answers, which, len(labels)) for which in range(3))
    counts = np.array(list(answers.values()), dtype=np.float64)
    occurring = counts @ right > 0
    figures: dict[str, Any] = {}
    for name, found in (("before", before), ("after", after)):
        figures[f"macro_f1_{name}"] = float(_macro_f1(counts[None], right, found, occurring)[0])
        recall = counts @ (right * found) / np.maximum(counts @ right, 1)
        worst = int(np.where(occurring, recall, np.inf).argmin())
        figures[f"worst_recall_{name}"] = float(recall[worst])
        figures[f"worst_recall_label_{name}"] = labels[worst]
    random, total = np.random.default_rng(SEED), int(counts.sum())
    changes = []
    for _ in range(RESAMPLES // AT_ONCE):
        # Drawing texts anew and counting them is one draw from a multinomial distribution.
        drawn = random.multinomial(total, counts / total, size=AT_ONCE).astype(np.float64)
        changes.append(
            _macro_f1(drawn, right, after, occurring) - _macro_f1(drawn, right, before, occurring)
        )
    figures["macro_f1_change_interval"] = _interval(np.concatenate(changes))
    return figures


def _indicators(answers: Answers, which: int, labels: int) -> np.ndarray:
    """Make a table, float (C, L): 1 where a label is among those of each kind of text."""
    import numpy as np

    table = np.zeros((len(answers), labels))
    for row, key in enumerate(answers):
        table[row, list(key[which])] = 1
    return table


def _macro_f1(
    counts: np.ndarray, right: np.ndarray, found: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Compute macro-F1 over some labels, (R,), for R ways to count C kinds of texts, (R, C)."""
    import numpy as np

    hits = counts @ (right * found)[:, labels]
    all_of_them = counts @ (right + found)[:, labels]
    scores: np.ndarray = (2 * hits / np.maximum(all_of_them, 1)).mean(axis=1)
    return scores


def differences(before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Compare values, float (N, L): correlation (the lowest of the L) and absolute differences.

    The correlation is None where a model gives each text the same value.
    """
    import numpy as np

    apart = np.abs(before - after)
    spread = np.minimum(before.std(axis=0), after.std(axis=0))
    pairs = zip(before.T, after.T, strict=True)
    lowest = min(np.corrcoef(*pair)[0, 1] for pair in pairs) if spread.all() else None
    return {
        "correlation": None if lowest is None else float(lowest),
        "largest_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
    }


def errors(right: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Give the mean absolute error of values, float (N, L), and an interval of its change."""
    import numpy as np

    apart = [np.abs(found - right).mean(axis=1) for found in (before, after)]
    change = apart[1] - apart[0]
    random = np.random.default_rng(SEED)
    means = [change[random.integers(0, len(change), len(change))].mean() for _ in range(RESAMPLES)]
    return {
        "mean_error_before": float(apart[0].mean()),
        "mean_error_after": float(apart[1].mean()),
        "mean_error_change_interval": _interval(np.array(means)),
    }


def _interval(changes: np.ndarray) -> list[float]:
    """Return the interval of the middle 95 % of the changes in resamples."""
    import numpy as np

    return [float(each) for each in np.percentile(changes, [2.5, 97.5])]

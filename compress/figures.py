"""Compare the answers of two models to the same texts: agreement, quality, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
BINS = 15


class Bin(NamedTuple):
    """Predictions of about the same probability: how many, their mean, and the share of hits."""

    size: int
    confidence: float
    hits: float


def agreement(answers: Answers) -> dict[str, Any]:
    """Give the share of texts that get the same labels from both, and how many do not."""
    flipped = sum(count for (_, one, other), count in answers.items() if one != other)
    return {"agreement": 1 - flipped / answers.total(), "flipped": flipped}


def quality(answers: Answers, labels: Sequence[object]) -> dict[str, Any]:
    """Give macro-F1 and the worst recall of a label, before and after, and how they changed.

    Over the labels that occur. Intervals are those of a paired bootstrap: they hold 95 % of the
    resamples of the texts, which are the same for both models. https://aclanthology.org/D12-1091/
    """
    import numpy as np

    right, *models = (_indicators(answers, which, len(labels)) for which in range(3))
    counts = np.array(list(answers.values()), dtype=np.float64)
    occurring = np.flatnonzero(counts @ right)
    right, *models = (table[:, occurring] for table in (right, *models))
    # By model: macro-F1 and the worst recall, of the texts themselves and of each resample.
    found: list[list[np.ndarray]] = [[], []]
    for drawn in _draws(counts):
        for model, table in enumerate(models):
            worst = _recalls(drawn, right, table).min(axis=1)
            found[model].append(np.stack([_macro_f1(drawn, right, table), worst]))
    before, after = map(np.hstack, found)
    figures: dict[str, Any] = {"bootstrap_seed": SEED}
    for when, drawn, table in zip(("before", "after"), (before, after), models, strict=True):
        worst = occurring[_recalls(counts[None], right, table)[0].argmin()]
        figures[f"macro_f1_{when}"], figures[f"worst_recall_{when}"] = map(float, drawn[:, 0])
        figures[f"worst_recall_label_{when}"] = labels[int(worst)]
        figures[f"macro_f1_interval_{when}"] = _interval(drawn[0, 1:])
    for name, change in zip(("macro_f1", "worst_recall"), (after - before)[:, 1:], strict=True):
        figures[f"{name}_change_interval"] = _interval(change)
    return figures


def _draws(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Give the counts of each kind of text, (1, C), and those of texts drawn anew, (AT_ONCE, C)."""
    import numpy as np

    yield counts[None]
    random, total = np.random.default_rng(SEED), int(counts.sum())
    for _ in range(RESAMPLES // AT_ONCE):
        # Drawing texts anew and counting them is one draw from a multinomial distribution.
        yield random.multinomial(total, counts / total, size=AT_ONCE).astype(np.float64)


def confusion(answers: Answers, labels: int) -> dict[str, list[list[int]]]:
    """Count the texts of each right label (rows) by the label that a model gives (columns).

    Only for models that give each text one label.
    """
    tables = {when: [[0] * labels for _ in range(labels)] for when in ("before", "after")}
    for ((right,), (one,), (other,)), count in answers.items():
        tables["before"][right][one] += count
        tables["after"][right][other] += count
    return tables


def calibration(confidence: np.ndarray, hit: np.ndarray) -> tuple[float, list[Bin]]:
    """Give the expected calibration error of N predictions, and its bins that are not empty.

    `confidence`: the probability that each was given, (N,); `hit`: whether it was right. The error
    is the distance of a bin's mean confidence from its share of hits, averaged over the
    predictions, with BINS bins of equal width: https://proceedings.mlr.press/v70/guo17a.html
    """
    import numpy as np

    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = []
    for place in np.unique(places):
        inside = places == place
        bins.append(Bin(int(inside.sum()), confidence[inside].mean(), hit[inside].mean()))
    error = sum(each.size * abs(each.confidence - each.hits) for each in bins) / len(confidence)
    return float(error), bins


def _indicators(answers: Answers, which: int, labels: int) -> np.ndarray:
    """Make a table, float (C, L): 1 where a label is among those of each kind of text."""
    import numpy as np

    table = np.zeros((len(answers), labels))
    for row, key in enumerate(answers):
        table[row, list(key[which])] = 1
    return table


def _recalls(counts: np.ndarray, right: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Compute the recall of labels, (R, L), for R ways to count C kinds of texts, (R, C).

    A label that none of the texts has counts as found.
    """
    import numpy as np

    hits, all_of_them = counts @ (right * found), counts @ right
    recalls: np.ndarray = np.where(all_of_them > 0, hits / np.maximum(all_of_them, 1), 1.0)
    return recalls


def _macro_f1(counts: np.ndarray, right: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Compute macro-F1 over labels, (R,), for R ways to count C kinds of texts, (R, C)."""
    import numpy as np

    hits, all_of_them = counts @ (right * found), counts @ (right + found)
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

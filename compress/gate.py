"""Refuse a smaller model whose answers are worse than its budgets allow: --gate NAME=VALUE."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.examples import Data, ExamplesError
from model_handler.outputs import ProblemType

# What each budget bounds. Without labels, or for a model of values, there is only the first.
BUDGETS = {
    "agreement": "least share of texts that get the same labels (values: least correlation)",
    "macro_f1_drop": "most that macro-F1 may drop beyond noise",
    "recall_drop": "most that the worst recall of a label may drop beyond noise",
    "ece": "highest expected calibration error of the smaller model",
}
DEFAULTS = {"agreement": 0.98, "macro_f1_drop": 0.005}
# The figures that may drop. Held against the budget is the smallest drop in the interval of the
# change, so a file that is too small to tell a drop from noise refuses nothing.
_DROPS = {"macro_f1_drop": "macro_f1", "recall_drop": "worst_recall"}


class BudgetError(Exception):
    """The smaller model misses a budget; says which, and by how much."""


@dataclass(frozen=True)
class Plan:
    """What to compare two models with, and the budgets that were stated.

    `labelled`: whether the file's labels are read; None: if its first record has one.
    """

    file: Path
    labelled: bool | None = None
    budgets: Mapping[str, float] = field(default_factory=dict)


def add_label_options(add: Callable[..., object]) -> None:
    """Add --labels and --no-labels to a parser, or a group of one, by its add_argument."""
    add(
        "--labels",
        action=argparse.BooleanOptionalAction,
        help='each record must have the right "label", too, or none is read; if neither is given, '
        "as the first record has it. With labels, macro-F1, recall and calibration are compared",
    )


def add_options(add: Callable[..., object]) -> None:
    """Add --labels, --no-labels and --gate to a parser, or a group of one, by its add_argument."""
    add_label_options(add)
    known = "; ".join(f"{name}: {meaning}" for name, meaning in BUDGETS.items())
    defaults = ", ".join(f"{name}={value:g}" for name, value in DEFAULTS.items())
    add(
        "--gate",
        nargs="+",
        action="extend",
        type=budget,
        default=[],
        metavar="NAME=VALUE",
        help=f"refuse the result if it misses one of these budgets, from 0 to 1. {known}. "
        f"Always held: {defaults}, unless another value is given",
    )


def budget(text: str) -> tuple[str, float]:
    """Read NAME=VALUE; raises argparse's error for another name, or no number from 0 to 1."""
    name, _, number = text.partition("=")
    if name not in BUDGETS:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE for {', '.join(BUDGETS)}")
    return name, share(number)


def share(text: str) -> float:
    """Read a number from 0 to 1; raises argparse's error for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


def check_possible(budgets: Mapping[str, float], data: Data) -> None:
    """Raise ExamplesError for a stated budget that cannot be told with these examples."""
    for name in budgets:
        if name == "agreement":
            continue
        if data.task.problem_type is ProblemType.VALUES:
            raise ExamplesError(f"--gate {name}: the model gives values, which have no {name}")
        if not data.labelled:
            raise ExamplesError(f'--gate {name} needs a "label" in each record of {data.path}')


def check(found: Mapping[str, Any], budgets: Mapping[str, float]) -> None:
    """Raise BudgetError if figures, by their names in a report, miss a budget, stated or not."""
    missed = [
        words
        for name, limit in {**DEFAULTS, **budgets}.items()
        if (words := _missed(name, limit, found)) is not None
    ]
    if missed:
        raise BudgetError(f"{'; '.join(missed)}: nothing is written")


def _missed(name: str, limit: float, found: Mapping[str, Any]) -> str | None:
    """Say by how much a budget is missed; None if it is kept, or cannot be told."""
    if name == "agreement":
        what = name if name in found else "correlation"
        reached = found[what]
        if reached is None:
            return (
                "no correlation can be told, since a model gives each text the same value; "
                "compare with more texts"
            )
        lack = limit - reached
        return _beyond(f"{what} is {reached:.4f}", lack, f"below --gate {name}={limit:g}")
    if name in _DROPS:
        figure = _DROPS[name]
        if f"{figure}_before" not in found:
            return None
        drop = found[f"{figure}_before"] - found[f"{figure}_after"]
        low, high = found[f"{figure}_change_interval"]
        words = (
            f"{figure.replace('_', ' ').replace('macro f1', 'macro-F1')} drops by {drop:.4f} "
            f"(95 % interval {-high:.4f} to {-low:.4f})"
        )
        return _beyond(words, -high - limit, f"beyond --gate {name}={limit:g}")
    if "ece_after" not in found:
        return None
    reached = found["ece_after"]
    return _beyond(f"ece is {reached:.4f}", reached - limit, f"above --gate {name}={limit:g}")


def _beyond(words: str, by: float, budget: str) -> str | None:
    return f"{words}, {by:.4f} {budget}" if by > 0 else None

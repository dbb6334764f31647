"""Write the report of a validation, and check it against the budget."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_handler.tokens import Text

# Characters of a text that are shown.
LONGEST_SHOWN = 70


class BudgetError(Exception):
    """The packed model changes more answers than the budget allows; says which budget."""


@dataclass(frozen=True)
class Plan:
    """What to validate with, and what is asked for.

    `min_agreement` is the share of texts with the same labels; of values, the correlation.
    `max_f1_drop` is how much macro-F1 may lose; it needs the file's labels.
    """

    file: Path
    labelled: bool = False
    min_agreement: float = 0.98
    max_f1_drop: float | None = None


@dataclass(frozen=True, order=True)
class Change:
    """An answer that packing changed: how far, in which line, and both answers."""

    size: float
    number: int
    text: Text
    before: str
    after: str

    def __str__(self) -> str:
        """Write one line, with the beginning of the text."""
        text = self.text if isinstance(self.text, str) else " | ".join(self.text)
        shown = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
        return f"  line {self.number}: {self.before} -> {self.after}  {json.dumps(shown)}"


@dataclass(frozen=True)
class Report:
    """What a validation found: figures by name, and the largest changes of answers."""

    found: dict[str, Any]
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        """Write all lines of the report; the changed answers come behind an empty line."""
        found = self.found
        lines = [f"{found['rows']:,} texts of {found['file']} (sha256 {found['sha256'][:12]}):"]
        if "agreement" in found:
            lines.append(
                f"- the same answer for {found['agreement']:.2%} of them; "
                f"{found['flipped']:,} get another one"
            )
        else:
            lines.append(
                f"- correlation {_shown(found['correlation'])}; values differ by "
                f"{_shown(found['mean_difference'])} on average and by "
                f"{_shown(found['largest_difference'])} at most"
            )
        if "macro_f1_before" in found:
            lines += [_changed("macro-F1", "macro_f1", found), _recall(found)]
        if "mean_error_before" in found:
            lines.append(_changed("mean absolute error", "mean_error", found))
        if self.changes:
            lines += ["", f"the {len(self.changes)} largest changes, checkpoint -> packed:"]
            lines += map(str, self.changes)
        return "\n".join(lines)

    def figures(self) -> dict[str, Any]:
        """Return the figures for the manifest, to four decimals: more would be noise."""

        def short(value: Any) -> Any:
            if isinstance(value, list):
                return [short(each) for each in value]
            return round(value, 4) if isinstance(value, float) else value

        return {name: short(value) for name, value in self.found.items()}

    def check(self, plan: Plan) -> None:
        """Raise BudgetError if a budget is missed."""
        name = "agreement" if "agreement" in self.found else "correlation"
        reached = self.found[name]
        if reached is None:
            raise BudgetError(
                f"no correlation can be told from {plan.file}: a model gives each text the same "
                "value; validate with more texts"
            )
        if reached < plan.min_agreement:
            raise BudgetError(
                f"{name} is {reached:.4f}, below --min-agreement {plan.min_agreement:g}: nothing "
                "is written"
            )
        if plan.max_f1_drop is not None:
            drop = self.found["macro_f1_before"] - self.found["macro_f1_after"]
            if drop > plan.max_f1_drop:
                raise BudgetError(
                    f"macro-F1 drops by {drop:.4f}, more than --max-f1-drop {plan.max_f1_drop:g}: "
                    "nothing is written"
                )


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _changed(what: str, name: str, found: dict[str, Any]) -> str:
    """Write a line with a figure before and after, and the interval of its change."""
    before, after = found[f"{name}_before"], found[f"{name}_after"]
    low, high = found[f"{name}_change_interval"]
    return (
        f"- {what} {before:.4f} -> {after:.4f}: a change of {after - before:+.4f}, "
        f"95 % interval {low:+.4f} to {high:+.4f}"
    )


def _recall(found: dict[str, Any]) -> str:
    one, other = (
        f"{found[f'worst_recall_{when}']:.4f} ({found[f'worst_recall_label_{when}']})"
        for when in ("before", "after")
    )
    return f"- the worst recall of a label {one} -> {other}"

"""Tell what a comparison of two models found: a text for the terminal, figures for the manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compress.figures import Bin
from model_handler.outputs import Label
from model_handler.tokens import Text

if TYPE_CHECKING:
    from compress.costs import Costs

# Changed answers in the text, and characters of each that are shown.
SHOWN = 10
LONGEST_SHOWN = 70


@dataclass(frozen=True)
class Change:
    """An answer that changed: how far, in which line of the file, and both answers."""

    size: float
    number: int
    text: Text
    before: str
    after: str

    def __str__(self) -> str:
        """Write one line, with the beginning of the text."""
        text = self.shown
        cut = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
        return f"  line {self.number}: {self.before} -> {self.after}  {json.dumps(cut)}"

    @property
    def shown(self) -> str:
        """The text, or both of a pair."""
        return self.text if isinstance(self.text, str) else " | ".join(self.text)


@dataclass(frozen=True)
class Report:
    """What a comparison found: figures by name, and the answers that changed most, largest first.

    `bins` are those of the calibration, `confusion` counts right labels by those given, each
    "before" and "after"; they are empty where the task or the file gives none.
    """

    found: dict[str, Any]
    changes: tuple[Change, ...]
    labels: tuple[Label, ...] = ()
    bins: dict[str, list[Bin]] = field(default_factory=dict)
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Write all lines of the report; the changed answers come behind an empty line."""
        shown = self.changes[:SHOWN]
        if not shown:
            return self.without_texts()
        head = f"the {len(shown)} largest changes, source -> result:"
        return "\n".join([self.without_texts(), "", head, *map(str, shown)])

    def without_texts(self) -> str:
        """Write the lines that hold no text of the owner."""
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
            lines += [
                _changed("macro-F1", "macro_f1", found),
                _recall(found),
                f"- expected calibration error {found['ece_before']:.4f} -> "
                f"{found['ece_after']:.4f}",
            ]
        if "mean_error_before" in found:
            lines.append(_changed("mean absolute error", "mean_error", found))
        if "megabytes_before" in found:
            lines += _costs(found)
        return "\n".join(lines)

    def with_costs(self, before: Costs, after: Costs) -> Report:
        """Add what the two models cost to the figures; what was not measured stays out."""
        added = {
            f"{name}_{when}": value
            for when, costs in (("before", before), ("after", after))
            for name, value in costs._asdict().items()
            if value is not None
        }
        return replace(self, found=self.found | added)

    def figures(self) -> dict[str, Any]:
        """Return the figures for the manifest, to four decimals: more would be noise."""

        def short(value: Any) -> Any:
            if isinstance(value, list):
                return [short(each) for each in value]
            return round(value, 4) if isinstance(value, float) else value

        return {name: short(value) for name, value in self.found.items()}


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


def _costs(found: dict[str, Any]) -> list[str]:
    """Write lines about size and time."""
    lines = [
        f"- {what} {found[f'{name}_before']:,.{digits}f} -> {found[f'{name}_after']:,.{digits}f}"
        for what, name, digits in (
            ("parameters", "parameters", 0),
            ("MB", "megabytes", 1),
            ("multiplications a token, of 16", "multiplications", 0),
            ("ms for 16 tokens, p50 without HTTP and tokenizer, on this CPU", "p50_ms", 2),
        )
    ]
    if "start_ms_after" in found:
        lines.append(
            f"- ms from the start of a process to its first answer, without HTTP: "
            f"{found['start_ms_after']:,.0f}"
        )
    return lines

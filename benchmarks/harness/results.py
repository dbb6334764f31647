"""Figures in as they are measured, results.json out; and back again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Results:
    """Everything the page and the picture are made from.

    `values[what][who]` has one value for each run, in the unit of its row; `missing[what]` is why
    a figure is not there; `facts` are words about the machine and the way it was measured.
    """

    command: str
    facts: dict[str, str]
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, who: str, found: Mapping[str, float]) -> None:
        """One run's figures."""
        for what, value in found.items():
            self.values.setdefault(what, {}).setdefault(who, []).append(value)

    def of(self, what: str, who: str) -> list[float]:
        """A figure's values; none when it was not measured."""
        return self.values.get(what, {}).get(who, [])

    def write(self, path: Path) -> None:
        """Write results.json."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read results.json."""
    return Results(**json.loads(path.read_bytes()))

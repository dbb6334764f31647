"""Run a benchmark's command: measure, keep the figures as JSON, and write the page from that."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.harness import cpu_kind, machine


@dataclass
class Results:
    """Everything that a page and its picture are made from.

    `values[what][who]` has one value for each run, and `words[what][who]` what is said rather than
    measured; `missing[what]` is why a figure is not there; `facts` describe the machine and the way
    it was measured.
    """

    command: str
    facts: dict[str, str]
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, who: str, found: Mapping[str, float]) -> None:
        """Add the figures of one run."""
        for what, value in found.items():
            self.values.setdefault(what, {}).setdefault(who, []).append(value)

    def say(self, who: str, found: Mapping[str, str]) -> None:
        """Add words, one of each kind."""
        for what, words in found.items():
            self.words.setdefault(what, {})[who] = words

    def of(self, what: str, who: str) -> list[float]:
        """Return a figure's values; none when it was not measured."""
        return self.values.get(what, {}).get(who, [])

    def write(self, path: Path) -> None:
        """Write the JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read the JSON file."""
    return Results(**json.loads(path.read_bytes()))


@dataclass(frozen=True)
class Benchmark:
    """A command of `python -m benchmarks`, and the page that it writes.

    `measure` adds its figures to results that name the command and the machine. The JSON file and
    the picture have the name of the page in small letters and lie beside it, unless `folder` says
    where else.
    """

    name: str
    description: str
    page: Path
    add_options: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace, Results], None]
    write: Callable[[Results], str]
    draw: Callable[[Results, Path], None] | None = None
    folder: Path | None = None

    @property
    def json(self) -> Path:
        """The file with the figures."""
        return (self.folder or self.page.parent) / f"{self.page.stem.lower()}.json"

    def run(self, arguments: Sequence[str] | None = None) -> Results:
        """Measure, or read what was measured, and write the page; return the figures."""
        parser = argparse.ArgumentParser(
            prog=f"python -m benchmarks {self.name}", description=self.description
        )
        self.add_options(parser)
        parser.add_argument(
            "--out",
            "--page",
            type=Path,
            help="the page, or its folder; JSON and picture lie beside",
        )
        parser.add_argument(
            "--redraw", action="store_true", help="write the page again from its JSON"
        )
        options = parser.parse_args(arguments)
        figures, page = self.json, self.page
        if options.out:
            page = options.out if options.out.suffix == ".md" else options.out / page.name
            figures = page.with_name(figures.name)
            page.parent.mkdir(parents=True, exist_ok=True)
        if options.redraw:
            found = read(figures)
        else:
            found = Results(self._command(arguments or ()), machine.facts())
            self.measure(options, found)
            found.write(figures)
        page.write_text(self.write(found), encoding="utf-8")
        if self.draw:
            self.draw(found, figures.with_suffix(".svg"))
        print(page.read_text(encoding="utf-8"))
        return found

    def _command(self, arguments: Sequence[str]) -> str:
        """Return the command, without the folders of this machine, which are nobody's business."""
        words = [Path(word).name if "/" in word else word for word in arguments]
        kind = ["--cpu-kind", cpu_kind.AVX2.lower()] if cpu_kind.hidden() else []
        return shlex.join(["python", "-m", "benchmarks", *kind, self.name, *words])

"""Run a benchmark's command: measure, keep the figures as JSON, and write the page from that."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.harness import cpu_kind, machine


@dataclass
class Results:
    """Everything that a page and its picture are made from.

    `values[what][who]` has one value for each run, and `words[what][who]` what is said rather than
    measured; `missing[what]` is why a figure is not there; `facts` describe the machine and the way
    it was measured. `beside` are the same figures of the other kind of CPU, where there are any;
    they are written to a file of their own.
    """

    command: str
    facts: dict[str, str]
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    beside: Results | None = None

    @property
    def kind(self) -> str:
        """The kind of CPU that the figures are of, one of cpu_kind.KINDS; empty if not known."""
        return self.facts.get("CPU kind", "").partition(",")[0]

    def kinds(self) -> list[Results]:
        """Return these figures and those of the other kind of CPU: a column or section for each."""
        return [self, *([self.beside] if self.beside else [])]

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
        own = asdict(replace(self, beside=None))
        del own["beside"]
        path.write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read the JSON file."""
    return Results(**json.loads(path.read_bytes()))


@dataclass(frozen=True)
class Benchmark:
    """A command of `python -m benchmarks`, and the page that it writes.

    `measure` adds its figures to results that name the command and the machine. The JSON file and
    the picture have the name of the page in small letters and lie beside it, unless `folder` says
    where else. A benchmark of int8 products (`by_kind`) has a JSON file for each kind of CPU, and
    one page of all: the platform's kind is the headline.
    """

    name: str
    description: str
    page: Path
    add_options: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace, Results], None]
    write: Callable[[Results], str]
    draw: Callable[[Results, Path], None] | None = None
    folder: Path | None = None
    by_kind: bool = False

    @property
    def json(self) -> Path:
        """The file that figures measured here go to."""
        return (self.folder or self.page.parent) / self._file(cpu_kind.kind())

    def files(self, folder: Path | None = None) -> list[Path]:
        """Return the JSON files that are there; that of the platform's kind of CPU comes first."""
        place = folder or self.folder or self.page.parent
        names = dict.fromkeys(self._file(kind) for kind in cpu_kind.KINDS)
        return [place / name for name in names if (place / name).exists()]

    def _file(self, kind: str) -> str:
        stem = self.page.stem.lower()
        return f"{stem}.{kind.lower()}.json" if self.by_kind else f"{stem}.json"

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
        page, folder = self.page, self.folder or self.page.parent
        if options.out:
            page = options.out if options.out.suffix == ".md" else options.out / page.name
            folder = page.parent
            folder.mkdir(parents=True, exist_ok=True)
        if not options.redraw:
            found = Results(self._command(arguments or ()), machine.facts())
            self.measure(options, found)
            found.write(folder / self._file(found.kind))
            if self.by_kind and found.kind == cpu_kind.VNNI:
                print(cpu_kind.BESIDE, file=sys.stderr)
        found = self._read(folder)
        page.write_text(self.write(found), encoding="utf-8")
        if self.draw:
            self.draw(found, folder / f"{self.page.stem.lower()}.svg")
        print(page.read_text(encoding="utf-8"))
        return found

    def _read(self, folder: Path) -> Results:
        """Return the headline figures, with those of the other kind of CPU beside them.

        Raises SystemExit where a file has figures of another kind than its name says.
        """
        found = []
        for file in self.files(folder):
            found.append(read(file))
            if file.name != self._file(found[-1].kind):
                kind = found[-1].kind or "unknown"
                raise SystemExit(f"{file.name} has figures of a CPU of kind {kind}: not mixed in")
        if not found:
            raise SystemExit(f"{self.name} has no figures in {folder}; measure without --redraw")
        headline, *others = found
        headline.beside = others[0] if others else None
        return headline

    def _command(self, arguments: Sequence[str]) -> str:
        """Return the command, without the folders of this machine, which are nobody's business."""
        words = [Path(word).name if "/" in word else word for word in arguments]
        kind = ["--cpu-kind", cpu_kind.AVX2.lower()] if cpu_kind.hidden() else []
        return shlex.join(["python", "-m", "benchmarks", *kind, self.name, *words])

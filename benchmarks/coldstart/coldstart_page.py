"""Write COLDSTART.md: figures with their targets, then CPU time and blocks by cause and by file."""

from __future__ import annotations

import statistics

from benchmarks.coldstart import causes, stages
from benchmarks.coldstart.sandbox_start import SANDBOX
from benchmarks.harness import pages
from benchmarks.harness.pages import Row, at_most
from benchmarks.harness.results import Results

LARGE, DEFAULT = "packed RoBERTa-base", "default model"
NOTES = """\
- first answer: from exec of `serve` to the first correct answer, on one CPU, with all files in the
  page cache; CPU seconds are those of all its processes until then
- blocks: the distinct blocks of 512 KiB that a start has touched by its first correct answer, each
  file beginning with a block of its own, and their bytes, where the last block of a file ends with
  the file. Serverless Inference runs on Lambda, which loads an image in such blocks
  [as they are touched](https://www.usenix.org/conference/atc23/presentation/brooker). The start
  finds nothing in the page cache, and the device reads nothing ahead: it sees copies of its files
  that no other process has open ([blocks.py](blocks.py))
- sandbox: the image in a container with the limits of an endpoint's memory size and with its files
  in the page cache; created is from `docker run` until the container's process has started"""
GOALS = {
    (LARGE, "cold"): (at_most(0.25, "s"),),
    (LARGE, "cpu_seconds"): (at_most(0.22, "s"),),
    (LARGE, "block_mb"): (at_most(110, "MB"),),
    (DEFAULT, "cold"): (at_most(0.20, "s"),),
    (DEFAULT, "cpu_seconds"): (at_most(0.18, "s"),),
    (DEFAULT, "block_mb"): (at_most(60, "MB"),),
}
FIGURES = (
    ("first answer", "cold", "s", 3),
    ("CPU seconds until then", "cpu_seconds", "s", 3),
    ("blocks touched until then", "blocks", "", 0),
    ("bytes of these blocks", "block_mb", "MB", 1),
    (f"container created, {SANDBOX}", "created", "s", 2),
    ("first answer after that", "sandbox", "s", 2),
    ("both, from `docker run`", "docker_run", "s", 2),
)


def page(results: Results) -> str:
    """Write the page."""
    models = results.facts["models"].split(", ")
    rows = [
        Row(title, what, unit, digits, who, None, GOALS.get((who, what), ()))
        for title, what, unit, digits in FIGURES
        for who in models
    ]
    gaps = "".join(f"- {what}: {why}\n" for what, why in results.missing.items())
    heads = ["", "model", "", "target", "met", *(["with VNNI"] if results.beside else [])]
    parts = [
        f"# Cold starts\n\n{pages.commands(results)}",
        f"{pages.machines(results)} Medians, with the least and the most in\nbrackets.",
        pages.table(heads, (_line(results, row) for row in rows)),
        *([f"Not measured:\n\n{gaps.rstrip()}"] if gaps else []),
        NOTES,
        *(_breakdown(results, who) for who in models),
    ]
    if results.of("cold", "all"):
        parts += [_savings(results)]
    return "\n\n".join([*filter(None, parts), pages.facts(results)]) + "\n"


def _line(results: Results, row: Row) -> list[str]:
    first, *others = (
        pages.spread(found.of(row.what, row.who), row.digits, row.unit) for found in results.kinds()
    )
    goals = ", ".join(goal.words for goal in row.goals)
    return [row.title, row.who, first, goals, ", ".join(pages.verdicts(results, row)), *others]


def _breakdown(results: Results, who: str) -> str:
    parts = []
    if results.of("blocks", who):
        opened, in_vain = (results.of(what, who)[0] for what in ("opened", "in_vain"))
        parts += [
            causes.table(results, who),
            "The files of which most is touched:",
            causes.greatest(results, who),
            f"{opened:.0f} files are opened, and {in_vain:.0f} are looked for in vain.",
        ]
    if results.of("end", f"{who}: first answer"):
        last = statistics.median(results.of("end", f"{who}: first answer"))
        parts += [
            f"Stage by stage, in ms; with the tracer the first answer comes after {last:.0f} ms. "
            "Threads of one CPU take\nturns, so stages of different lanes overlap: a stage's wall "
            "time holds what others did meanwhile, its CPU\ntime does not.",
            f"```\n{stages.table(results, who)}\n```",
        ]
    return "\n\n".join([f"## A start of the {who}", *parts]) if parts else ""


def _savings(results: Results) -> str:
    """Compare starts with lazy imports to those without, pair by pair."""
    lines = []
    for title, what in (("first answer", "cold"), ("CPU time", "cpu_seconds")):
        lazy, every = results.of(what, "lazy"), results.of(what, "all")
        saved = [more - less for more, less in zip(every, lazy, strict=True)]
        ratio = statistics.median(every) / statistics.median(lazy)
        figures = [pages.spread(each, 3, "s") for each in (lazy, every, saved)]
        lines.append([title, *figures, f"{ratio:.2f}"])
    heads = ("", "lazy imports", "without", "saved in a pair", "ratio of medians")
    return f"""## What lazy imports save

`serve/lazy_imports.py` puts off the import of modules that serving one model does not need. Here a
start with it and one without follow each other, {len(saved)} pairs, by turns the one and the other
first. CPU time is that of all processes of the server until the first answer.

{pages.table(heads, lines)}"""

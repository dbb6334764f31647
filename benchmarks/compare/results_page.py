"""Write RESULTS.md: every figure of this container beside that of another, and the targets."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.compare.comparisons import ROWS, WHO
from benchmarks.harness import pages
from benchmarks.harness.pages import Row, spread
from benchmarks.harness.results import Results

NOTES = """\
- cold start: from exec of the server to its first correct prediction, on one CPU, with its files in
  the page cache; the client asks from the moment the server is started
- page cache dropped: `sync; echo 3 > /proc/sys/vm/drop_caches` before the start; bytes read are
  read_bytes of /proc/PID/io, of all processes, after the first prediction
- bare script: [bare_script.py](bare_script.py), from exec to its printed logits
- one record: over a kept connection; gunicorn's sync worker, which the plain container has, keeps
  none, so there the client connects anew. engine alone: the same token ids, in process
- 64 reviews: none is longer than the packed model reads, so both read every token
- 8 clients: each sends single reviews, one after the other; server and clients share both CPUs
- peak RSS: VmHWM of all processes, added up, so that shared pages count twice; PSS counts them
  once. The body of 4 MB holds long texts, each cut to what the model reads, so that it can be
  scored in the 60 seconds that the platform waits; the plain container is spared it
- a million predictions: the smallest memory size at which the image survives 20 single records and
  the 64 reviews, with the CPU share that AWS Lambda gives that size (MB / 1769, see
  [platform_facts](../../platform_facts/__init__.py)); the mean time of a record, rounded up to
  whole milliseconds, times the price of that size ([cost.py](cost.py))
- plain container: [plain_container/](plain_container/README.md)"""

# Lambda's hosts, and what Firecracker shows of them: benchmarks/harness/cpu_kind.py
PLATFORM = """\
None of these figures was taken on AWS. Its CPUs show AVX2 and neither AVX-512 nor VNNI, an
instruction for products of 8-bit numbers: so the figures of a CPU without VNNI are the ones to go
by, and those of one with VNNI stand beside them
([performance.md](../../docs/performance.md#the-platforms-cpus))."""
IN_SHORT = "## In short"
SHORT_ROWS = (
    ("cold start, exec to first correct answer", "cold", "s", 2),
    ("the same, read from disk", "cold_disk", "s", 2),
    ("one record of 16 tokens, p50", "p50_16", "ms", 1),
    ("64 reviews in one body", "reviews", "records/s", 1),
    ("8 clients, 2 CPUs", "load", "records/s", 1),
    ("peak RSS, 64 reviews scored", "rss", "MB", 0),
    ("a million predictions of 64 tokens, at the smallest memory size", "cost", "USD", 2),
)
BUNDLED = (
    ("cold", "default", 2, "s"),
    ("p50_16", "default", 1, "ms"),
    ("rss_large", "default", 0, "MB"),
    ("image", "slim", 0, "MB"),
    ("image", "full", 0, "MB"),
)


def page(results: Results) -> str:
    """Write medians with the least and the most of all runs, ratios, and whether goals are met."""
    heads = ["", "this container", "compared with", "ratio", "target", "met"]
    if results.beside:
        heads += ["with VNNI", "compared with", "ratio"]
    gaps = "".join(
        f"- {what}: {why}\n" for found in results.kinds() for what, why in found.missing.items()
    )
    missing = f"Not measured:\n\n{gaps}\n" if gaps else ""
    return f"""# Figures

{pages.commands(results)}

{PLATFORM}

{IN_SHORT}

{in_short(results)}

## All of them

Each figure is the median of the runs, with the least and the most in brackets. Starts are
interleaved, so that a slow minute of the machine meets all servers.

![This container and the plain one](results.svg)

{pages.table(heads, (_line(results, row) for row in ROWS))}

{missing}{NOTES}

{pages.facts(results)}
"""


def in_short(results: Results) -> str:
    """Write what the README shows, too: medians and ratios of the most important figures."""
    heads = ["", "this container", "plain container", ""]
    if results.beside:
        heads += ["with VNNI", ""]
    lines = []
    for title, what, unit, digits in SHORT_ROWS:
        if not results.of(what, "ours"):
            continue  # the table below says so
        cells = []
        for found in results.kinds():
            own, other = found.of(what, "ours"), found.of(what, "plain")
            cells += [_middle(own, digits, unit), _middle(other, digits, unit)]
            cells += [ratio(own, other, 1)] if own and other else [""]
        del cells[4:5]  # of the plain container with VNNI; RESULTS.md has it further below
        lines.append([title, *cells])
    start, answer, peak, slim, full = (
        _middle(results.of(what, who), digits, unit) for what, who, digits, unit in BUNDLED
    )
    sizes = f" The images\ntake {slim} (`slim`) and {full} (`full`)."
    if not results.of(*BUNDLED[-1][:2]):
        sizes = ""
    return f"""{pages.machines(results)} One CPU unless said.

{pages.table(heads, lines)}

The bundled model starts in {start}, answers 16 tokens in {answer} and peaks at {peak}.{sizes}"""


def _middle(values: Sequence[float], digits: int, unit: str) -> str:
    return f"{statistics.median(values):,.{digits}f} {unit}" if values else "not measured"


def _line(results: Results, row: Row) -> list[str]:
    goals = ", ".join(goal.words for goal in row.goals)
    cells = [row.title, *_figures(results, row), goals, ", ".join(pages.verdicts(results, row))]
    return cells + (_figures(results.beside, row) if results.beside else [])


def _figures(results: Results, row: Row) -> list[str]:
    """Return the figure, that of what it is compared with, and their ratio."""
    own = results.of(row.what, row.who)
    name = "" if row.who == "ours" else f"{WHO[row.who]}: "
    cells = [name + spread(own, row.digits, row.unit), "", ""]
    if row.other:
        other = results.of(row.what, row.other)
        cells[1] = f"{WHO[row.other]}: {spread(other, row.digits, row.unit)}"
        if own and other:
            cells[2] = ratio(own, other)
    return cells


def ratio(own: Sequence[float], other: Sequence[float], digits: int = 2) -> str:
    """Return the ratio of medians: 1/9.34, or 4.63x."""
    found = statistics.median(own) / statistics.median(other)
    return f"{found:.{digits}f}x" if found >= 1 else f"1/{1 / found:.{digits}f}"

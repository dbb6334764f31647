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

# https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
VNNI = """\
None of these figures was taken on AWS, whose CPUs may lack VNNI, an instruction for products of
8-bit numbers: without it, an int8 model computes about 3 times as fast as an fp32 one, not 5 times
([performance.md](../../docs/performance.md#what-stands-in-the-way-of-more))."""


def page(results: Results) -> str:
    """Write medians with the least and the most of all runs, ratios, and whether goals are met."""
    heads = ("", "this container", "compared with", "ratio", "target", "met")
    gaps = "".join(f"- {what}: {why}\n" for what, why in results.missing.items())
    missing = f"Not measured:\n\n{gaps}\n" if gaps else ""
    return f"""# Figures

    {results.command}

Measured locally: {pages.machine(results)}.
{VNNI}

Each figure is the median of the runs, with the least and the most in brackets. Starts are
interleaved, so that a slow minute of the machine meets all servers.

![This container and the plain one](results.svg)

{pages.table(heads, (_line(results, row) for row in ROWS))}

{missing}{NOTES}

{pages.facts(results)}
"""


def _line(results: Results, row: Row) -> list[str]:
    own = results.of(row.what, row.who)
    name = "" if row.who == "ours" else f"{WHO[row.who]}: "
    cells = [row.title, name + spread(own, row.digits, row.unit), "", "", "", ""]
    if row.other:
        other = results.of(row.what, row.other)
        cells[2] = f"{WHO[row.other]}: {spread(other, row.digits, row.unit)}"
        if own and other:
            cells[3] = ratio(own, other)
    if row.goals:
        cells[4] = ", ".join(goal.words for goal in row.goals)
        cells[5] = ", ".join(pages.verdicts(results, row))
    return cells


def ratio(own: Sequence[float], other: Sequence[float]) -> str:
    """Return the ratio of medians: 1/9.3, or 4.6."""
    found = statistics.median(own) / statistics.median(other)
    return f"{found:.2f}" if found >= 1 else f"1/{1 / found:.2f}"

"""Write SOAK.md, the page with the results of a soak."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.pages import Row, exactly, facts, spread, table, under, verdicts
from benchmarks.harness.results import Results
from benchmarks.soak.phases import COUNTS, PERCENTILES, STOP_REQUESTS

# The platform gives up a ping after two seconds, and a connection to a container after 250 ms; it
# kills a container 30 seconds after SIGTERM:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
PING = (under(2000, "ms"),)
CONNECT = (under(250, "ms"),)
STOPPED = f"SIGTERM, {STOP_REQUESTS} requests under way"
TARGETS = (
    Row("requests lost", "lost", "", 0, "all", None, (exactly(0),)),
    Row("answers wrong, of another text, or twice", "wrong", "", 0, "all", None, (exactly(0),)),
    Row("answers that are errors", "errors", "", 0, "all", None, (exactly(0),)),
    Row("growth of RSS, 10,000 requests", "slope_rss", "MB", 2, "all", None, (under(1, "MB"),)),
    Row("ping under saturation, p99", "ping p99", "ms", 0, "saturation", None, PING),
    Row("pings without a 200", "without 200", "", 0, "all", None, (exactly(0),)),
    Row("its TCP connection, longest", "connect max", "ms", 1, "saturation", None, CONNECT),
    Row(
        f"{STOPPED}: answered",
        "answered in full",
        "",
        0,
        "SIGTERM",
        None,
        (exactly(STOP_REQUESTS),),
    ),
    Row(f"{STOPPED}: exit code", "exit code", "", 0, "SIGTERM", None, (exactly(0),)),
    Row(f"{STOPPED}: exit after", "exit after", "s", 1, "SIGTERM", None, (under(30, "s"),)),
)
LATENCIES = ["a second, closed loop", "sent a second", *PERCENTILES]
LATENCIES += [f"uncorrected {name}" for name in PERCENTILES]
PINGS = ["pings", "without 200", *(f"ping {name}" for name in PERCENTILES)]
PINGS += ["connect p99", "connect max"]
STOP = ("sent", "answered before it", "answered in full", "503", "no answer", "other")
NOTES = """\
- requests: 1 to 7 invented reviews of 4 to 20 words, 32 of them under saturation. Each text was
  scored alone beforehand, and no two have the same answer, so an answer counts as right only if it
  has the inference id of its request, and for each text one line, in order, with its label and, to
  0.001, its probability. A connection that ends with bytes that nobody asked for counts as wrong
- refused: 503 with Retry-After; asked again after so many seconds, until it is answered
- latency: in an open loop, from the time a request was planned for, so that a slow answer counts
  against those that had to wait for it, too; uncorrected: from the time it was sent
  ([traffic.py](traffic.py)). Percentiles are those of an HdrHistogram
- a second, closed loop: answered when each connection asks again at once; sent a second: 70 % of it
- memory: of all processes, after the warm-up. rss counts pages that processes share in each of them
  (Rss of smaps_rollup); anonymous leaves out pages of files (RssAnon). The slope is that of least
  squares; if it is much smaller in the second half, something fills up rather than leaks
- pings: five a second, each over a new connection, from the time they were planned for; the client
  that asks for all else sends them, too, so they are late when it is
- the server has one CPU, the client another, if there is one; the server writes its log"""


def page(results: Results) -> str:
    """Return the whole page: targets, met or not, and all figures."""
    return f"""# Soak

    {results.command}

![Latencies by percentile, and memory by requests](soak.svg)

{table(("", "found", "target", "met"), map(_target, [results] * len(TARGETS), TARGETS))}

## Answers

{_block(results, "", COUNTS, "asked")}

## Latencies, ms

{_machine(results)}

{_block(results, "connections", LATENCIES, "p50")}

## Pings, ms

{_block(results, "", PINGS, "pings")}

## Memory, MB

{_memory(results)}

## SIGTERM

{table(STOP, [_cells(results, STOP, "SIGTERM")])}

## How

{NOTES}

{facts(results)}
"""


def _target(results: Results, row: Row) -> list[str]:
    words = ", ".join(goal.words for goal in row.goals)
    figure = spread(results.of(row.what, row.who), row.digits, row.unit)
    return [row.title, figure, words, ", ".join(verdicts(results, row))]


def _cell(results: Results, what: str, who: str) -> str:
    values = results.of(what, who)
    if not values:
        return ""
    (value,) = values
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"


def _cells(results: Results, columns: Sequence[str], who: str) -> list[str]:
    return [_cell(results, what, who) for what in columns]


def _block(results: Results, first: str, columns: Sequence[str], each: str) -> str:
    """Return a table with a line for all of whom there is a certain figure."""
    whom = results.values.get(each, {})
    return table([first, *columns], [[who, *_cells(results, columns, who)] for who in whom])


def _machine(results: Results) -> str:
    """Tell what else the machine did, and how to tell that from what the server did."""
    words = f"Other work on the machine ({results.facts.get('CPU', 'CPU unknown')}) meanwhile: "
    words += f"{results.facts.get('other work', 'not measured')}.\n"
    if results.of("p50", "1"):
        usual, slow = (_cell(results, f"uncorrected {what}", "1") for what in ("p50", "p99"))
        behind = _cell(results, "p99", "1")
        words += f"""
With one connection the server has one request at a time. From its sending, half of them took
{usual} ms at most, and one in a hundred {slow} ms or more; requests differ in size, up to 7 times,
and the rest is time in which the CPU was not free. Requests that were planned for such a while wait
behind it: counted from the time that they were planned for, one in a hundred took {behind} ms or
more. So on a busy machine the uncorrected columns tell more of the server, and the others more of
the machine."""
    return words


def _memory(results: Results) -> str:
    lines = []
    for kind in ("rss", "anonymous"):
        values = results.of(kind, "all")
        slopes = [results.of(f"{slope}_{kind}", "all") for slope in ("slope", "late_slope")]
        if values and all(slopes):
            ends = [f"{value:.1f}" for value in (values[0], values[-1], max(values))]
            lines.append([kind, *ends, *(f"{slope:.2f}" for (slope,) in slopes)])
    heads = ("", "first", "last", "most", "slope, 10,000 requests", "that of the second half")
    return table(heads, lines)

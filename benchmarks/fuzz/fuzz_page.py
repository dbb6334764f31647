"""Write FUZZ.md, the page on what a server made of odd bodies."""

from __future__ import annotations

import statistics

from benchmarks.fuzz.findings import STATUS
from benchmarks.harness.pages import facts, table
from benchmarks.harness.results import Results
from benchmarks.harness.statistics import PER_REQUESTS, slope

# Threads, caches and the heap have grown to their size by then.
WARM_UP = 0.1
MOST_COMPLAINTS = 50
# Measured by hand, since only the process itself can trim its heap: anonymous memory, with one
# heap and no thread caches, as the image sets them.
GROWTH = """\
Memory that grows here is what glibc's heap keeps between large bodies that several
threads hold at a time, and not what a body leaves behind. The same 2,000 bodies sent five
times by four threads to one process leave 72.5, 73.0, 73.0, 73.0 and 73.1 MB, and
`malloc_trim` brings that back to the 67.8 of the beginning (68.8 after 6,000 others). New
bodies raise it when more large ones meet than ever before."""


def page(results: Results) -> str:
    """Return the whole page."""
    return f"""# Odd bodies

    {results.command}

Bodies of all kinds, most of them with something wrong, are sent to a server, and
each answer is checked: no 5xx, as many predictions as records, a refusal in the
promised form, and no text of a record in an answer or in the log.

{table(("", ""), summary(results).items())}
{_complaints(results)}
{GROWTH}

{_kinds(results)}

{facts(results)}
"""


def summary(results: Results) -> dict[str, str]:
    """Return the figures, each with its name."""
    statuses = _statuses(results)
    of_ours = sum(count for status, count in statuses.items() if status.startswith("5"))
    busy = statuses.get("503", 0)
    workers, quoted, trouble, violations = (
        int(results.of(what, "all")[0]) for what in ("workers", "quoted", "trouble", "violations")
    )
    megabytes = results.of("memory", "all")
    ends = f"{megabytes[0]:.0f}, {megabytes[-1]:.0f}, {max(megabytes):.0f} MB"
    more = growth(results)
    return {
        "bodies": f"{sum(statuses.values()):,}",
        "answers by status": ", ".join(f"{count:,} x {name}" for name, count in statuses.items()),
        "violations": f"{violations:,}",
        "5xx": f"{of_ours - busy:,}, and {busy:,} x 503",
        "no answer": f"{statuses.get('none', 0):,}",
        "crashes of the worker": f"{workers - 1:,}",
        "texts in the log": f"{quoted:,}",
        "troubles in the log": f"{trouble:,}",
        "memory, first, last and most": ends,
        "memory in each tenth, median": ", ".join(f"{mb:.0f}" for mb in tenths(results)) + " MB",
        f"memory for each {PER_REQUESTS:,} bodies": "unknown"
        if more is None
        else f"{more:+.2f} MB",
    }


def growth(results: Results) -> float | None:
    """Return the MB of 10,000 bodies once the server is warm; None if too little was seen."""
    warm = [pair for pair in _samples(results) if pair[0] >= WARM_UP * _sent(results)]
    counts, megabytes = [count for count, _ in warm], [mb for _, mb in warm]
    return slope(counts, megabytes) if len(set(counts)) > 1 else None


def tenths(results: Results) -> list[float]:
    """Return the median memory, MB, while each tenth of the bodies was sent."""
    tenth = _sent(results) / 10
    parts = [
        [mb for count, mb in _samples(results) if part * tenth <= count < (part + 1) * tenth]
        for part in range(10)
    ]
    return [statistics.median(part) for part in parts if part]


def _samples(results: Results) -> list[tuple[float, float]]:
    """Return the bodies so far and the MB of each sample of the memory."""
    return list(zip(results.of("bodies", "all"), results.of("memory", "all"), strict=True))


def _statuses(results: Results) -> dict[str, int]:
    """Return the number of answers of each status, "none" where none came."""
    found = {what: sum(map(sum, kinds.values())) for what, kinds in results.values.items()}
    return {
        what.removeprefix(STATUS): int(count)
        for what, count in found.items()
        if what.startswith(STATUS)
    }


def _sent(results: Results) -> int:
    return sum(_statuses(results).values())


def _complaints(results: Results) -> str:
    """List what is not as it should be; empty where all is."""
    found = list(results.words.get("complaint", {}).values())[:MOST_COMPLAINTS]
    return "".join(f"\n- {words}" for words in found) + "\n" * bool(found)


def _kinds(results: Results) -> str:
    statuses = list(_statuses(results))
    kinds = list(results.values.get(f"{STATUS}{statuses[0]}", {}))
    lines = [
        [kind, *(f"{results.of(STATUS + status, kind)[0]:,.0f}" for status in statuses)]
        for kind in kinds
    ]
    return table(["kind of body", *statuses], lines)

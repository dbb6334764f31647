"""Cases, their answers and the server's memory in, the counts and the page out."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.fuzz.bodies import KINDS
from benchmarks.fuzz.hosts import Log
from benchmarks.harness.statistics import PER_REQUESTS, slope

# Threads, caches and the heap have grown to their size by then.
WARM_UP = 0.1


@dataclass
class Tally:
    """What happened: answers by kind of body and status, faults by index, memory by bodies."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[int, list[str]] = field(default_factory=dict)
    memory: list[tuple[int, float]] = field(default_factory=list)  # bodies so far, MB

    @property
    def bodies(self) -> int:
        """How many were sent."""
        return self.answers.total()

    def statuses(self) -> Counter[str]:
        """Answers by status, "none" where none came."""
        found: Counter[str] = Counter()
        for (_, status), count in sorted(self.answers.items(), key=lambda item: item[0][1]):
            found[status] += count
        return found

    def slope(self) -> float | None:
        """MB more for each 10,000 bodies, by least squares; None if too little was seen."""
        warm = [(count, mb) for count, mb in self.memory if count >= WARM_UP * self.bodies]
        counts, sizes = [count for count, _ in warm], [mb for _, mb in warm]
        if len(set(counts)) < 2:
            return None
        return slope(counts, sizes)

    def tenths(self) -> list[float]:
        """The median memory, MB, while each tenth of the bodies was sent."""
        tenth = self.bodies / 10
        parts = [
            [mb for count, mb in self.memory if part * tenth <= count < (part + 1) * tenth]
            for part in range(10)
        ]
        return [statistics.median(part) for part in parts if part]


def summary(tally: Tally, log: Log) -> dict[str, str]:
    """The figures, each with its name."""
    statuses = tally.statuses()
    of_ours = sum(count for status, count in statuses.items() if status >= "500")
    growth = tally.slope()
    sizes = [mb for _, mb in tally.memory]
    return {
        "bodies": f"{tally.bodies:,}",
        "answers by status": ", ".join(f"{count:,} x {name}" for name, count in statuses.items()),
        "violations": f"{len(tally.faults):,}",
        "5xx": f"{of_ours - statuses['503'] - statuses['none']:,}, and {statuses['503']:,} x 503",
        "no answer": f"{statuses['none']:,}",
        "crashes of the worker": f"{log.workers - 1:,}",
        "texts in the log": f"{len(log.quoted):,}",
        "troubles in the log": f"{len(log.trouble):,}",
        "memory, first, last and most": f"{sizes[0]:.0f}, {sizes[-1]:.0f}, {max(sizes):.0f} MB",
        "memory in each tenth, median": ", ".join(f"{mb:.0f}" for mb in tally.tenths()) + " MB",
        f"memory for each {PER_REQUESTS:,} bodies": "unknown"
        if growth is None
        else f"{growth:+.2f} MB",
    }


# Measured by hand, since only the process itself can trim its heap: anonymous memory, with one
# heap and no thread caches, as the image sets them.
GROWTH = (
    "Memory that grows here is what glibc's heap keeps between large bodies that several",
    "threads hold at a time, and not what a body leaves behind. The same 2,000 bodies sent five",
    "times by four threads to one process leave 72.5, 73.0, 73.0, 73.0 and 73.1 MB, and",
    "`malloc_trim` brings that back to the 67.8 of the beginning (68.8 after 6,000 others). New",
    "bodies raise it when more large ones meet than ever before.",
)


def page(command: str, tally: Tally, log: Log, facts: Mapping[str, str]) -> str:
    """The Markdown page."""
    statuses = list(tally.statuses())
    kinds = [kind for kind in KINDS if any(found == kind for found, _ in tally.answers)]
    table = [_row(["kind of body", *statuses]), "|---" * (1 + len(statuses)) + "|"]
    for kind in kinds:
        table.append(_row([kind, *(f"{tally.answers[kind, status]:,}" for status in statuses)]))
    return "\n".join(
        [
            "# Odd bodies",
            "",
            f"    {command}",
            "",
            "Bodies of all kinds, most of them with something wrong, are sent to a server, and",
            "each answer is checked: no 5xx, as many predictions as records, a refusal in the",
            "promised form, and no text of a record in an answer or in the log.",
            "",
            *(_row([name, words]) for name, words in _headed(summary(tally, log))),
            "",
            *GROWTH,
            "",
            *table,
            "",
            *(_row([name, words]) for name, words in _headed(facts)),
            "",
        ]
    )


def _headed(rows: Mapping[str, str]) -> list[tuple[str, str]]:
    return [("", ""), ("---", "---"), *rows.items()]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""Keep what a server made of odd bodies: its answers, its memory and its log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.fuzz.bodies import KINDS
from benchmarks.fuzz.cases import SECRET
from benchmarks.harness.results import Results

# The figures of the results: how many answers of a kind of body had the status that follows.
STATUS = "status "
TROUBLE = (b"Traceback", b"internal error", b"[ERROR]", b"[CRITICAL]", b'"status": 5')


@dataclass
class Findings:
    """What happened, and what the log of the server tells."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind and status
    faults: dict[int, list[str]] = field(default_factory=dict)  # of answers, by index
    memory: list[tuple[int, float]] = field(default_factory=list)  # bodies so far, MB
    workers: int = 0  # that were started
    quoted: set[int] = field(default_factory=set)  # bodies whose text is in the log
    trouble: list[str] = field(default_factory=list)  # lines of the log

    def read_log(self, lines: Iterable[bytes]) -> None:
        """Take from a log what it tells."""
        quotes = re.compile(SECRET.encode() + rb"(\d+)")
        for line in lines:
            self.workers += b"Booting worker" in line
            self.quoted |= {int(match) for match in quotes.findall(line)}
            if any(words in line for words in TROUBLE):
                self.trouble.append(line.decode(errors="replace").strip())

    def complaints(self) -> list[str]:
        """Say everything that is not as it should be."""
        said = [f"body {index}: {'; '.join(faults)}" for index, faults in self.faults.items()]
        said += [f"body {index}: its text is in the log" for index in sorted(self.quoted)]
        said += [f"log: {line}" for line in self.trouble]
        return said + ([f"{self.workers} workers were started"] if self.workers != 1 else [])


def keep(found: Findings, results: Results) -> None:
    """Add everything to the results that the page is made of."""
    statuses = sorted({status for _, status in found.answers})
    for kind in KINDS:
        counts = {f"{STATUS}{status}": found.answers[kind, status] for status in statuses}
        if any(counts.values()):
            results.add(kind, counts)
    for bodies, megabytes in found.memory:
        results.add("all", {"bodies": bodies, "memory": megabytes})
    results.add("all", {"violations": len(found.faults), "workers": found.workers})
    results.add("all", {"quoted": len(found.quoted), "trouble": len(found.trouble)})
    for number, words in enumerate(found.complaints(), 1):
        results.say(str(number), {"complaint": words})

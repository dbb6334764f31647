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
    """Answers by kind of body and status, what was wrong by index, and memory by bodies."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[int, list[str]] = field(default_factory=dict)
    memory: list[tuple[int, float]] = field(default_factory=list)  # bodies so far, MB


@dataclass
class Log:
    """Workers that were started, bodies whose text is quoted, and lines that tell of trouble."""

    workers: int = 0
    quoted: set[int] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)


def read_log(lines: Iterable[bytes]) -> Log:
    """Read the log of a server."""
    found = Log()
    quotes = re.compile(SECRET.encode() + rb"(\d+)")
    for line in lines:
        found.workers += b"Booting worker" in line
        found.quoted |= {int(match) for match in quotes.findall(line)}
        if any(words in line for words in TROUBLE):
            found.trouble.append(line.decode(errors="replace").strip())
    return found


def complaints(found: Findings, log: Log) -> list[str]:
    """Say everything that is not as it should be."""
    said = [f"body {index}: {'; '.join(faults)}" for index, faults in found.faults.items()]
    said += [f"body {index}: its text is in the log" for index in sorted(log.quoted)]
    said += [f"log: {line}" for line in log.trouble]
    return said + ([f"{log.workers} workers were started"] if log.workers != 1 else [])


def keep(found: Findings, log: Log, results: Results) -> None:
    """Add everything to the results that the page is made of."""
    statuses = sorted({status for _, status in found.answers})
    for kind in KINDS:
        counts = {f"{STATUS}{status}": found.answers[kind, status] for status in statuses}
        if any(counts.values()):
            results.add(kind, counts)
    for bodies, megabytes in found.memory:
        results.add("all", {"bodies": bodies, "memory": megabytes})
    results.add("all", {"violations": len(found.faults), "workers": log.workers})
    results.add("all", {"quoted": len(log.quoted), "trouble": len(log.trouble)})
    for number, words in enumerate(complaints(found, log), 1):
        results.say(str(number), {"complaint": words})

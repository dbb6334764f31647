"""Make the request of a seed and an index: always the same, so that it can be sent again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.fuzz import bodies, headers

# Stands in texts, with the index of the case behind it. No answer and no log may have it.
SECRET = "pomegranate"


@dataclass(frozen=True)
class Case:
    """One request; `records` is how many predictions it must get, None where it may be refused."""

    index: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    records: int | None = None
    chunked: bool = False

    def content(self) -> bytes | Iterator[bytes]:
        """Return the body, or two parts of it, of different sizes, to be sent as chunks."""
        if not self.chunked:
            return self.body
        third = len(self.body) // 3
        # An empty chunk would end the body.
        return filter(None, (self.body[:third], self.body[third:]))


def case(seed: int, index: int) -> Case:
    """Return the request of an index."""
    chance = random.Random(f"{seed}/{index}")
    kind = chance.choices(list(bodies.KINDS), [weight for weight, _ in bodies.KINDS.values()])[0]
    made = bodies.KINDS[kind][1](chance, f"{SECRET}{index}")
    asked = headers.headers(chance, made.form)
    return Case(
        index,
        kind,
        made.content,
        asked.fields,
        made.records if asked.right else None,
        chunked=chance.random() < 0.05,
    )

"""Make questions whose every line has an answer of its own, and check the answers to them."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import texts
from benchmarks.harness.client import body

# So near must a probability be to that of the text alone, whatever it is scored with.
TOLERANCE = 1e-3
SEED = 13
CANDIDATES = 300
SHORTEST, LONGEST = 4, 20  # words
INFERENCE_ID = "x-amzn-sagemaker-inference-id"


@dataclass(frozen=True)
class Known:
    """What a text is answered when it is asked alone."""

    label: int | str
    probability: float

    def matches(self, answer: Any) -> bool:
        """Tell whether an answer is that of this text."""
        if not isinstance(answer, dict) or answer.get("predicted_label") != self.label:
            return False
        return abs(float(answer.get("probability", -1)) - self.probability) <= TOLERANCE


@dataclass(frozen=True)
class Question:
    """A request: its inference id, its body, and what each of its lines must be answered."""

    mark: str
    body: bytes
    wanted: Sequence[Known]


class Questions:
    """Makes questions of known texts, in a random order that is the same each time."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known
        self._texts = list(known)
        self._chance = random.Random(SEED)
        self._numbers = itertools.count(1)

    def next(self, lines: range) -> Question:
        """Return a question with so many lines, all different."""
        count = min(self._chance.choice(lines), len(self._texts))
        chosen = self._chance.sample(self._texts, count)
        wanted = [self._known[text] for text in chosen]
        return Question(f"soak-{next(self._numbers)}", body(*chosen), wanted)


def learn(post: Callable[[bytes], list[dict[str, Any]]]) -> dict[str, Known]:
    """Ask a server for one text at a time; keep texts whose answers cannot be confused."""
    chance = random.Random(SEED)
    scored = []
    for _ in range(CANDIDATES):
        text = " ".join(chance.choices(texts.WORDS, k=chance.randint(SHORTEST, LONGEST)))
        (answer,) = post(body(text))
        scored.append((text, Known(answer["predicted_label"], answer["probability"])))
    return apart(scored)


def apart(scored: Iterable[tuple[str, Known]]) -> dict[str, Known]:
    """Return texts of which no two are within the tolerance of one answer."""
    found: dict[str, Known] = {}
    for text, known in scored:
        if not any(
            known.label == other.label
            and abs(known.probability - other.probability) <= 2 * TOLERANCE
            for other in found.values()
        ):
            found[text] = known
    return found


def fault(question: Question, headers: Mapping[str, str], answer: bytes) -> str | None:
    """Say what is wrong with an answer of 200; None if each line is there, once, in its place."""
    if headers.get(INFERENCE_ID) != question.mark:
        return "the answer to another request"
    lines = answer.splitlines()
    if len(lines) != len(question.wanted):
        return f"{len(lines)} lines for {len(question.wanted)} records"
    try:
        answers = [json.loads(line) for line in lines]
    except ValueError:
        return "a line that is not JSON"
    if not all(known.matches(one) for known, one in zip(question.wanted, answers, strict=True)):
        return "a line that is not the answer to its text"
    return None

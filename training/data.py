"""Read rated reviews, and draw training examples from them."""

from __future__ import annotations

import gzip
import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.examples import ExamplesError

LABELS = (-1, 0, 1)

# What a star rating says about the three classes. Labels come from stars, not from reading, and the
# middle is noisy, so the neighbours of a class share some of its weight (ordinal soft labels).
TARGETS = {
    1: (0.90, 0.10, 0.00),
    2: (0.70, 0.28, 0.02),
    3: (0.12, 0.76, 0.12),
    4: (0.00, 0.15, 0.85),
    5: (0.00, 0.03, 0.97),
}


FOLDS = 3  # parts of the reviews that a teacher is asked about without having seen them

SANITY = Path(__file__).with_name("sanity.jsonl")


@dataclass(frozen=True)
class Sentence:
    """A sentence written for a check: its label, what it speaks of, and how."""

    text: str
    label: int
    domain: str
    style: str


@dataclass(frozen=True)
class Review:
    """One customer review: its text, its stars (1 to 5) and its label (-1, 0 or 1)."""

    text: str
    rating: int
    label: int


def read(path: Path) -> list[Review]:
    """Read reviews from gzip-compressed JSON Lines with the fields text, rating and label.

    Raises ExamplesError that names the line which is wrong.
    """
    import jsonlines

    if not path.is_file():
        raise ExamplesError(f"{path} not found; pass the folder that holds it with --data")
    found = []
    try:
        with gzip.open(path, "rb") as stream, jsonlines.Reader(stream) as reader:
            for number, row in enumerate(reader, 1):
                found.append(_review(row, f"{path}, line {number}"))
    except jsonlines.InvalidLineError as error:
        raise ExamplesError(f"{path}, line {error.lineno}: no JSON in UTF-8") from error
    except (OSError, EOFError) as error:
        raise ExamplesError(f"{path} cannot be read as gzip: {error}") from error
    if not found:
        raise ExamplesError(f"{path} holds no reviews")
    return found


def _review(row: Any, where: str) -> Review:
    """Check one review."""
    fields = row if isinstance(row, dict) else {}
    text, rating, label = (fields.get(name) for name in ("text", "rating", "label"))
    if not isinstance(text, str) or rating not in TARGETS or label not in LABELS:
        raise ExamplesError(
            f'{where}: expected {{"text": "...", "rating": 1 to 5, "label": -1, 0 or 1}}'
        )
    return Review(text, rating, label)


def sanity() -> list[Sentence]:
    """Read the sentences that answers are checked with by hand."""
    import jsonlines

    with jsonlines.open(SANITY) as reader:
        return [Sentence(**row) for row in reader]


def split(reviews: Sequence[Review], share: float, seed: int) -> tuple[list[Review], list[Review]]:
    """Split reviews by chance: all but a share of them, and that share."""
    held_out = set(random.Random(seed).sample(range(len(reviews)), round(share * len(reviews))))
    return (
        [review for place, review in enumerate(reviews) if place not in held_out],
        [reviews[place] for place in sorted(held_out)],
    )


def fold(review: Review) -> int:
    """Return which fold a review is in; reviews of equal texts are in the same one."""
    return zlib.crc32(review.text.encode()) % FOLDS


def crop(text: str, rng: random.Random) -> str:
    """Cut a text to one or two neighbouring sentences, so that short requests are no surprise."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text) if len(part.split()) >= 3]
    if len(sentences) < 2:
        return text
    start = rng.randrange(len(sentences))
    return " ".join(sentences[start : start + rng.randint(1, 2)])


def draw(
    reviews: Sequence[Review], majority: int, crop_share: float, rng: random.Random
) -> list[Review]:
    """Draw reviews for training: every review of classes -1 and 0, and `majority` of class 1.

    A share of the texts is cut to a sentence or two.
    """
    positive = [review for review in reviews if review.label == 1]
    drawn = [review for review in reviews if review.label != 1]
    drawn += rng.sample(positive, min(majority, len(positive)))
    rng.shuffle(drawn)
    return [
        Review(crop(review.text, rng), review.rating, review.label)
        if rng.random() < crop_share
        else review
        for review in drawn
    ]

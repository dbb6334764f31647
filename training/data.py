"""Read rated reviews, and draw balanced epochs of training examples from them."""

from __future__ import annotations

import gzip
import random
import re
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Review:
    """One customer review: its text, its stars (1 to 5) and its label (-1, 0 or 1)."""

    text: str
    rating: int
    label: int


def read(path: Path) -> list[Review]:
    """Read reviews from gzip-compressed JSON Lines with the fields text, rating and label."""
    import jsonlines

    if not path.is_file():
        raise FileNotFoundError(f"{path} not found; pass the folder that holds it with --data")
    with gzip.open(path, "rb") as stream, jsonlines.Reader(stream) as reader:
        return [
            Review(text=row["text"], rating=row["rating"], label=row["label"]) for row in reader
        ]


def crop(text: str, rng: random.Random) -> str:
    """Cut a text to one or two neighbouring sentences, so that short requests are no surprise."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text) if len(part.split()) >= 3]
    if len(sentences) < 2:
        return text
    start = rng.randrange(len(sentences))
    return " ".join(sentences[start : start + rng.randint(1, 2)])


def epoch(
    reviews: list[Review], majority: int, crop_share: float, rng: random.Random
) -> list[Review]:
    """Draw a balanced epoch: every review of classes -1 and 0, and `majority` of class 1.

    A share of the texts, drawn anew each time as well, is cut to a sentence or two.
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


def batches(reviews: list[Review], size: int, rng: random.Random) -> list[list[Review]]:
    """Group reviews in batches of near-equal lengths (little padding), in random order."""
    ordered = sorted(reviews, key=lambda review: len(review.text) + rng.random() * 40)
    groups = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    rng.shuffle(groups)
    return groups

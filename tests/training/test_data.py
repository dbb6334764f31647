"""Reviews are read, drawn and split."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from pathlib import Path

from training import data
from training.data import Review

REVIEWS = [
    Review(f"It is number {i}. I wore it twice. Then it tore at once!", stars, label)
    for i, (stars, label) in enumerate([(1, -1)] * 5 + [(3, 0)] * 6 + [(5, 1)] * 90)
]


def test_reviews_are_read_from_gzip_json_lines(tmp_path: Path) -> None:
    row = {"text": "fine", "rating": 4, "label": 1}
    with gzip.open(tmp_path / "train.jsonl.gz", "wt") as stream:
        stream.write(json.dumps(row) + "\n")
    assert data.read(tmp_path / "train.jsonl.gz") == [Review("fine", 4, 1)]


def test_a_draw_holds_every_rare_review_and_a_draw_of_the_rest() -> None:
    drawn = data.draw(REVIEWS, majority=7, crop_share=0.0, rng=random.Random(1))
    assert sorted(review.label for review in drawn) == [-1] * 5 + [0] * 6 + [1] * 7
    assert set(drawn) <= set(REVIEWS)


def test_a_crop_is_a_sentence_or_two_of_its_text() -> None:
    rng = random.Random(1)
    crops = {data.crop(REVIEWS[0].text, rng) for _ in range(50)}
    assert "I wore it twice." in crops
    assert all(crop in REVIEWS[0].text for crop in crops)
    assert data.crop("Only one sentence here", rng) == "Only one sentence here"


def test_reviews_are_split_by_chance_and_none_is_lost() -> None:
    taught, kept = data.split(REVIEWS, 0.2, seed=1)
    assert len(kept) == 20
    assert sorted([*taught, *kept], key=REVIEWS.index) == REVIEWS
    assert data.split(REVIEWS, 0.2, seed=1) == (taught, kept)
    assert data.split(REVIEWS, 0.2, seed=2) != (taught, kept)


def test_the_sentences_to_check_with_are_balanced() -> None:
    sentences = data.sanity()
    assert len({sentence.text for sentence in sentences}) == 120
    for group in ("domain", "style"):
        counts = Counter(getattr(sentence, group) for sentence in sentences)
        assert len(set(counts.values())) == 1

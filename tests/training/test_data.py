"""Reviews are read, and drawn into balanced epochs."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from training import data, scoring
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


def test_missing_data_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.jsonl\.gz not found; pass .* --data"):
        data.read(tmp_path / "train.jsonl.gz")


def test_an_epoch_holds_every_rare_review_and_a_draw_of_the_rest() -> None:
    drawn = data.epoch(REVIEWS, majority=7, crop_share=0.0, rng=random.Random(1))
    assert sorted(review.label for review in drawn) == [-1] * 5 + [0] * 6 + [1] * 7
    assert set(drawn) <= set(REVIEWS)


def test_a_crop_is_a_sentence_or_two_of_its_text() -> None:
    rng = random.Random(1)
    crops = {data.crop(REVIEWS[0].text, rng) for _ in range(50)}
    assert "I wore it twice." in crops
    assert all(crop in REVIEWS[0].text for crop in crops)
    assert data.crop("Only one sentence here", rng) == "Only one sentence here"


def test_batches_hold_every_review_once() -> None:
    groups = data.batches(REVIEWS, 8, random.Random(1))
    assert sorted((r for group in groups for r in group), key=REVIEWS.index) == REVIEWS


def test_the_report_has_the_figures_of_each_class() -> None:
    found = scoring.report([-1, 0, 1, 1], [-1, 1, 1, 1])
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((1 + 0 + 0.8) / 3, abs=1e-4)
    assert found["classes"]["1"] == {"precision": 0.6667, "recall": 1.0, "f1": 0.8, "support": 2}

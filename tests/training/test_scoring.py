"""Models are measured, and set right, as the figures of the card say."""

from __future__ import annotations

import numpy as np
import pytest

from training import scoring
from training.data import Sentence
from training.scoring import Answers


def answers(labels: list[int], confidence: float = 1.0) -> Answers:
    return Answers(np.array(labels), np.full(len(labels), confidence))


def test_the_report_has_the_figures_of_each_class() -> None:
    found = scoring.report(answers([-1, 1, 1, 1]), [-1, 0, 1, 1])
    assert (found["accuracy"], found["ece"]) == (0.75, 0.25)
    assert found["macro_f1"] == pytest.approx((1 + 0 + 0.8) / 3, abs=1e-4)
    assert found["classes"]["1"] == {"precision": 0.6667, "recall": 1.0, "f1": 0.8, "support": 2}


def test_the_interval_of_many_reviews_is_narrow_and_has_the_score_in_it() -> None:
    right = np.tile([-1, 0, 1, 1], 100)
    found = np.tile([-1, 1, 1, 1], 100)
    low, high = scoring.interval(found, right)
    assert low < scoring.macro_f1(found, right) < high < low + 0.1


def test_calibration_takes_back_a_bias_and_too_much_confidence() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0.0, 1.5, (4000, 3))
    odds = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    expected = [int(rng.choice([-1, 0, 1], p=row)) for row in odds]
    shown = 4.0 * (true + np.array([0.8, 0.0, -0.8]))
    before = scoring.report(scoring.answers(shown), expected)
    found = scoring.calibrate(shown / 4.0, expected)
    after = scoring.report(scoring.answers(found.apply(shown / 4.0)), expected)
    assert after["macro_f1"] > before["macro_f1"] + 0.02
    assert after["ece"] < 0.03 < before["ece"]


def test_sentences_are_counted_by_what_they_speak_of_and_how() -> None:
    sentences = [Sentence("Good!", 1, "food", "short"), Sentence("BAD SOUP", -1, "food", "caps")]
    found = scoring.by_group(np.array([1, 0]), sentences)
    assert found == {"all": 0.5, "food": 0.5, "short": 1.0, "caps": 0.0}

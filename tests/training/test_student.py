"""The student learns what the teachers and the stars say; several students become one."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch

from benchmarks.models import architectures
from model_handler import outputs
from training import classifier, student
from training.classifier import Classifier
from training.data import TARGETS, Review
from training.student import Lesson

REVIEW = Review("It is warm. The zip broke at once! I sent it back.", 1, -1)


def test_the_stars_count_for_whole_reviews_and_not_for_parts_of_them() -> None:
    lessons = [Lesson(REVIEW.text, REVIEW), Lesson("It is warm.", REVIEW)]
    said = np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 2.0]], np.float32)
    whole, part = outputs.softmax(student.targets(lessons, said))
    alone = outputs.softmax(said)[0]
    np.testing.assert_allclose(part, alone, atol=1e-3)
    np.testing.assert_allclose(whole, (alone + np.array(TARGETS[1])) / 2, atol=2e-3)


def test_each_review_is_a_lesson_whole_and_in_part() -> None:
    first, second = student.lessons([REVIEW], seed=1)
    assert {first.whole, second.whole} == {True, False}
    assert all(lesson.text in REVIEW.text for lesson in (first, second))


def test_the_mean_of_students_has_the_mean_of_their_weights(tmp_path: Path) -> None:
    architectures.make("bert", tmp_path)
    one = classifier.open_checkpoint(tmp_path)
    other = Classifier(copy.deepcopy(one.model), one.tokenizer)
    with torch.no_grad():
        for weights in other.model.parameters():
            weights *= 3
    wanted = [2 * weights.detach().clone() for weights in one.model.parameters()]
    found = student.mean([one, other])
    for mean, weights in zip(found.model.parameters(), wanted, strict=True):
        torch.testing.assert_close(mean.detach(), weights)

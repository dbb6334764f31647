"""Teachers answer for reviews that they have not learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from training import data, teachers
from training.data import Review

REVIEWS = [
    Review(f"{words}, number {number}", stars, label)
    for number in range(30)
    for words, stars, label in [
        ("torn and ugly", 1, -1),
        ("so so", 3, 0),
        ("lovely and warm", 5, 1),
    ]
]


@pytest.mark.parametrize("fold", range(data.FOLDS))
def test_a_teacher_learns_nothing_of_the_fold_it_is_asked_about(fold: int) -> None:
    drawn = teachers.draw(REVIEWS, fold, seed=1)
    mine = [review for review in REVIEWS if data.fold(review) == fold]
    assert mine
    assert len(drawn) + len(mine) == len(REVIEWS)
    assert set(drawn).isdisjoint(mine)


def test_reviews_of_equal_texts_are_in_one_fold() -> None:
    assert data.fold(Review("fine", 4, 1)) == data.fold(Review("fine", 2, -1))


def test_words_tell_the_label() -> None:
    answer = teachers.train_words(REVIEWS, {}, 1)
    found = answer(["it was torn", "so so", "it is lovely"])
    assert found.dtype == np.float32
    assert list(found.argmax(axis=1)) == [0, 1, 2]


def test_teachers_count_by_their_weight_and_none_overrules_the_others_by_certainty() -> None:
    certain, other = np.array([[100.0, 0.0, 0.0]]), np.array([[0.0, 5.0, 0.0]])
    told = dict.fromkeys(teachers.TEACHERS, other)
    assert teachers.average(told | {"tf-idf": certain}).argmax() == 1
    assert teachers.average(told | {"mpnet": certain}).argmax() == 0

"""Logits are read as the answers of each task."""

from __future__ import annotations

import numpy as np
import pytest

from model_handler import Labels, Prediction, ProblemType, Values, outputs


def test_integers_when_every_name_is_one() -> None:
    assert outputs.labels_of({"0": "-1", "1": "0", "2": "1"}) == (-1, 0, 1)


def test_names_as_they_are_otherwise() -> None:
    assert outputs.labels_of({"1": "1", "0": "bad"}) == ("bad", "1")


def test_gaps_in_the_numbering_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to n-1"):
        outputs.labels_of({"0": "a", "2": "b"})


def test_the_likeliest_label_and_its_softmax() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]], dtype=np.float32)) + 50
    found = outputs.read(logits, (-1, 0, 1))
    predictions = [each for each in found if isinstance(each, Prediction)]
    assert [each.predicted_label for each in predictions] == [1, -1]
    assert [each.probability for each in predictions] == pytest.approx([0.5, 0.7], rel=1e-4)


def test_several_labels_have_a_sigmoid_each() -> None:
    logits = np.array([[4, 4, -4], [-1, 0, -4]], dtype=np.float32)
    names = ("late", "broken", "dear")
    first, second = outputs.read(logits, names, ProblemType.SEVERAL_LABELS)
    assert isinstance(first, Labels)
    assert isinstance(second, Labels)
    assert (first.predicted_labels, second.predicted_labels) == (["late", "broken"], ["broken"])
    assert list(first.scores) == list(names)
    assert [*first.scores.values()] == pytest.approx([0.98201, 0.98201, 0.01799], abs=1e-5)
    (strict, _) = outputs.read(logits, names, ProblemType.SEVERAL_LABELS, threshold=0.99)
    assert isinstance(strict, Labels)
    assert strict.predicted_labels == []


def test_values_are_the_logits_themselves() -> None:
    logits = np.array([[3.5, -2]], dtype=np.float32)
    assert outputs.read(logits, ("fit", "price"), ProblemType.VALUES) == [
        Values({"fit": 3.5, "price": -2.0})
    ]


@pytest.mark.parametrize(
    "names", [("0123", "7"), ("1_0", "2"), ("1", "01"), ("+1", "0"), (" 1", "2")]
)
def test_a_name_that_is_not_written_as_its_integer_stays_a_name(names: tuple[str, str]) -> None:
    assert outputs.labels_of(dict(zip("01", names, strict=True))) == names


def test_two_labels_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two labels with the name 'good'"):
        outputs.labels_of({"0": "good", "1": "good"})

"""Logits to labels."""

from __future__ import annotations

import numpy as np
import pytest

from model_handler import labels


def test_integers_when_every_name_is_one() -> None:
    assert labels.from_id2label({"0": "-1", "1": "0", "2": "1"}) == (-1, 0, 1)


def test_names_as_they_are_otherwise() -> None:
    assert labels.from_id2label({"1": "1", "0": "bad"}) == ("bad", "1")


def test_gaps_in_the_numbering_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to n-1"):
        labels.from_id2label({"0": "a", "2": "b"})


def test_the_likeliest_label_and_its_softmax() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]], dtype=np.float32)) + 50
    found = labels.read_off(logits, (-1, 0, 1))
    assert [prediction.predicted_label for prediction in found] == [1, -1]
    assert [prediction.probability for prediction in found] == pytest.approx([0.5, 0.7], rel=1e-4)

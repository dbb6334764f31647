"""Test the default model with the three sentences of the AWS blog, and its card."""

from __future__ import annotations

import json
import re

from model_handler import Handler
from tests.conftest import BLOG, BUNDLED, labelled


def test_the_sentences_of_the_blog_have_the_labels_of_the_blog() -> None:
    texts = [json.loads(line)["features"][0] for line in BLOG.splitlines()]
    found = labelled(Handler(BUNDLED), *texts)
    assert [prediction.predicted_label for prediction in found] == [1, 0, -1]


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) <= 14_000_000


def test_its_card_tells_data_licence_and_figures() -> None:
    card = (BUNDLED / "README.md").read_text()
    assert "CC0" in card
    assert "Apache-2.0" in card
    assert re.search(r"macro F1", card)

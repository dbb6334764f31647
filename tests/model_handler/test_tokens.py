"""Texts to batches."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from model_handler import tokens
from tests.conftest import BUNDLED


@pytest.fixture
def tokenizer() -> Tokenizer:
    return tokens.prepare(Tokenizer.from_file(str(BUNDLED / "tokenizer.json")), 128)


def test_every_text_is_in_one_batch_and_no_batch_is_over_the_budget(tokenizer: Tokenizer) -> None:
    texts = [("fine " * (place * 7 % 150)).strip() for place in range(100)]
    found = list(tokens.batches(tokenizer, 0, texts))
    assert sorted(place for batch in found for place in batch.places) == list(range(100))
    assert len(found) > 1
    assert all(batch.ids.size <= tokens.TOKEN_BUDGET for batch in found)


def test_a_text_is_cut_as_the_tokenizer_cuts_it(tokenizer: Tokenizer) -> None:
    (batch,) = tokens.batches(tokenizer, 0, ["word " * 500])
    assert batch.ids.shape == (1, 128)
    assert batch.ids[0, -1] == tokenizer.token_to_id("[SEP]")


def test_short_texts_are_padded_and_masked(tokenizer: Tokenizer) -> None:
    (batch,) = tokens.batches(tokenizer, 0, ["one two three", ""])
    assert batch.places == [1, 0]
    assert batch.mask.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.ids[0, 2:].tolist() == [0, 0, 0]


def test_no_texts_make_no_batches(tokenizer: Tokenizer) -> None:
    assert list(tokens.batches(tokenizer, 0, [])) == []

"""Texts to rows of ids, and rows to arrays."""

from __future__ import annotations

from array import array

import pytest
from tokenizers import Tokenizer

from model_handler import tokens
from tests.conftest import BUNDLED


@pytest.fixture
def tokenizer() -> Tokenizer:
    return tokens.prepare(Tokenizer.from_file(str(BUNDLED / "tokenizer.json")), 128)


def test_a_text_is_cut_as_the_tokenizer_cuts_it(tokenizer: Tokenizer) -> None:
    (row,) = tokens.encode(tokenizer, ["word " * 500]).rows
    assert len(row) == 128
    assert row[-1] == tokenizer.token_to_id("[SEP]")


def test_short_rows_are_padded_and_masked() -> None:
    ids, mask = tokens.pad([array("i", [5, 6]), array("i", [7, 8, 9])], pad_id=1)
    assert ids.tolist() == [[5, 6, 1], [7, 8, 9]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]


def test_a_row_without_tokens_is_a_masked_one() -> None:
    ids, mask = tokens.pad([array("i")], pad_id=1)
    assert (ids.tolist(), mask.tolist()) == ([[1]], [[0]])


def test_no_texts_make_no_rows(tokenizer: Tokenizer) -> None:
    assert tokens.encode(tokenizer, []).rows == []


@pytest.mark.parametrize(
    "text",
    [
        "good and not so good, " * 3000,
        "good" + " " * 20_000 + "bad",
        "x" * 20_000 + " bad",
        ("x" * 6000 + " ") * 200,  # each of them one unknown token
        "\u00e9\u4e2d " * 9000,
        "a " + "y" * 30_000,
    ],
    ids=["words", "spaces", "one word", "long words", "accents", "late word"],
)
def test_a_very_long_text_has_the_tokens_of_the_whole_of_it(
    tokenizer: Tokenizer, text: str
) -> None:
    (row,) = tokens.encode(tokenizer, [text]).rows
    assert list(row) == tokenizer.encode(text).ids

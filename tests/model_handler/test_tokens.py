"""Texts are encoded as rows of ids, and rows are padded to batches."""

from __future__ import annotations

from array import array

import pytest
from tokenizers import Tokenizer

from model_handler import tokens
from model_handler.tokens import Row
from tests.conftest import BUNDLED


@pytest.fixture
def tokenizer() -> Tokenizer:
    return tokens.prepare(Tokenizer.from_file(str(BUNDLED / "tokenizer.json")), 128)


def test_a_text_is_cut_as_the_tokenizer_cuts_it(tokenizer: Tokenizer) -> None:
    (row,) = tokens.encode(tokenizer, ["word " * 500])
    assert len(row) == 128
    assert row.ids[-1] == tokenizer.token_to_id("[SEP]")


def test_short_rows_are_padded_and_masked() -> None:
    batch = tokens.pad([Row(array("i", [5, 6])), Row(array("i", [7, 8, 9]))], pad_id=1)
    assert batch.ids.tolist() == [[5, 6, 1], [7, 8, 9]]
    assert batch.mask.tolist() == [[1, 1, 0], [1, 1, 1]]


def test_a_row_without_tokens_is_one_of_padding_that_the_model_looks_at() -> None:
    batch = tokens.pad([Row(array("i"))], pad_id=1)
    assert (batch.ids.tolist(), batch.mask.tolist()) == ([[1]], [[1]])


def test_no_texts_make_no_rows(tokenizer: Tokenizer) -> None:
    assert tokens.encode(tokenizer, []) == []


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
    (row,) = tokens.encode(tokenizer, [text])
    assert list(row.ids) == tokenizer.encode(text).ids


def test_a_tokenizer_that_keeps_the_end_of_a_text_gets_all_of_it(tokenizer: Tokenizer) -> None:
    tokens.prepare(tokenizer, 128, side="left")
    long, end = tokens.encode(tokenizer, ["good " * 9000 + "bad", "good " * 200 + "bad"])
    assert len(long) == 128
    assert long == end


def test_encoding_ends_once_there_are_more_tokens_than_can_be_used(tokenizer: Tokenizer) -> None:
    texts = ["one two three"] * 10_000
    found = tokens.encode(tokenizer, texts, most=1000)
    assert sum(map(len, found)) > 1000
    assert len(found) <= 1000 / 5 + tokens.CHUNK


def test_texts_that_are_cut_are_counted(tokenizer: Tokenizer) -> None:
    rows = tokens.encode(tokenizer, ["short", "word " * 500, "a " * 9000, "x"])
    assert [row.truncated for row in rows] == [False, True, True, False]


def test_a_word_of_six_megabytes_costs_no_more_than_a_long_one() -> None:
    """Byte pairs of a single word take memory by its length, and only 128 tokens are kept."""
    from tokenizers import models, pre_tokenizers

    pairs = Tokenizer(models.BPE({"a": 0, "aa": 1, "aaa": 2}, [("a", "a"), ("aa", "a")]))
    pairs.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.prepare(pairs, 128)
    long, longer = (tokens.encode(pairs, ["a" * size])[0] for size in (60_000, 6_000_000))
    assert len(long) == 128
    assert long == longer


def test_what_stands_for_no_word_is_known_of_sentencepiece_too() -> None:
    from tokenizers import models, pre_tokenizers

    pieces = [("<unk>", 0.0), ("\u2581", -1.0), ("\u2581good", -1.0), ("a", -2.0)]
    unigram = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.add_special_tokens(["</s>"])
    blank = tokens.wordless(unigram)
    texts = ["", "\U0001f600 \U0001f600", "</s>", "good \U0001f600", "a"]
    rows = tokens.encode(tokens.prepare(unigram, 128), texts)
    assert [blank.issuperset(row.ids) for row in rows] == [True, True, True, False, False]

"""A tokenizer with fewer pieces splits the texts they come from as before, and others into less."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from compress import vocabulary
from tests.conftest import ROOT

LINES = [
    line
    for path in ("README.md", "CONTRIBUTING.md", "docs/architecture.md")
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines()
    if line
]
HALF = len(LINES) // 2
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
PIECES = 1500


def word_piece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(
        LINES, trainers.WordPieceTrainer(vocab_size=PIECES, special_tokens=SPECIAL)
    )
    made.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 1))
    return made


def byte_pairs() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    made.train_from_iterator(LINES, trainer)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    return made


def marked_pairs() -> Tokenizer:
    made = Tokenizer(models.BPE(continuing_subword_prefix="##", unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, special_tokens=SPECIAL, continuing_subword_prefix="##"
    )
    made.train_from_iterator(LINES, trainer)
    return made


def unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=PIECES, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(LINES, trainer)
    made.add_special_tokens([AddedToken("<mask>", special=True)])  # behind the pieces
    made.post_processor = processors.Sequence(
        [
            processors.TemplateProcessing(
                single="<s> $A </s>",
                pair="<s> $A </s> $B </s>",
                special_tokens=[("<s>", 1), ("</s>", 2)],
            )
        ]
    )
    made.enable_padding(pad_id=0, pad_token="<pad>")
    return made


def words() -> Tokenizer:
    made = Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(LINES, trainers.WordLevelTrainer(special_tokens=SPECIAL))
    return made


@pytest.mark.parametrize("make", [word_piece, byte_pairs, marked_pairs, unigram, words])
def test_fewer_pieces_split_as_before_and_fall_back_to_smaller_ones(
    make: Callable[[], Tokenizer],
) -> None:
    whole = make()
    fields = json.loads(whole.to_str())
    ids = vocabulary.kept(fields, vocabulary.used(whole, LINES[:HALF]), pad_id=0)
    small = Tokenizer.from_str(json.dumps(vocabulary.smaller(fields, ids)))
    assert small.get_vocab_size() == len(ids) < whole.get_vocab_size()
    places = {old: new for new, old in enumerate(ids)}
    unknown = small.token_to_id("<unk>")
    fell_back = 0
    for line in LINES:
        before, after = whole.encode(line), small.encode(line)
        if set(before.ids) <= set(ids):
            assert after.ids == [places[each] for each in before.ids]
            assert after.tokens == before.tokens
        else:
            fell_back += 1
            assert make is words or (len(after) >= len(before) and unknown not in after.ids)
    assert fell_back > 10


def test_ids_up_to_that_of_padding_stay_where_they_are() -> None:
    whole = byte_pairs()
    fields = json.loads(whole.to_str())
    pad_id = whole.get_vocab_size() // 4
    assert vocabulary.kept(fields, set(), pad_id)[: pad_id + 1] == list(range(pad_id + 1))


@pytest.mark.parametrize("make", [word_piece, byte_pairs, unigram])
def test_of_the_other_pieces_the_first_stay(make: Callable[[], Tokenizer]) -> None:
    whole = make()
    fields = json.loads(whole.to_str())
    used = vocabulary.used(whole, LINES[:20])
    few, more = (set(vocabulary.kept(fields, used, 0, least)) for least in (0, 1000))
    assert few < more
    assert 1000 <= len(more) < 1100
    every = set(whole.get_vocab().values())
    assert max(more - few) - min(every - more) < 100  # of pieces that others are merged from


def test_a_text_is_looked_at_to_its_end(tmp_path: Path) -> None:
    whole = word_piece()
    whole.enable_truncation(4)
    text = " ".join(LINES[:20])
    whole.save(str(tmp_path / "tokenizer.json"))
    assert len(vocabulary.used(whole, [text])) > 50
    assert len(whole.encode(text)) == 4

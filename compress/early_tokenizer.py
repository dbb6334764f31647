"""Write the file of an early tokenizer, if it encodes plain texts as the whole one does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model_handler import tokens
from model_handler.engines.packed_tokenizer import EarlyTokenizer
from model_handler.manifest import Early

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.tkz"
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
# What random texts are made of: anything, and where rules of splitting meet, more often.
ALPHABETS = (PRINTABLE, " '", " 'sSdtlLvremR.", "ab1 .", "!?.,-'  aB1")
RANDOM_TEXTS = 20_000
LONGEST = 60  # characters of a random text


def write(directory: Path, max_length: int) -> Early | None:
    """Write tokenizer.tkz beside tokenizer.json; None, and no file, unless it encodes alike.

    It is compared for each word of the vocabulary, alone and within a text, and for random texts.
    """
    import tokie
    from tokenizers import Tokenizer

    source, path = directory / "tokenizer.json", directory / FILE
    try:
        tokie.Tokenizer.from_json(str(source)).save(str(path))
    except Exception:  # tokie raises several types for a kind of tokenizer that it does not know
        path.unlink(missing_ok=True)
        return None
    whole = Tokenizer.from_file(str(source))
    early = _describe(whole)
    if early is None or not _alike(path, early, max_length, whole):
        path.unlink()
        return None
    return early


def _describe(whole: Tokenizer) -> Early | None:
    """Find what comes around each text; None if that is not the same for each."""
    direction = (whole.truncation or {}).get("direction", "right")
    whole.no_truncation()
    around = whole.encode("a").ids
    words = whole.encode("a", add_special_tokens=False).ids
    places = [
        start
        for start in range(len(around) - len(words) + 1)
        if around[start : start + len(words)] == words
    ]
    if len(places) != 1:
        return None
    (start,) = places
    return Early(
        file=FILE,
        before=tuple(around[:start]),
        after=tuple(around[start + len(words) :]),
        wordless=tuple(sorted(tokens.wordless(whole))),
        added=tuple(token.content for token in whole.get_added_tokens_decoder().values()),
        direction=direction,
    )


def _alike(path: Path, early: Early, max_length: int, whole: Tokenizer) -> bool:
    """Return whether both encode all texts alike that they are tried with."""
    encoder = EarlyTokenizer(path, early, max_length, lambda: whole)
    tried = [text for text in _texts(whole) if encoder.is_plain(text)]
    found = whole.encode_batch_fast(tried)
    return all(
        encoder.encode(text).ids == each.ids and not any(each.type_ids)
        for text, each in zip(tried, found, strict=True)
    )


def _texts(whole: Tokenizer) -> Iterator[str]:
    """Make texts to try."""
    for piece in whole.get_vocab():
        # Marks of a word's beginning, or that it has begun: byte-level, SentencePiece, WordPiece.
        word = piece.lstrip("\u0120\u2581").removeprefix("##")
        yield word
        yield f"It {word}, {word}s."
    chance = random.Random(0)
    for _ in range(RANDOM_TEXTS):
        alphabet = chance.choice(ALPHABETS)
        yield "".join(chance.choices(alphabet, k=chance.randint(0, LONGEST)))

"""Texts in, rows of token ids out; rows in, padded arrays out; and which rows go together."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

Row = Sequence[int]

# Tokens in one run of the engine, for each of its threads. Measured by benchmarks/batches.py:
# fewer leave the CPU's vector units waiting for weights, more push activations out of its cache.
BUDGET = 256
# A row is padded by at most so many tokens to join a run: a run of its own costs as much as them.
PADDING = 8
# Texts encoded at once. The tokenizer keeps more than a hundred bytes for each token of a text, its
# place and its spelling among them, until the ids are taken out; of a large body that is too much.
CHUNK = 128
# For the same reason only the beginning of a very long text is looked at: so many characters for
# each token that is kept. English has four to five.
CHARACTERS = 40
# A word longer than so many tokens could be is cut as well.
LONGEST_WORD = 10 * CHARACTERS


@dataclass(frozen=True)
class Encoded:
    """The rows of texts, in their order, and how many of the texts were cut to fit."""

    rows: list[Row]
    truncated: int


def prepare(tokenizer: Tokenizer, max_length: int, side: str = "right") -> Tokenizer:
    """Cut texts to `max_length` tokens, and pad none: `pad` does that for each batch."""
    tokenizer.enable_truncation(max_length, direction=side)
    tokenizer.no_padding()
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], most: float = math.inf) -> Encoded:
    """The token ids of each text; ends early, with fewer rows, once there are more than `most`."""
    rows: list[Row] = []
    truncated = found = 0
    for start in range(0, len(texts), CHUNK):
        if found > most:
            break
        chunk = texts[start : start + CHUNK]
        short = [_beginning(tokenizer, text) for text in chunk]
        encodings = tokenizer.encode_batch_fast(short)
        for text, used, encoding in zip(chunk, short, encodings, strict=True):
            if len(used) < len(text) and not encoding.overflowing:
                encoding = tokenizer.encode(text)  # it did need more of the text
            rows.append(array("i", encoding.ids))
            found += len(rows[-1])
            truncated += bool(encoding.overflowing)
    return Encoded(rows, truncated)


def _beginning(tokenizer: Tokenizer, text: str) -> str:
    """As much of a very long text as should give all tokens that are kept of it.

    Whole words only, since that is what tokenizers look at, unless a word is too long for one.
    """
    cut = tokenizer.truncation
    if cut is None or cut["direction"] != "right":
        return text
    enough, most = (cut["max_length"] * characters for characters in (CHARACTERS, LONGEST_WORD))
    end = text.find(" ", enough, most)
    return text[:most] if end < 0 else text[:end].rstrip()


def pad(rows: Sequence[Row], pad_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and attention mask of rows, both int64 (B, T), T the length of the longest."""
    import numpy as np

    width = max(1, *map(len, rows))  # a tokenizer may find nothing in an empty text
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask


def fits(longest: int, shortest: int, count: int, budget: int) -> bool:
    """Whether `count` rows of these lengths may go through the engine in one run."""
    return count == 1 or (longest - shortest <= PADDING and longest * count <= budget)


def work(rows: Sequence[Row]) -> int:
    """What a run of rows costs, in tokens: with padding, and with what any run costs."""
    return max(map(len, rows)) * len(rows) + PADDING

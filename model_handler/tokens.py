"""Encode texts as rows of token ids, and pad rows to the batches that an engine runs."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from model_handler.engines.packed_tokenizer import EarlyTokenizer

# One text, or two that belong together, such as a question and a passage.
Text = str | tuple[str, str]

# Texts encoded at once. The tokenizer keeps more than a hundred bytes for each token of a text, its
# place and its spelling among them, until the ids are taken out; of a large body that is too much.
CHUNK = 128
# For the same reason only the beginning of a very long text is looked at: this many characters for
# each token that is kept. English has four to five.
CHARACTERS = 40
# A single word that is longer than this for each token is cut as well.
LONGEST_WORD = 10 * CHARACTERS


class Pairs(StrEnum):
    """Whether a model reads two texts that belong together, and where a record has them."""

    REFUSED = "refused"  # the model cannot tell the second text from the first
    TEXT_PAIR = "text_pair"  # {"text": ..., "text_pair": ...}
    FEATURES = "features"  # there, and in {"features": [..., ...]} as well


class Row:
    """The token ids of one text or pair, and their token types, None where all are 0.

    `truncated`: the text was cut to the model's length.
    """

    __slots__ = ("ids", "truncated", "types")

    def __init__(
        self, ids: array[int], types: array[int] | None = None, truncated: bool = False
    ) -> None:
        self.ids = ids
        self.types = types
        self.truncated = truncated

    def __len__(self) -> int:
        """Count the tokens."""
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        """Compare all that a row has."""
        names = self.__slots__
        return isinstance(other, Row) and all(
            getattr(self, name) == getattr(other, name) for name in names
        )

    __hash__ = None  # type: ignore[assignment]  # an array has none either


class Batch(NamedTuple):
    """Rows that run together, padded to the longest: int64 (B, T) each.

    `mask` is 1 where there is a token, 0 where a row is padded; `types` are the token types, which
    tell the second text of a pair from the first in models that have them (token_type_ids).
    """

    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray


def prepare(tokenizer: Tokenizer, max_length: int, side: str = "right") -> Tokenizer:
    """Make a tokenizer cut texts to `max_length` tokens, and pad none: `pad` does that."""
    tokenizer.enable_truncation(max_length, direction=side)
    tokenizer.no_padding()
    return tokenizer


def encode(
    tokenizer: Tokenizer | EarlyTokenizer,
    texts: Sequence[Text],
    most: float = math.inf,
    check: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Encode each text; end early, with fewer rows, once there are more than `most` tokens.

    `check` is called now and then, and may raise to end the encoding.
    """
    rows: list[Row] = []
    found = 0
    for start in range(0, len(texts), CHUNK):
        if found > most:
            break
        check()
        chunk = texts[start : start + CHUNK]
        short = [_beginnings(tokenizer, text) for text in chunk]
        encodings = tokenizer.encode_batch_fast(short)
        for text, used, encoding in zip(chunk, short, encodings, strict=True):
            if used != text and not encoding.overflowing:
                (encoding,) = tokenizer.encode_batch_fast([text])  # it did need more of the text
            types = array("i", encoding.type_ids) if any(encoding.type_ids) else None
            rows.append(Row(array("i", encoding.ids), types, bool(encoding.overflowing)))
            found += len(rows[-1])
    return rows


def _beginnings(tokenizer: Tokenizer | EarlyTokenizer, text: Text) -> Text:
    """Cut a text, or each of a pair, to as much as should give all tokens that are kept."""
    if isinstance(text, str):
        return _beginning(tokenizer, text)
    first, second = text
    return _beginning(tokenizer, first), _beginning(tokenizer, second)


def _beginning(tokenizer: Tokenizer | EarlyTokenizer, text: str) -> str:
    """Cut a very long text to as much as should give all tokens that are kept of it.

    Whole words only, since that is what tokenizers look at, unless a word is too long for one.
    """
    cut = tokenizer.truncation
    if cut is None or cut["direction"] != "right":
        return text
    enough, most = (cut["max_length"] * characters for characters in (CHARACTERS, LONGEST_WORD))
    end = text.find(" ", enough, most)
    return text[:most] if end < 0 else text[:end].rstrip()


def wordless(tokenizer: Tokenizer) -> frozenset[int]:
    """Find the ids that stand for no word: special tokens, the unknown token, a lone word mark."""
    special = {
        index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special
    }
    # SentencePiece sets its mark before the first piece of each word, unknown ones as well.
    others = {tokenizer.token_to_id(getattr(tokenizer.model, "unk_token", None) or "<unk>")}
    others.add(tokenizer.token_to_id("\u2581"))
    return frozenset(special | {index for index in others if index is not None})


def pad(rows: Sequence[Row], pad_id: int, least: int = 0) -> Batch:
    """Make a batch of rows, each padded to the longest, and to `least` tokens."""
    import numpy as np

    width = max(1, least, *map(len, rows))  # a tokenizer may find nothing in an empty text
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    types = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row.ids
        # Of no token at all a model computes 0/0, or what its kind of attention makes of that.
        mask[index, : max(1, len(row))] = 1
        if row.types is not None:
            types[index, : len(row)] = row.types
    return Batch(ids, mask, types)


def join(batch: Batch, other: Batch, pad_id: int) -> Batch:
    """Make one batch of two, the rows of each padded to the longer."""
    import numpy as np

    count, *widths = len(batch.ids), batch.ids.shape[1], other.ids.shape[1]
    joined = []
    for first, second, value in zip(batch, other, (pad_id, 0, 0), strict=True):
        made = np.full((count + len(second), max(widths)), value, dtype=np.int64)
        made[:count, : widths[0]] = first
        made[count:, : widths[1]] = second
        joined.append(made)
    return Batch(*joined)

"""Texts in, batches of token ids out: sorted by length and cut by a token budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

# Padded tokens in one run of the engine. It bounds the memory of a large body (activations of a
# RoBERTa-base grow by about 40 kB a token); larger batches score no faster on a CPU.
TOKEN_BUDGET = 2048


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts for one run: their places in the request, ids and mask, both int64 (B, T)."""

    places: list[int]
    ids: np.ndarray
    mask: np.ndarray


def prepare(tokenizer: Tokenizer, max_length: int, side: str = "right") -> Tokenizer:
    """Cut texts to `max_length` tokens, and pad none: batches pad themselves."""
    tokenizer.enable_truncation(max_length, direction=side)
    tokenizer.no_padding()
    return tokenizer


def batches(tokenizer: Tokenizer, pad_id: int, texts: Sequence[str]) -> Iterator[Batch]:
    """Tokenise texts and yield batches of near-equal lengths, shortest texts first."""
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
    start = 0
    for end in range(1, len(order) + 1):
        # Sorted, so the next text would be the longest of the batch and set its width.
        full = end == len(order) or (end + 1 - start) * len(encoded[order[end]]) > TOKEN_BUDGET
        if full:
            places = order[start:end]
            yield _pad(places, [encoded[place] for place in places], pad_id)
            start = end


def _pad(places: list[int], rows: list[list[int]], pad_id: int) -> Batch:
    import numpy as np

    width = max(map(len, rows))
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return Batch(places, ids, mask)

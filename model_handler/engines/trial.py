"""Try out what a checkpoint can do: which lengths, pairs, batches and padding it takes."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_handler import tokens
from model_handler.tokens import Pairs, Row

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from model_handler.engines.torch_engine import TorchEngine

# Logits that rounding alone moves differ by less, as a part of how far those of texts are apart,
SAME = 1e-4
# or where they hardly are, as a part of the largest.
ROUNDING = 1e-5
# Words of the rows that are tried: few, for each costs time at every start.
SHORT, MIDDLE, LONG = 2, 6, 24


class TrialError(Exception):
    """The checkpoint cannot be served; the message says why and what to do."""


class Trial:
    """Rows that the checkpoint's own tokenizer might make, and what its model answers to them."""

    def __init__(
        self, engine: TorchEngine, tokenizer: Tokenizer, pad_id: int, outputs: int
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._pad_id = pad_id
        self._outputs = outputs
        added = set(tokenizer.get_added_tokens_decoder())
        self._usual = sorted(set(tokenizer.get_vocab().values()) - added)

    def longest(self, wanted: int) -> int:
        """Find how many tokens of a row the model takes, `wanted` at most; raises TrialError."""
        # Where there is no place for a token of each, tokenizers does not cut a pair at all.
        least = self._tokenizer.num_special_tokens_to_add(True) + 2
        if wanted < least:
            raise TrialError(f"MAX_LENGTH would be {wanted}; this tokenizer needs {least} or more")
        found = self._refusal(wanted)
        if found is None:
            return wanted
        most, failing = 0, wanted
        while failing - most > 1:
            middle = (most + failing) // 2
            failure = self._refusal(middle)
            if failure is None:
                most = middle
            else:
                failing, found = middle, failure
        if most < least:
            raise TrialError(f"the model cannot be run ({found})")
        return most

    def shortest(self) -> None:
        """Raise TrialError if the model cannot run an empty text."""
        row = self._row(0)
        failure = self._failure(row)
        if failure is not None:
            raise TrialError(
                f"the model cannot run texts of {len(row)} tokens ({failure}); fine-tune another "
                "architecture"
            )

    def pairs(self, wanted: Pairs) -> Pairs:
        """Find whether the model can tell the second text of a pair from the first.

        Raises TrialError if FEATURES is wanted and it cannot.
        """
        (row,) = tokens.encode(self._tokenizer, [("good", "good good")])
        typed = row.types is not None and "token_type_ids" in self._engine.inputs
        if typed and self._failure(row) is not None:  # its table has one type only
            self._engine.inputs -= {"token_type_ids"}
            typed = False
        one, two = map(self._tokenizer.num_special_tokens_to_add, (False, True))
        if typed or two > one:
            return wanted
        if wanted is Pairs.FEATURES:
            raise TrialError(
                "TEXT_PAIRS is 1, and its tokenizer.json puts nothing between the texts of a pair: "
                "add a template for pairs to it, as in training"
            )
        return Pairs.REFUSED

    def equal_lengths(self) -> bool:
        """Find whether padding a row changes answers; if even a batch does, let rows run alone."""
        rows = [self._row(words) for words in (SHORT, MIDDLE, LONG)]
        if self._same(rows):
            return False
        if not self._same(rows[:1]):
            raise TrialError("the model answers one text differently from time to time")
        self._engine.together = self._same([self._row(MIDDLE, seed) for seed in range(3)])
        return True

    def _same(self, rows: Sequence[Row]) -> bool:
        """Return whether rows get the same logits in a batch as alone."""
        import numpy as np

        alone = np.stack([self._alone(row) for row in rows])
        try:
            found = self._engine.run(tokens.pad(rows, self._pad_id))
        except Exception:  # as in _failure
            return False
        most = max(SAME * np.ptp(alone, axis=0).max(), ROUNDING * np.abs(alone).max())
        return found.shape == alone.shape and bool(np.abs(found - alone).max() <= most)

    def _alone(self, row: Row) -> np.ndarray:
        """Compute the logits of one row, (L,); raises TrialError unless they are L numbers."""
        import numpy as np

        (found,) = self._engine.run(tokens.pad([row], self._pad_id))
        if found.shape != (self._outputs,):
            raise TrialError(f"it has {self._outputs} labels, and answers with {found.shape[0]}")
        if not np.isfinite(found).all():
            raise TrialError("the model answers what is no number: its weights are damaged")
        return found  # type: ignore[no-any-return]  # a row of an array has no type

    def _refusal(self, length: int) -> str | None:
        """Say why a row of so many tokens cannot be run; None if it can."""
        tokens.prepare(self._tokenizer, length)
        return self._failure(self._row(length))

    def _failure(self, row: Row) -> str | None:
        """Say why a row cannot be run, in the words of PyTorch; None if it can."""
        try:
            self._alone(row)
        except TrialError:
            raise
        except Exception as error:  # PyTorch and transformers raise many types
            return " ".join(str(error).split())[:200] or "it gives no reason"
        return None

    def _row(self, words: int, seed: int = 0) -> Row:
        """Make the row of a text of so many words, with tokens of the vocabulary in their place."""
        encoding = self._tokenizer.encode(" ".join(["good"] * words))
        choose = random.Random(seed)
        ids = [
            found if special or not self._usual else choose.choice(self._usual)
            for found, special in zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        ]
        types = array("i", encoding.type_ids) if any(encoding.type_ids) else None
        return Row(array("i", ids), types)

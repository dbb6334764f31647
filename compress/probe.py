"""Compare two models by their answers to probe texts, and decide how far apart these may be."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_handler import tokens
from model_handler.tokens import Pairs, Row

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from model_handler.engines import Model
    from model_handler.tokens import Batch, Text

    Run = Callable[[Batch], np.ndarray]  # to logits (B, L)

# Short and long, plain and not: each kind of text that reaches a sentiment model.
TEXTS = (
    "I love this product!",
    "OK, but not great.",
    "This is not the right product.",
    "",
    "The zip broke on day two and nobody answers my mails. Never again.",
    "Été à Paris: très jolie robe, 10/10 \U0001f600",
    "It fits, it is warm and it was cheap. The colour is darker than in the picture, though, and "
    "after three washes the seams began to come apart, so I would call it a fair deal, not more.",
    "good " * 200,
)
# For models that can tell the second text from the first.
PAIRS = (
    ("Does it fit?", "It fits, it is warm and it was cheap."),
    ("I love this product!", "This is not the right product."),
)
# Words of texts whose rows try an exported graph: from the shortest to those that are cut.
WORDS = (0, 1, 2, 5, 11, 23, 47, 95, 191, 383, 767)

# Words, and draws, of rows of random tokens.
RANDOM_WORDS = (5, 11, 23, 47, 95, 191)
DRAWS = 4

# How far a logit may move. int8 weights move the logits of a fine-tuned model by 0.05 to 0.2,
# which is 1 to 5 points of probability where it is most uncertain; a broken export, a wrong
# tokenizer or a saturated product moves them by whole units.
TOLERANCE = 0.4
# The same as a share of how far the logits of the probe texts are apart: where those are close, as
# in a regression from 0 to 1, a small change is a large error. The logits of a fine-tuned model
# are 4 to 10 apart.
SHARE = 0.1
# A logit that moves by less moves a probability by a quarter of a point at most.
LEAST = 0.01
# How far float32 logits of the same model may be apart, as a share of the distance between texts,
# and of the largest logit, that is by rounding.
SAME = 2e-3
ROUNDED = 1e-4

# How far the packed model's own logits may move from one CPU to another. Products of integers are
# the same everywhere; the floats between them are rounded differently, and now and then that moves
# an activation by one of its 127 steps.
ROUNDING = 0.1


class DriftError(Exception):
    """The packed model does not answer like its checkpoint."""


@dataclass(frozen=True)
class Reference:
    """Batches, and the logits that a checkpoint gives for all their rows, float32 (N, L)."""

    batches: tuple[Batch, ...]
    logits: np.ndarray

    def errors(self, run: Run) -> np.ndarray:
        """Measure how far the logits of `run` are from these, (N, L)."""
        import numpy as np

        found: np.ndarray = np.abs(answers(run, self.batches) - self.logits)
        return found

    def spread(self) -> float:
        """Return how far apart the logits of these rows are, of the label with the widest range."""
        return float((self.logits.max(axis=0) - self.logits.min(axis=0)).max())

    def allowed(self, tolerance: float | None = None) -> float:
        """Return how far a logit may move; `tolerance` takes the place of TOLERANCE."""
        absolute = TOLERANCE if tolerance is None else tolerance
        return min(absolute, max(SHARE * self.spread(), LEAST))

    def same(self, run: Run) -> bool:
        """Return whether `run` gives these logits, up to rounding of float32; no if it fails."""
        try:
            worst = self.errors(run).max()
        except Exception:  # onnxruntime raises types of its own
            return False
        largest = float(abs(self.logits).max())
        return bool(worst <= SAME * self.spread() + ROUNDED * largest)


def answers(run: Run, batches: Iterable[Batch]) -> np.ndarray:
    """Compute the logits of all rows of some batches, float32 (N, L)."""
    import numpy as np

    return np.concatenate([run(batch) for batch in batches])


def texts(model: Model) -> tuple[Batch, ...]:
    """Encode the probe texts, each alone, and then pairs where the model takes them."""
    found: tuple[Text, ...] = TEXTS if model.pairs is Pairs.REFUSED else (*TEXTS, *PAIRS)
    return _alone(model, tokens.encode(model.tokenizer, found))


def lengths(model: Model) -> tuple[Batch, ...]:
    """Make rows of all kinds of lengths, up to the longest, each alone."""
    rows = {len(row): row for row in _rows(model.tokenizer, WORDS)}
    return _alone(model, tuple(rows.values()))


def logits(model: Model) -> np.ndarray:
    """Compute a model's own logits of its probe texts, float32 (N, L)."""
    return answers(model.engine.logits, texts(model))


def equal_rows(tokenizer: Tokenizer) -> list[Row]:
    """Make rows of one length: a text, its words in reverse, and one with its last token twice."""
    (row,) = _rows(tokenizer, [11])
    first, *inner, last = row.ids
    twice = [last, *inner[1:]]
    return [row, *(Row(array("i", [first, *each, last])) for each in (inner[::-1], twice))]


def unequal_rows(tokenizer: Tokenizer) -> list[Row]:
    """Make rows of different lengths."""
    return _rows(tokenizer, [2, 47, 11])


def random_rows(tokenizer: Tokenizer) -> list[Row]:
    """Make rows of tokens from the whole vocabulary, the first and the last as in a text."""
    draw = random.Random(0)
    added = set(tokenizer.get_added_tokens_decoder())
    usual = sorted(set(tokenizer.get_vocab().values()) - added)
    found = []
    for row in DRAWS * _rows(tokenizer, RANDOM_WORDS):
        first, *inner, last = row.ids
        found.append(Row(array("i", [first, *draw.choices(usual, k=len(inner)), last])))
    return found


def together(run: Run, rows: Sequence[Row], pad_id: int) -> bool:
    """Return whether padded rows get the same answers in a batch as alone; no if it fails."""
    alone = tuple(tokens.pad([row], pad_id) for row in rows)
    expected = Reference(alone, answers(run, alone))
    batch = tokens.pad(rows, pad_id)
    return Reference((batch,), expected.logits).same(run)


def _rows(tokenizer: Tokenizer, words: Iterable[int]) -> list[Row]:
    text = TEXTS[-2].split()
    found = [" ".join((text * (count // len(text) + 1))[:count]) for count in words]
    return tokens.encode(tokenizer, found)


def _alone(model: Model, rows: Sequence[Row]) -> tuple[Batch, ...]:
    return tuple(tokens.pad([row], model.pad_id) for row in rows)

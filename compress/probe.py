"""Two models in, how far their answers to the probe texts are apart out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from model_handler import tokens

if TYPE_CHECKING:
    import numpy as np

    from model_handler.engines import Model
    from model_handler.tokens import Batch

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

# How far a logit may move. int8 weights move the logits of a fine-tuned model by 0.05 to 0.2,
# which is 1 to 5 points of probability where it is most uncertain; a broken export, a wrong
# tokenizer or a saturated product moves them by whole units.
TOLERANCE = 0.4

# How far the packed model's own logits may move from one CPU to another. Products of integers are
# the same everywhere; the floats between them are rounded differently, and now and then that moves
# an activation by one of its 127 steps.
ROUNDING = 0.1


class DriftError(Exception):
    """The packed model does not answer like its checkpoint."""


def logits(model: Model, run: Run | None = None) -> np.ndarray:
    """Logits of the probe texts, float32 (N, L): the model's own, or those of `run`."""
    import numpy as np

    run = run or model.engine.logits
    rows = tokens.encode(model.tokenizer, TEXTS)
    return np.concatenate([run(tokens.pad([row], model.pad_id)) for row in rows])


def check(expected: np.ndarray, found: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """The largest distance of a logit; raises DriftError beyond the tolerance."""
    import numpy as np

    distance = np.abs(expected - found)
    drift = float(distance.max())
    if not drift <= tolerance:
        worst = int(distance.max(axis=1).argmax())
        raise DriftError(
            f"the packed model drifts: its logits for {TEXTS[worst][:40]!r} are off by "
            f"{drift:.3f}, {tolerance} is allowed; serve the checkpoint itself, on the full image"
        )
    return drift

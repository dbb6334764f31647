"""The seam between the handler and what computes: token ids in, logits out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from model_handler.labels import Label

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer


class Engine(Protocol):
    """Computes logits; opened by one of the modules beside this file."""

    def logits(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Token ids and attention mask, int64 (B, T), to logits, float32 (B, L)."""

    def settle(self) -> None:
        """Finish what need not be done before the first prediction; others may predict meanwhile.

        Called once. Raises ModelError when the model turns out not to be whole.
        """


@dataclass(frozen=True)
class Model:
    """An engine that is open, and what is needed to feed it and to read its answers."""

    name: str
    engine: Engine
    tokenizer: Tokenizer
    pad_id: int
    max_length: int
    labels: tuple[Label, ...]

"""Define what an engine is: it computes the logits of token ids, and is all that knows how."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from model_handler.engines.packed_tokenizer import EarlyTokenizer
from model_handler.outputs import Function, Label, ProblemType
from model_handler.tokens import Batch, Pairs

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer


class Engine(Protocol):
    """Computes logits; opened by one of the modules beside this file."""

    def logits(self, batch: Batch) -> np.ndarray:
        """Compute the logits of a batch of B rows, float32 (B, L)."""

    def prove(self) -> None:
        """Compare the answer to a known text, unless a prediction has; raises EngineError."""

    def settle(self) -> None:
        """Finish what need not be done before the first prediction; others may predict meanwhile.

        Called once. Raises ModelError when the model turns out not to be whole.
        """


class Options(NamedTuple):
    """What the owner of a plain checkpoint may choose; the manifest of a packed model has both.

    `max_length`: tokens that texts are cut to, None for what the checkpoint says.
    `runs_code`: the caller runs the code in the model directory.
    """

    max_length: int | None = None
    pairs: Pairs = Pairs.TEXT_PAIR
    runs_code: bool = False


class Model(NamedTuple):
    """An engine that is open, and what is needed to feed it and to read its answers.

    `equal_lengths`: answers change when a row is padded, so only rows of one length run together.
    `declared`: config.json names the problem_type, else transformers' rule for a missing one gave
    it. `wordless`: the token ids that stand for no word.
    """

    name: str
    engine: Engine
    encoder: Tokenizer | EarlyTokenizer
    wordless: frozenset[int]
    pad_id: int
    max_length: int
    labels: tuple[Label, ...]
    problem_type: ProblemType = ProblemType.ONE_LABEL
    equal_lengths: bool = False
    pairs: Pairs = Pairs.TEXT_PAIR
    declared: bool = True

    @property
    def tokenizer(self) -> Tokenizer:
        """The whole tokenizer, which may have to be opened; texts are encoded with `encoder`."""
        return self.encoder.whole() if isinstance(self.encoder, EarlyTokenizer) else self.encoder

    @property
    def pipeline_function(self) -> Function:
        """What transformers' pipeline makes scores with; the sigmoid for one undeclared output.

        https://github.com/huggingface/transformers/blob/main/src/transformers/pipelines/text_classification.py
        """
        if self.problem_type is ProblemType.VALUES and self.declared:
            return Function.NONE
        if self.problem_type is ProblemType.SEVERAL_LABELS or len(self.labels) == 1:
            return Function.SIGMOID
        return Function.SOFTMAX

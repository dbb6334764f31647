"""Open a Hugging Face sequence-classification checkpoint on PyTorch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_handler import extras, outputs, tokens
from model_handler.engines import Model, Options, pretrained, trial
from model_handler.errors import EngineError
from model_handler.outputs import ProblemType
from model_handler.resources import Limits
from model_handler.tokens import Batch

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

# Where a checkpoint says nothing, texts are cut here, though some architectures have no limit.
LONGEST = 512


class TorchEngine:
    """Runs a transformers model in float32 on the CPU.

    `inputs` are the names of what its forward takes of a batch. `together`: rows of equal length
    can run together; else each runs alone.
    """

    def __init__(self, model: Any, inputs: frozenset[str]) -> None:
        self.model = model.eval()
        self.inputs = inputs
        self.together = True

    def logits(self, batch: Batch) -> np.ndarray:
        """Compute the logits of a batch of B rows, float32 (B, L)."""
        if len(batch.ids) == 1:
            return self.run(batch)
        if self.together:
            try:
                return self.run(batch)
            # Some models compare rows: BART refuses a batch in which a text holds another "</s>".
            except Exception:
                log.debug("a batch runs row by row", exc_info=True)
        import numpy as np

        return np.concatenate([self.run(row) for row in _rows(batch)])

    def run(self, batch: Batch) -> np.ndarray:
        """Compute the logits of a batch in one run; raises what PyTorch raises."""
        import torch

        found = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": batch.types,
        }
        wanted = {name: torch.from_numpy(found[name]) for name in self.inputs}
        with torch.inference_mode():
            output = self.model(**wanted)
        answer: np.ndarray = output.logits.float().numpy()
        return answer

    def prove(self) -> None:
        """Do nothing: opening has tried the model."""

    def settle(self) -> None:
        """Do nothing: all is done when the model is open."""


def _rows(batch: Batch) -> list[Batch]:
    """Give each row of a batch alone, without what it is padded with."""
    lengths = batch.mask.sum(axis=1)
    return [
        Batch(*(each[row : row + 1, :length] for each in (batch.ids, batch.mask, batch.types)))
        for row, length in enumerate(lengths)
    ]


def open_model(directory: Path, limits: Limits, options: Options | None = None) -> Model:
    """Open a checkpoint: config.json, weights, tokenizer files. Runs no code from it.

    Raises EngineError unless its answers are those that transformers gives for single texts.
    """
    options = options or Options()
    try:
        import torch
        from transformers.utils import logging as messages
    except ImportError as error:
        raise EngineError(
            f"{directory} is a plain checkpoint, which needs torch and transformers ({error}): "
            f"pack it with pack-model, use the full image, or {extras.install('torch')}"
        ) from error
    messages.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no hint here
    messages.set_verbosity_error()  # type: ignore[no-untyped-call]  # what matters is said below
    torch.set_num_threads(limits.threads)
    model, made_up, tokenizer = pretrained.read(directory)
    labels, problem_type = task_of(directory, model.config)
    pretrained.check(directory, model, made_up, tokenizer)
    backend = tokenizer.backend_tokenizer
    pad_id = _pad_id(model, tokenizer)
    engine = TorchEngine(model, _inputs(model, tokenizer))
    tried = trial.Trial(engine, backend, pad_id, len(labels))
    try:
        length = _length(tried, options.max_length, tokenizer, model.config)
        tokens.prepare(backend, length, tokenizer.truncation_side)
        tried.shortest()
        pairs = tried.pairs(options.pairs)
        equal_lengths = tried.equal_lengths()
    except trial.TrialError as error:
        raise EngineError(f"{directory} cannot be served: {error}") from error
    return Model(
        name="torch",
        engine=engine,
        encoder=backend,
        wordless=tokens.wordless(backend),
        pad_id=pad_id,
        max_length=length,
        labels=labels,
        problem_type=problem_type,
        declared=model.config.problem_type is not None,
        equal_lengths=equal_lengths,
        pairs=pairs,
    )


def task_of(directory: Path, config: Any) -> tuple[tuple[outputs.Label, ...], ProblemType]:
    """Read the labels and the task; where config.json names no task, transformers' rule counts.

    Raises EngineError. The rule: one output is a value, several are labels of which one is right.
    https://huggingface.co/docs/transformers/main_classes/configuration
    """
    try:
        labels = outputs.labels_of(config.id2label)
    except ValueError as error:
        raise EngineError(f"{directory / 'config.json'}: {error}") from error
    implied = ProblemType.VALUES if len(labels) == 1 else ProblemType.ONE_LABEL
    return labels, ProblemType(config.problem_type or implied)


def _pad_id(model: Any, tokenizer: Any) -> int:
    """Choose what rows are padded with: the token that the model takes for padding, if any.

    Without one, decoders refuse batches. They look at the last token that is no padding:
    https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_layers.py
    With an id that no token has, that is the last of all, as for a text alone.
    """
    known = model.get_input_embeddings().weight.shape[0]
    config = model.config.get_text_config()
    if config.pad_token_id is None:
        config.pad_token_id = -1
    for found in (config.pad_token_id, tokenizer.pad_token_id):
        if isinstance(found, int) and 0 <= found < known:
            return found
    return 0


def _inputs(model: Any, tokenizer: Any) -> frozenset[str]:
    """Name what the model takes of a batch.

    Token types go to models that have a table of them, and to those whose tokenizer names them, as
    transformers' own pipeline does it. GPT-2 would look them up among its words.
    """
    import inspect

    inputs = {"input_ids", "attention_mask"}
    typed = (getattr(model.config, "type_vocab_size", 0) or 0) > 1
    if typed or "token_type_ids" in tokenizer.model_input_names:
        inputs.add("token_type_ids")
    return frozenset(inputs & set(inspect.signature(model.forward).parameters))


def _length(tried: trial.Trial, asked: int | None, tokenizer: Any, config: Any) -> int:
    """Choose the tokens that a text is cut to: as asked, else as the tokenizer saved, or its limit.

    Raises TrialError if more is asked for than the model has positions.
    """
    positions = _positions(config)
    truncation = tokenizer.backend_tokenizer.truncation
    saved = int(truncation["max_length"]) if truncation else None
    wanted = asked or saved or min(LONGEST, tokenizer.model_max_length)
    found = tried.longest(min(wanted, positions or wanted))
    if asked and found < asked:
        raise trial.TrialError(f"MAX_LENGTH is {asked}, and the model has {found} positions")
    if saved and found < wanted:
        log.warning("texts are cut to %d tokens, not %d: the model has no more", found, wanted)
    return found


def _positions(config: Any) -> int | None:
    """Read the positions from config.json; it may name more than a row of tokens can use.

    None if it names no limit, or the model only knows how far tokens are apart (DeBERTa-v3).
    """
    if not getattr(config, "position_biased_input", True):
        return None
    found = getattr(config, "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None

"""A Hugging Face sequence-classification checkpoint in, a PyTorch engine out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_handler import outputs, tokens
from model_handler.engines import Model
from model_handler.errors import EngineError
from model_handler.limits import Limits
from model_handler.tokens import Batch

if TYPE_CHECKING:
    import numpy as np

# The length the AWS example was trained and served with; used where the checkpoint names none.
DEFAULT_MAX_LENGTH = 128


class TorchEngine:
    """Runs a transformers model in float32 on the CPU."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()

    def logits(self, batch: Batch) -> np.ndarray:
        """Compute the logits of a batch of B rows, float32 (B, L)."""
        import torch

        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(batch.ids), attention_mask=torch.from_numpy(batch.mask)
            )
        answer: np.ndarray = output.logits.float().numpy()
        return answer

    def settle(self) -> None:
        """Nothing is left to do."""


def open_model(directory: Path, limits: Limits) -> Model:
    """Open a checkpoint: config.json, weights, tokenizer files. Runs no code from it."""
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise EngineError(
            f"{directory} is a plain checkpoint, which needs torch and transformers ({error}): "
            "use the full image or the extra [torch], or pack the model with pack-model"
        ) from error
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no hint here
    torch.set_num_threads(limits.threads)
    try:
        # weights_only keeps pickled code in a pytorch_model.bin from running. What the weights lack
        # or have in another shape is made up at random: told in `info`, it is refused below.
        model, info = AutoModelForSequenceClassification.from_pretrained(
            directory,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, use_fast=True
        )
        names = outputs.labels_of(model.config.id2label)
    except Exception as error:  # transformers raises many types; each means the same to the owner
        raise EngineError(f"transformers cannot open {directory}: {_reason(error)}") from error
    made_up = sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"]))
    if made_up:
        raise EngineError(
            f"{directory} holds no fine-tuned model: its weights lack, or have in another shape, "
            f"{', '.join(made_up)[:300]}"
        )
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise EngineError(f"{directory} has no fast tokenizer; add its tokenizer.json")
    length = max_length(backend.truncation, tokenizer.model_max_length, model.config)
    return Model(
        name="torch",
        engine=TorchEngine(model),
        tokenizer=tokens.prepare(backend, length, tokenizer.truncation_side),
        pad_id=tokenizer.pad_token_id or 0,
        max_length=length,
        labels=names,
        problem_type=problem_type(model.config),
        declared=model.config.problem_type is not None,
    )


def problem_type(config: Any) -> outputs.ProblemType:
    """What config.json says, else what transformers trains a model for that has so many outputs."""
    if config.problem_type is not None:
        return outputs.ProblemType(config.problem_type)
    one = config.num_labels == 1
    return outputs.ProblemType.VALUES if one else outputs.ProblemType.ONE_LABEL


def _reason(error: Exception) -> str:
    """An error of transformers in one line; advice to run code from a model is not passed on."""
    words = " ".join(str(error).split())
    if "trust_remote_code" in words:
        return "it needs Python code of its own (auto_map), and none from a model is run here"
    if "weights_only" in words:
        return "its pickled weights hold more than tensors; save them as model.safetensors"
    if "deserializing" in words:
        return f"its weights are damaged or cut short, copy them again: {words}"
    return words


def max_length(truncation: dict[str, Any] | None, tokenizer_limit: int, config: Any) -> int:
    """Tokens a text is cut to: what the tokenizer was last told to, its own limit, or else 128.

    `truncation` is that of tokenizer.json, `tokenizer_limit` is model_max_length. A limit as large
    as the table of positions is the architecture's, not a choice of whoever fine-tuned the model,
    so it does not count. (RoBERTa numbers positions from behind its padding index, so some of its
    514 hold no token: https://huggingface.co/docs/transformers/model_doc/roberta)
    """
    positions = int(getattr(config, "max_position_embeddings", DEFAULT_MAX_LENGTH))
    if getattr(config, "model_type", "") in {"roberta", "xlm-roberta", "camembert"}:
        positions -= (config.pad_token_id or 0) + 1
    if truncation:
        return min(int(truncation["max_length"]), positions)
    if tokenizer_limit < positions:
        return tokenizer_limit
    return min(DEFAULT_MAX_LENGTH, positions)

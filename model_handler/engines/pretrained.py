"""Read the model and the tokenizer of a checkpoint with transformers, or say in a line why not."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from model_handler import jsonfile, memory
from model_handler.errors import EngineError

log = logging.getLogger(__name__)


def read(directory: Path) -> tuple[Any, list[str], Any]:
    """Read the model, the names of its made-up weights, and the tokenizer; raises EngineError."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        # weights_only keeps pickled code in a pytorch_model.bin from running. What the weights lack
        # or have in another shape is made up at random: `info` names it, and it is refused below.
        model, info = AutoModelForSequenceClassification.from_pretrained(
            directory,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,  # few CPUs compute in half precision, and none faster
        )
        tokenizer = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, use_fast=True
        )
    except Exception as error:  # transformers raises many types; each means the same to the owner
        raise EngineError(f"transformers cannot open {directory}: {_reason(error)}") from error
    stored = jsonfile.weight_type(directory)
    if stored in memory.HALVES:
        log.info("the weights are stored in %s and served in float32", stored)
    made_up = sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"]))
    return model, made_up, tokenizer


def check(directory: Path, model: Any, made_up: list[str], tokenizer: Any) -> None:
    """Raise EngineError unless all weights were there and are numbers, and each token has some."""
    _check_weights(directory, model, made_up)
    _check_vocabulary(directory, model, tokenizer)


def _check_weights(directory: Path, model: Any, made_up: list[str]) -> None:
    """Raise EngineError unless all weights were there, and are numbers."""
    import torch

    if made_up:
        raise EngineError(
            f"{directory} holds no fine-tuned model: its weights lack, or have in another shape, "
            f"{', '.join(made_up)[:300]}"
        )
    for name, weights in model.named_parameters():
        # The sum is quick; it may be infinite though no weight is.
        if not (torch.isfinite(weights.sum()) or torch.isfinite(weights).all()):
            raise EngineError(
                f"{directory} has weights that are no numbers (NaN or infinite) in {name}: take an "
                "earlier checkpoint of the training, or save it in float32"
            )


def _check_vocabulary(directory: Path, model: Any, tokenizer: Any) -> None:
    """Raise EngineError if there is a token for which the model has no embedding."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise EngineError(f"{directory} has no fast tokenizer; add its tokenizer.json")
    known = model.get_input_embeddings().weight.shape[0]
    token, place = max(backend.get_vocab().items(), key=lambda item: item[1])
    if place >= known:
        raise EngineError(
            f"{directory} has a tokenizer with the token {token!r} (id {place}), and embeddings "
            f"for ids up to {known - 1}: call model.resize_token_embeddings(len(tokenizer)), train "
            "and save both again"
        )


def _reason(error: Exception) -> str:
    """Say why transformers failed in one line of its words, without advice to run or install."""
    words = " ".join(str(error).split())
    if "trust_remote_code" in words:
        return "it needs Python code of its own (auto_map), and none from a model is run here"
    if "weights_only" in words:
        return "its pickled weights hold more than tensors; save them as model.safetensors"
    if "deserializing" in words:
        return f"its weights are damaged or cut short, copy them again: {words[:300]}"
    if isinstance(error, ImportError):
        return (
            "its tokenizer or model needs a Python package that is not here; a tokenizer needs "
            "none once it is saved as tokenizer.json"
        )
    words = re.sub(r"\b[A-Z]\w*(Error|Exception)\b:? ?", "", words)[:300]
    if isinstance(error, (OSError, ValueError, RuntimeError)):
        return words
    return f"its files do not fit this version of transformers: {words}"

"""Merge a LoRA adapter with its base model into one checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_handler import artifacts, jsonfile
from model_handler.errors import ArtifactError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
# Before the names of the base model's weights, in an adapter's file:
# https://huggingface.co/docs/peft/developer_guides/checkpoint
PREFIX = "base_model.model."
# The last layer, which has a row for each label, by the names that transformers' models give it.
LAST = ("classifier.weight", "classifier.out_proj.weight", "score.weight")


def merge(directory: Path, merged: Path, find: Callable[[str], Path]) -> None:
    """Write the base model with the adapter's weights added, and the tokenizer, to `merged`.

    `find` gives the folder of the base model, which the adapter names. Raises ArtifactError when
    peft is not installed, or the two do not make up a whole model.
    """
    try:
        import peft
    except ImportError as error:
        raise ArtifactError(
            f"{directory} is an adapter, which is merged with its base model by peft: pip install "
            "peft, or merge it yourself (merge_and_unload) and name the result"
        ) from error
    if not (directory / WEIGHTS).exists():
        raise ArtifactError(f"{directory} has no {WEIGHTS}; save the adapter as safetensors")
    base = find(str(jsonfile.read(directory / CONFIG).get("base_model_name_or_path")))
    try:
        model, made_up = _base_model(directory, base)
        if not made_up:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they announce changes of the two libraries
                whole = peft.PeftModel.from_pretrained(model, directory).merge_and_unload()
            whole.save_pretrained(merged)
            _save_tokenizer(directory, base, merged)
    except Exception as error:  # of both libraries, which raise many types
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{directory} cannot be merged with {base}: {reason}") from error
    if made_up:
        raise ArtifactError(
            f"{directory} and its base model {base} have no weights for "
            f"{', '.join(sorted(made_up))[:200]}: train them with the adapter (modules_to_save)"
        )


def _base_model(directory: Path, base: Path) -> tuple[Any, set[str]]:
    """Open the base model of an adapter; also names the weights that neither of them has."""
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    names, outputs = _weights(directory / WEIGHTS)
    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no hint here
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # nor here; what is missing is said below
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            base,
            config=_config(directory, base, outputs),
            local_files_only=True,
            weights_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
    lacking = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    return model, lacking - names


def _save_tokenizer(directory: Path, base: Path, merged: Path) -> None:
    """Save the adapter's own tokenizer, or else the base model's."""
    from transformers import AutoTokenizer

    own = set(artifacts.VOCABULARIES) & {path.name for path in directory.iterdir()}
    tokenizer = AutoTokenizer.from_pretrained(
        directory if own else base, local_files_only=True, trust_remote_code=False
    )
    tokenizer.save_pretrained(merged)


def _weights(path: Path) -> tuple[set[str], int | None]:
    """Name the weights that an adapter replaces, and count the outputs of its last layer."""
    from safetensors import safe_open

    with safe_open(path, "pt") as found:
        names = {name.removeprefix(PREFIX): name for name in found.keys()}  # noqa: SIM118  # no dict
        outputs = [
            found.get_slice(full).get_shape()[0] for name, full in names.items() if name in LAST
        ]
    return set(names), next(iter(outputs), None)


def _config(directory: Path, base: Path, outputs: int | None) -> Any:
    """Read the adapter's own config.json, else the base model's with as many labels as outputs."""
    from transformers import AutoConfig

    own = (directory / artifacts.CONFIG).exists()
    config = AutoConfig.from_pretrained(directory if own else base, local_files_only=True)
    if outputs is not None and config.num_labels != outputs:
        config.num_labels = outputs
    return config
